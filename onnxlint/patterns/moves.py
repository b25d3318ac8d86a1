"""Runs of Reshape and Transpose, by what they do: maps to tokens and back, channels last and back, unfold, windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.finding import Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS, Atom, Layout, cut_by_steps, identity, merged, moved
from onnxlint.patterns.channel_axis import channel_axis
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.walk import writer

_MAX_RUN = 16
CROSSINGS = frozenset({"to-tokens", "to-map", "to-channels-last", "to-channels-first", "unfold", "fold"})
"""Runs that change between feature maps and tokens."""
_OF_MAPS = {"to-tokens": True, "to-channels-last": True, "to-channels-first": False}
"""Kinds whose one end must be a map with its channels on axis 1, as the operators around it tell; True: the source."""


@dataclass(frozen=True, slots=True)
class Move:
    """`nodes` take `source` to `output` and only move elements; `layout` says where each came from."""

    kind: str
    nodes: tuple[Node, ...]
    source: str
    output: str
    layout: Layout

    @property
    def transposes(self) -> tuple[Node, ...]:
        """The nodes that move elements; the others are views."""
        return tuple(node for node in self.nodes if node.op_type not in VIEWS)


@lru_cache(maxsize=2)
def moves(graph: Graph) -> tuple[Move, ...]:
    """Every run of views and transposes with a transpose in it, in execution order; `kind` is "" for other moves."""
    found: list[Move] = []
    for node in graph.compute_nodes:
        if _is_move(graph, node) and not _continues(graph, node):
            found += _runs(graph, node)
    return tuple(found)


def unmoved(found: Iterable[Move]) -> Iterator[Edit]:
    """Views in place of the transpositions: what the graph would take if they were not there, not a graph to run."""
    for move in found:
        for node in move.transposes:
            yield Remove(node.key)
            yield Insert("Reshape", (node.inputs[0],), node.outputs)


def _is_move(graph: Graph, node: Node) -> bool:
    if node.domain or not node.inputs:
        return False
    return node.op_type == "Transpose" or node.op_type in VIEWS or cut_by_steps(graph, node) is not None


def _continues(graph: Graph, node: Node) -> bool:
    """The node belongs to the run of the one before it."""
    before = writer(graph, node.inputs[0])
    return before is not None and _is_move(graph, before) and only_reader(graph, node.inputs[0]) is node


def _runs(graph: Graph, first: Node) -> list[Move]:
    source = first.inputs[0]
    known = graph.type_of(source)
    if not known.is_known or graph.is_constant(source) or 0 in known.dims:
        return []
    layout: Layout = identity(known.dims)
    nodes: list[Node] = []
    node: Node | None = first
    while node is not None and len(nodes) < _MAX_RUN and _is_move(graph, node):
        after = moved(graph, node, layout)
        if after is None:
            break
        layout = after
        nodes.append(node)
        node = only_reader(graph, node.outputs[0])
    if all(node.op_type in VIEWS for node in nodes):
        return []
    kind, output = _kind(known.dims, layout), nodes[-1].outputs[0]
    if kind in _OF_MAPS and channel_axis(graph, [source if _OF_MAPS[kind] else output], -1) != 1:
        kind = ""  # heads and tokens of an attention, no map
    return [Move(kind, tuple(nodes), source, output, layout)]


def _kind(dims: tuple[int, ...], layout: Layout) -> str:
    runs = [merged(run) for run in layout]
    if len(dims) < 3:
        return ""
    return _patches(dims, runs) or _joined_patches(dims, runs) or _exchange(dims, runs)


def _exchange(dims: tuple[int, ...], runs: list[tuple[Atom, ...]]) -> str:
    """Channels whole, positions whole, and which of them comes first."""
    order: list[int] = []
    for axis in (atom.axis for run in runs for atom in run):
        if not order or order[-1] != axis:
            order.append(axis)
    order = [axis for axis in order if axis != 0]
    if len(set(order)) < len(order) or len(runs) < 3:
        return ""
    whole = sorted(order)
    if len(dims) == 4 and whole == [1, 2, 3] and order == [2, 3, 1] and _is_whole(runs[-1], 1, dims):
        return "to-channels-last" if len(runs) == 4 else "to-tokens" if len(runs) == 3 else ""
    if len(dims) == 4 and order == [3, 1, 2] and len(runs) == 4 and _is_whole(runs[1], 3, dims):
        return "to-channels-first"
    if len(dims) == 3 and order == [2, 1] and len(runs) == 4 and _is_whole(runs[1], 2, dims):
        return "to-map"
    return ""


def _is_whole(run: tuple[Atom, ...], axis: int, dims: tuple[int, ...]) -> bool:
    return run == (Atom(axis, 1, dims[axis]),)


def _patches(dims: tuple[int, ...], runs: list[tuple[Atom, ...]]) -> str:
    """Positions cut in blocks: the places within a block first ("unfold"), or the blocks first ("windows")."""
    atoms = [atom for run in runs for atom in run]
    pieces = {axis: [atom for atom in atoms if atom.axis == axis] for axis in range(1, len(dims))}
    cut = [axis for axis, found in pieces.items() if len(found) > 1]
    channel = len(dims) - 1 if len(dims) == 3 or len(dims) - 1 not in cut else 1
    if channel in cut or len(atoms) < 4:
        return ""
    if len(cut) == 2 and all(len(pieces[axis]) == 2 for axis in cut):
        outer = {max(pieces[axis], key=lambda atom: atom.stride) for axis in cut}
    elif len(cut) == 1 and len(pieces[cut[0]]) == 4:
        by_stride = sorted(pieces[cut[0]], key=lambda atom: -atom.stride)
        outer = {by_stride[0], by_stride[2]}
    else:
        return ""
    order = [atom in outer for atom in atoms if atom.axis in cut]
    if order == [True, True, False, False]:
        return "space-to-depth" if len({atom.axis for atom in runs[-1]}) > 1 else "windows"
    return "unfold" if order == [False, False, True, True] else ""


def _joined_patches(dims: tuple[int, ...], runs: list[tuple[Atom, ...]]) -> str:
    """Blocks put together again: dims of two pieces, of the blocks' axis and of that of the places within."""
    mixed = [run for run in runs if len({atom.axis for atom in run}) == 2 or len(run) == 4]
    axes = {atom.axis for run in mixed for atom in run}
    if len(mixed) not in (1, 2) or len(axes) != 2 or len(dims) - 1 in axes or sum(map(len, mixed)) != 4:
        return ""
    first = mixed[0][0].axis
    order = [atom.axis for run in mixed for atom in run]
    if order[0] != order[2] or order[1] != order[3]:
        return ""
    return "windows-joined" if first == min(axes) else "fold"
