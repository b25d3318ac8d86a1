"""Channel shuffles in every spelling: Reshape-Transpose-Reshape, Gather, interleaving Concat or stack, strided slices.

A shuffle permutes the channels of a value by a transposed (groups × channels) table and moves nothing else. Packing of
queries, keys and values, windows, unfold and pixel shuffle move other axes too: they are none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS, Atom, Layout, identity, indices, merged, moved, permuted_axis
from onnxlint.patterns.channel_axis import channel_axis, is_cut_by_steps, slices_of
from onnxlint.patterns.permutations import only_reader
from onnxlint.values import Array

_MAX_CHAIN = 12
_MAX_PIECES = 2048


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
    graph: Graph, first: Node, sources: tuple[str, ...], dims: tuple[int, ...], layout: Layout, stacked: bool = False
) -> ChannelShuffle | None:
    """The longest run of views and transposes from `first` on that is a shuffle of a value of these dims."""
    best: ChannelShuffle | None = None
    nodes: list[Node] = [first] if stacked else []
    node: Node | None = only_reader(graph, first.outputs[0]) if stacked else first
    while node is not None and len(nodes) < _MAX_CHAIN and node.role == "compute":
        after = moved(graph, node, layout)
        if after is None:
            break
        layout = after
        nodes.append(node)
        value = node.outputs[0]
        found = _whole(graph, nodes, sources, dims, layout) or _in_pieces(graph, nodes, sources, dims, layout)
        best = found or best
        node = only_reader(graph, value)
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
    readers = graph.readers(value)
    shape = graph.type_of(value).shape
    count = (shape[0] or 0) if shape else 0
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
    """Equal values stacked on a new axis and flattened behind their channels: the channels interleave."""
    out = graph.type_of(node.outputs[0])
    writers = [graph.producer(name) for name in node.inputs]
    if len(writers) < 2 or not out.is_known or not out.dims:
        return None
    new = int(node.attr("axis", 0)) % len(out.dims)
    unstacked = [writer for writer in writers if writer is not None and writer.op_type in ("Unsqueeze", "Reshape")]
    types = {graph.type_of(writer.inputs[0]) for writer in unstacked}
    sources = tuple(writer.inputs[0] for writer in unstacked)
    if len(unstacked) < len(writers) or len(types) != 1 or len(set(sources)) < len(sources):
        return None
    dims = types.pop().shape or ()
    stacked = (*dims[:new], len(sources), *dims[new:])
    if out.dims != stacked or any(only_reader(graph, name) is None for name in node.inputs):
        return None
    for axis in {max(0, new - 1), min(new, len(dims) - 1)}:
        size = graph.type_of(sources[0]).dims[axis]
        if all(is_cut_by_steps(graph, name, axis, len(sources)) for name in sources):
            return None
        joined = (*out.dims[:new], *out.dims[new + 1 :])
        joined = (*joined[:axis], size * len(sources), *joined[axis + 1 :])
        layout = list(identity(joined))
        layout[axis] = (Atom(axis, 1, size),) if size > 1 else ()
        layout.insert(new, (Atom(axis, size, len(sources)),))
        found = _followed(graph, node, sources, joined, tuple(layout), stacked=True)
        if found is not None:
            return replace(found, nodes=(*unstacked, *found.nodes))
    return None


# -- Gather, Concat of pieces, strided slices --------------------------------------------------------------------------


def _gather(graph: Graph, node: Node) -> ChannelShuffle | None:
    """A Gather by a constant interleaving of all channels."""
    dims = graph.type_of(node.inputs[0]).shape or ()
    taken = slices_of(graph, node.outputs[0], int(node.attr("axis", 0)) % max(1, len(dims)))
    return _by_index(graph, (node,), (node.inputs[0],), node.outputs, taken[1] if taken else None, node)


def _interleave(graph: Graph, node: Node) -> ChannelShuffle | None:
    """A Concat of single channels or blocks of channels that interleaves the values they were cut from."""
    rank = graph.type_of(node.outputs[0]).rank
    if rank is None or not 3 <= len(node.inputs) <= _MAX_PIECES:
        return None
    axis = int(node.attr("axis", 0)) % max(1, rank)
    cut = [slices_of(graph, name, axis) for name in node.inputs]
    starts: dict[str, int] = {}
    total = 0
    order: list[Array] = []
    for piece in cut:
        if piece is None:
            return None
        source, taken = piece
        if source not in starts:
            starts[source] = total
            total += graph.type_of(source).dims[axis]
        order.append(taken + starts[source])
    writers = {writer.key: writer for name in node.inputs if (writer := graph.producer(name)) is not None}
    sole = all(reader is node for writer in writers.values() for out in writer.outputs for reader in graph.readers(out))
    nodes = (*(writers.values() if sole else ()), node)
    return _by_index(graph, nodes, tuple(starts), node.outputs, np.concatenate(order), node)


def _strided(graph: Graph, node: Node) -> ChannelShuffle | None:
    """Slices or Gathers that together take all channels of a value, each every g-th of them."""
    source = node.inputs[0]
    dims = graph.type_of(source).shape or ()
    if len(dims) < 3 or channel_axis(graph, (source, node.outputs[0]), 0) != 1:
        return None
    own = slices_of(graph, node.outputs[0], 1)
    if own is None or own[1].size < 2 or own[1][1] - own[1][0] < 2:
        return None
    cut: list[tuple[Node, Array]] = []
    for reader in graph.readers(source):
        taken = slices_of(graph, reader.outputs[0], 1) if reader.op_type == node.op_type else None
        if taken is not None and taken[0] == source and taken[1].size > 1:
            cut.append((reader, taken[1]))
    cut.sort(key=lambda entry: int(entry[1][0]))
    if not cut:
        return None
    nodes = tuple(reader for reader, _ in cut)
    outputs = tuple(reader.outputs[0] for reader in nodes)
    return _by_index(graph, nodes, (source,), outputs, np.concatenate([taken for _, taken in cut]), node, axis=1)


def _by_index(
    graph: Graph,
    nodes: tuple[Node, ...],
    sources: tuple[str, ...],
    outputs: tuple[str, ...],
    order: Array | None,
    node: Node,
    axis: int | None = None,
) -> ChannelShuffle | None:
    types = [graph.type_of(name) for name in (*sources, *outputs)]
    if order is None or not all(known.is_known for known in types):
        return None
    rank = types[0].rank or 0
    if axis is None:
        axis = int(node.attr("axis", 0)) % max(1, rank)
        if axis == 0 or channel_axis(graph, (*sources, *outputs), axis) != axis:
            return None
    joined = sum(known.dims[axis] for known in types[: len(sources)])
    groups = interleaved_groups(order) if order.size == joined and order.size == np.unique(order).size else None
    if groups is None:
        return None
    dims = (*types[0].dims[:axis], joined, *types[0].dims[axis + 1 :])
    pieces: list[Piece] = []
    start = 0
    for name in outputs:
        pieces.append(Piece(name, start, graph.type_of(name).dims[axis]))
        start += pieces[-1].length
    return ChannelShuffle(nodes, sources, tuple(pieces), dims, axis, order, groups)
