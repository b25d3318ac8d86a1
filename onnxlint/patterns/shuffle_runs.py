"""Channel shuffles by Reshape, Transpose and Reshape, and by stacking and flattening."""

from __future__ import annotations

from dataclasses import replace

from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import Atom, Layout, identity, indices, merged, moved, permuted_axis
from onnxlint.patterns.channel_axis import channel_axis, is_cut_by_steps
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.shuffles import ChannelShuffle, Piece

_MAX_CHAIN = 12


def shuffle_of_run(graph: Graph, first: Node) -> ChannelShuffle | None:
    """A run of views and transposes."""
    source = first.inputs[0]
    if not graph.type_of(source).is_known or graph.is_constant(source):
        return None
    dims = graph.type_of(source).dims
    return _followed(graph, first, (source,), dims, identity(dims))


def shuffle_of_stack(graph: Graph, node: Node) -> ChannelShuffle | None:
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


def _groups(layout: Layout, axis: int) -> int:
    """The first extent of the table as the source holds it: its atom of the widest stride."""
    return max(merged(layout[axis]), key=lambda atom: atom.stride).size
