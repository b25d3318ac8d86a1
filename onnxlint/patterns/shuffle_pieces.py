"""Channel shuffles by index: a Gather, a Concat of pieces, strided slices."""

from __future__ import annotations

import numpy as np

from onnxlint.graph import Graph, Node
from onnxlint.patterns.channel_axis import channel_axis, slices_of
from onnxlint.patterns.shuffles import ChannelShuffle, Piece, interleaved_groups
from onnxlint.values import Array

_MAX_PIECES = 2048


def shuffle_of_gather(graph: Graph, node: Node) -> ChannelShuffle | None:
    """A Gather by a constant interleaving of all channels."""
    source, out = node.inputs[0], node.outputs[0]
    axis = int(node.attr("axis", 0)) % max(1, graph.type_of(source).rank or 0)
    taken = slices_of(graph, out, axis)
    if taken is None or not _are_channels(graph, (source, out), axis):
        return None
    return _by_index(graph, (node,), (source,), (out,), taken[1], axis)


def shuffle_of_pieces(graph: Graph, node: Node) -> ChannelShuffle | None:
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
    if not _are_channels(graph, (*starts, *node.outputs), axis):
        return None
    return _by_index(graph, nodes, tuple(starts), node.outputs, np.concatenate(order), axis)


def shuffle_of_slices(graph: Graph, node: Node) -> ChannelShuffle | None:
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
    return _by_index(graph, nodes, (source,), outputs, np.concatenate([taken for _, taken in cut]), 1)


def _are_channels(graph: Graph, values: tuple[str, ...], axis: int) -> bool:
    return axis != 0 and channel_axis(graph, values, axis) == axis


def _by_index(
    graph: Graph,
    nodes: tuple[Node, ...],
    sources: tuple[str, ...],
    outputs: tuple[str, ...],
    order: Array,
    axis: int,
) -> ChannelShuffle | None:
    """The shuffle of all channels of the sources by `order`, which the outputs hold one behind the other."""
    types = [graph.type_of(name) for name in (*sources, *outputs)]
    if not all(known.is_known for known in types):
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
