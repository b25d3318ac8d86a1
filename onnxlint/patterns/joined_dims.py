"""Transposes of many dims between two views, in fewer: dims that move together joined, blocks swapped one by one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.edits import reshaped
from onnxlint.patterns.moves import Move, moves
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.rotations import ROTATION
from onnxlint.tensor import TensorType

Step = tuple[tuple[int, ...], tuple[int, ...]]
MAX_GROUPS = 8
"""Blocks of dims that move together: more than these are not followed."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Reshape, Transpose, Reshape, or a longer run; the same as a Transpose by each of `steps`, dims and order.

    Without a last Reshape `output` is what the Transpose writes: its rows are read as rows, in whatever dims.
    """

    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]
    output: str


def joined_dims(graph: Graph, limit: int, rows: frozenset[str] = frozenset()) -> Iterator[Joined]:
    """Every such Transpose of more than `limit` dims; what reads the values of `rows` reads them by rows."""
    for node in graph.compute_nodes:
        known = graph.type_of(node.inputs[0]) if node.op_type == "Transpose" and not node.domain else None
        if known is None or not known.is_known or len(known.dims) <= limit:
            continue
        first, last = graph.producer(node.inputs[0]), only_reader(graph, node.outputs[0])
        is_row = node.outputs[0] in rows
        if first is None or first.op_type not in VIEWS or only_reader(graph, first.outputs[0]) is not node:
            continue
        if not is_row and (last is None or last.op_type not in VIEWS):
            continue
        end = node if is_row or last is None else last
        if not graph.type_of(end.outputs[0]).is_known:
            continue
        perm = [int(axis) for axis in node.attr("perm") or reversed(range(len(known.dims)))]
        groups = grouped(perm, known.dims)
        if groups is None:
            continue
        steps = tuple(transposed_in_steps(groups, known.dims, limit))
        yield Joined((first, node) if end is node else (first, node, end), steps, end.outputs[0])


def joined_moves(graph: Graph, limit: int, told: Collection[str]) -> Iterator[Joined]:
    """Runs of moves through more than `limit` dims (an unfold by Gathers), those with a node of `told` left out."""
    for move in moves(graph):
        inner = [graph.type_of(node.outputs[0]).rank or 0 for node in move.nodes[:-1]]
        if len(move.nodes) < 3 or max(inner) <= limit or any(node.key in told for node in move.nodes):
            continue
        joined = joined_move(move, limit)
        if joined is not None:
            yield joined


def joined_move(move: Move, limit: int) -> Joined | None:
    """The move by Transposes of at most `limit` dims; None for one of too many blocks."""
    target = [atom for run in move.layout for atom in run]
    order = sorted(target, key=lambda atom: (atom.axis, -atom.stride))
    groups: list[list[int]] = []
    for place in map(order.index, target):
        if groups and place == groups[-1][-1] + 1:
            groups[-1].append(place)
        else:
            groups.append([place])
    if len(groups) > MAX_GROUPS:
        return None
    sizes = [math.prod(order[place].size for place in group) for group in groups]
    return Joined(move.nodes, tuple(_steps([group[0] for group in groups], sizes, limit)), move.output)


def by_rotation(found: Joined) -> Joined:
    """The same with two last blocks that change places by (0,2,3,1) before a dim of 1: some devices have but that."""
    steps = [
        ((1,) * (3 - len(sizes)) + sizes + (1,), ROTATION) if order in ((1, 0), (0, 2, 1)) else (sizes, order)
        for sizes, order in found.steps
    ]
    return replace(found, steps=tuple(steps))


def grouped(order: Sequence[int], dims: Sequence[int]) -> list[list[int]] | None:
    """The axes in their new order, those that stay neighbours together, dims of 1 left out; None for too many."""
    groups: list[list[int]] = []
    for axis in (axis for axis in order if dims[axis] != 1):
        gap = math.prod(dims[groups[-1][-1] + 1 : axis]) if groups and groups[-1][-1] < axis else 0
        if gap == 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups if len(groups) <= MAX_GROUPS else None


def transposed_in_steps(groups: Sequence[Sequence[int]], dims: Sequence[int], limit: int) -> Iterator[Step]:
    """Transposes of at most `limit` dims that bring groups of the dims into this order."""
    sizes = [math.prod(dims[axis] for axis in group) for group in groups]
    yield from _steps([group[0] for group in groups], sizes, limit)


def _steps(heads: list[int], sizes: list[int], limit: int) -> Iterator[Step]:
    """Transposes of at most `limit` dims that bring the groups, in the source's order by their heads, into theirs."""
    wanted = sorted(range(len(heads)), key=lambda index: heads[index])
    if len(heads) <= limit:
        if len(heads) > 1:
            yield tuple(sizes[index] for index in wanted), tuple(wanted.index(index) for index in range(len(heads)))
        return
    now = wanted
    for place in range(len(now)):
        at = now.index(place)
        if at == place:
            continue
        end = at + 1
        while end < len(now) and now[end] == now[end - 1] + 1:
            end += 1
        blocks = [now[:place], now[place:at], now[at:end], now[end:]]
        yield tuple(math.prod(sizes[index] for index in block) for block in blocks), (0, 2, 1, 3)
        now = [*blocks[0], *blocks[2], *blocks[1], *blocks[3]]


def joined_edits(graph: Graph, found: Joined, rank: int = 4) -> tuple[Edit, ...]:
    """The Transposes in fewer dims (ones put in front up to `rank`), each behind a Reshape, and one at the end. Exact.

    The result has the dims that it had, unless nothing but rows is read of it.
    """
    known = graph.type_of(found.output)
    dims = known.dims if len(found.nodes) > 2 else row_dims(known.dims, rank)
    back = step_edits(found.nodes[0].inputs[0], found.output, TensorType(known.dtype, dims), found.steps, rank)
    return (*(Remove(node.key) for node in found.nodes), *back)


def step_edits(source: str, output: str, wanted: TensorType, steps: Iterable[Step], rank: int) -> Iterator[Edit]:
    """The Transposes, each of `rank` dims behind a Reshape, and one Reshape to what is wanted."""
    value = source
    for index, (sizes, order) in enumerate(steps):
        lead = rank - len(sizes)
        shape = (1,) * lead + sizes
        perm = [*range(lead), *(axis + lead for axis in order)]
        joined, transposed = f"{output}/joined{index}", f"{output}/moved{index}"
        yield Declare(joined, TensorType(wanted.dtype, shape))
        yield Declare(transposed, TensorType(wanted.dtype, tuple(shape[axis] for axis in perm)))
        yield from reshaped(value, joined, rank)
        yield Insert("Transpose", (joined,), (transposed,), (("perm", perm),))
        value = transposed
    yield Declare(output, wanted)
    yield from reshaped(value, output, len(wanted.dims))


def row_dims(dims: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """All dims but the last joined, ones in front."""
    return (1,) * (rank - 2) + (math.prod(dims[:-1]), dims[-1])
