"""Channel shuffles in every spelling: Reshape-Transpose-Reshape, Gather, interleaving Concat or stack, strided slices.

A shuffle permutes the channels of a value by a transposed (groups × channels) table and moves nothing else. Packing of
queries, keys and values, windows, unfold and pixel shuffle move other axes too: they are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS, Layout, identity, indices, merged, moved, permuted_axis
from onnxlint.patterns.channel_axis import channel_axis, slices_of
from onnxlint.values import Array

_MAX_CHAIN = 12
_PIECES = frozenset({"Slice", "Split", "Gather"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A value that holds `length` of the permuted channels from `start` on."""

    value: str
    start: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class ChannelShuffle:
    """Nodes that permute the channels of `sources` (joined along `axis`): channel i comes from `order[i]`.

    `shape` is that of the joined value; `outputs` is the whole permuted value, or the pieces it falls into.
    """

    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    outputs: tuple[Piece, ...]
    shape: tuple[int, ...]
    axis: int
    order: Array
    groups: int

    @property
    def channels(self) -> int:
        """The number of channels that are permuted."""
        return int(self.order.size)


@lru_cache(maxsize=2)
def channel_shuffles(graph: Graph) -> tuple[ChannelShuffle, ...]:
    """Every channel shuffle of the graph, in execution order."""
    found: list[ChannelShuffle] = []
    taken: set[str] = set()
    for node in graph.compute_nodes:
        if node.key in taken or node.domain:
            continue
        shuffle = _starting_at(graph, node)
        if shuffle is not None and taken.isdisjoint(member.key for member in shuffle.nodes):
            taken.update(member.key for member in shuffle.nodes)
            found.append(shuffle)
    return tuple(found)


def _starting_at(graph: Graph, node: Node) -> ChannelShuffle | None:
    if node.op_type == "Concat":
        return _interleave(graph, node) or _stack(graph, node)
    if node.op_type == "Transpose" or node.op_type in VIEWS:
        return _chain(graph, node)
    if node.op_type == "Gather":
        return _gather(graph, node) or _strided(graph, node)
    return _strided(graph, node) if node.op_type == "Slice" else None


def interleaved_groups(order: Array) -> int | None:
    """The groups of an order that reads a (groups × channels) table by columns, in blocks or one by one; else None."""
    breaks = np.flatnonzero(np.diff(order) != 1) + 1
    block = int(breaks[0]) if breaks.size else order.size
    if order.size % block or order.size == block:
        return None
    heads = order[::block]
    if np.any(heads % block) or np.any(order != np.repeat(heads, block) + np.tile(np.arange(block), heads.size)):
        return None
    heads = heads // block
    step = int(heads[1] - heads[0])
    if step < 2 or heads.size % step:
        return None
    groups = heads.size // step
    table = np.arange(heads.size).reshape(groups, step).T.reshape(-1)
    return groups if groups > 1 and np.array_equal(heads, table) else None


# -- Reshape, Transpose, Reshape ---------------------------------------------------------------------------------------


def _chain(graph: Graph, first: Node) -> ChannelShuffle | None:
    source = first.inputs[0]
    if not graph.type_of(source).is_known or graph.is_constant(source):
        return None
    dims = graph.type_of(source).dims
    return _followed(graph, first, (source,), dims, identity(dims))


def _followed(
    graph: Graph, first: Node, sources: tuple[str, ...], dims: tuple[int, ...], layout: Layout, axis: int | None = None
) -> ChannelShuffle | None:
    """The longest run of views and transposes from `first` on that is a shuffle of a value of these dims."""
    best: ChannelShuffle | None = None
    nodes: list[Node] = [] if axis is None else [first]
    node: Node | None = first if axis is None else graph.sole_reader(first.outputs[0])
    while node is not None and len(nodes) < _MAX_CHAIN and node.role == "compute":
        after = moved(graph, node, layout)
        if after is None:
            break
        layout = after
        nodes.append(node)
        value = node.outputs[0]
        found = _whole(graph, nodes, sources, dims, layout) or _in_pieces(graph, nodes, sources, dims, layout)
        best = found or best
        node = graph.sole_reader(value)
    return best


def _whole(
    graph: Graph, nodes: list[Node], sources: tuple[str, ...], dims: tuple[int, ...], layout: Layout
) -> ChannelShuffle | None:
    axis = permuted_axis(dims, layout)
    value = nodes[-1].outputs[0]
    if axis is None or graph.type_of(value).shape != dims or axis != channel_axis(graph, (*sources, value), axis):
        return None
    order = indices(layout[axis])
    pieces = (Piece(value, 0, order.size),)
    return ChannelShuffle(tuple(nodes), sources, pieces, dims, axis, order, _groups(layout, axis))


def _groups(layout: Layout, axis: int) -> int:
    """The first extent of the table as the source holds it: its atom of the widest stride."""
    return max(merged(layout[axis]), key=lambda atom: atom.stride).size


def _in_pieces(
    graph: Graph, nodes: list[Node], sources: tuple[str, ...], dims: tuple[int, ...], layout: Layout
) -> ChannelShuffle | None:
    """A run that ends with the groups as its leading dim, of which each reader takes one."""
    if len(layout) != len(dims) + 1 or not any(node.op_type == "Transpose" for node in nodes):
        return None
    value = nodes[-1].outputs[0]
    readers = graph.consumers(value)
    count = graph.type_of(value).dims[0]
    if count < 2 or len(readers) < 2 or value in graph.is_output:
        return None
    for axis in range(len(dims)):
        rest = list(layout[1:])
        rest[axis] = layout[0] + rest[axis]
        if permuted_axis(dims, tuple(rest)) == axis == channel_axis(graph, (*sources, readers[0].outputs[0]), axis):
            break
    else:
        return None
    order = indices(rest[axis])
    length = order.size // count
    pieces: list[Piece] = []
    for reader in readers:
        index = graph.values.get(reader.inputs[1]) if reader.op_type == "Gather" else None
        if index is None or index.size != 1 or int(reader.attr("axis", 0)) != 0 or index.ndim:
            return None
        pieces.append(Piece(reader.outputs[0], int(index) % count * length, length))
    if sorted(piece.start for piece in pieces) != list(range(0, order.size, length)):
        return None
    return ChannelShuffle((*nodes, *readers), sources, tuple(pieces), dims, axis, order, _groups(tuple(rest), axis))


def _stack(graph: Graph, node: Node) -> ChannelShuffle | None:
    """Equal values stacked on a new axis behind the channels and flattened: their channels interleave."""
    new = node.attr("axis", 0)
    out = graph.type_of(node.outputs[0])
    before = [graph.producer(name) for name in node.inputs]
    if len(before) < 2 or not out.is_known:
        return None
    sources: list[str] = []
    dims: tuple[int, ...] | None = None
    new %= max(1, len(out.dims))
    for writer, name in zip(before, node.inputs, strict=True):
        if writer is None or writer.op_type not in ("Unsqueeze", "Reshape") or not graph.type_of(name).is_known:
            return None
        own, given = graph.type_of(name).dims, graph.type_of(writer.inputs[0])
        if not given.is_known or own[:new] + own[new + 1 :] != given.dims or own[new] != 1:
            return None
        if dims not in (None, given.dims) or graph.sole_reader(name) is None:
            return None
        dims = given.dims
        sources.append(writer.inputs[0])
    if dims is None or new < 1 or len(set(sources)) < len(sources):
        return None
    axis = new - 1
    joined = (*dims[:axis], dims[axis] * len(sources), *dims[axis + 1 :])
    start = identity(joined)
    split = _split(start[axis], len(sources), dims[axis])
    layout = (*start[:axis], split[1], split[0], *start[axis + 1 :])
    found = _followed(graph, node, tuple(sources), joined, layout, axis)
    if found is None:
        return None
    writers = tuple(writer for writer in before if writer is not None)
    return ChannelShuffle(
        (*writers, *found.nodes), found.sources, found.outputs, found.shape, found.axis, found.order, found.groups
    )


def _split(run: tuple[object, ...], outer: int, inner: int) -> tuple[Layout, Layout]:
    raise NotImplementedError
