"""Packed queries, keys and values: one product reshaped to [N, T, 3, heads, d], transposed and cut apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.channel_axis import slices_of
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import INT64, TensorType


@dataclass(frozen=True, slots=True)
class PackedHeads:
    """`source` [N, T, parts·heads·d] cut into `parts` of 4-D; `perm` orders each part's [N, T, heads, d].

    `is_outer` tells that the parts lie one behind the other in the source's last dim (else they alternate by head,
    and the product's columns must be reordered first).
    """

    nodes: tuple[Node, ...]
    source: str
    parts: tuple[str, ...]
    shape: tuple[int, ...]
    perm: tuple[int, ...]
    is_outer: bool


def packed_heads(graph: Graph) -> Iterator[PackedHeads]:
    """Every packing whose parts are all taken one by one."""
    for node in graph.compute_nodes:
        if node.op_type == "Reshape" and not node.domain:
            found = _starting_at(graph, node)
            if found is not None:
                yield found


def four_dimensional(graph: Graph, packed: PackedHeads) -> list[Edit]:
    """The same in 4-D: the last axis split first, then a Reshape and a Transpose for each part. Exact."""
    known = graph.type_of(packed.source)
    width = known.dims[-1] // len(packed.parts)
    edits: list[Edit] = [Remove(node.key) for node in packed.nodes]
    sizes, shape = f"{packed.source}/sizes", f"{packed.source}/heads"
    edits.append(Declare(sizes, TensorType(INT64, (len(packed.parts),)), is_weight=True))
    edits.append(Declare(shape, TensorType(INT64, (4,)), is_weight=True))
    cut = tuple(f"{part}/flat" for part in packed.parts)
    edits.append(Insert("Split", (packed.source, sizes), cut, (("axis", len(known.dims) - 1),)))
    for part, flat in zip(packed.parts, cut, strict=True):
        apart = f"{part}/apart"
        edits.append(Declare(flat, TensorType(known.dtype, (*known.dims[:-1], width))))
        edits.append(Declare(apart, TensorType(known.dtype, packed.shape)))
        edits.append(Insert("Reshape", (flat, shape), (apart,)))
        edits.append(Insert("Transpose", (apart,), (part,), (("perm", list(packed.perm)),)))
    return edits


def _starting_at(graph: Graph, reshape: Node) -> PackedHeads | None:
    source, unpacked = graph.type_of(reshape.inputs[0]), graph.type_of(reshape.outputs[0])
    if source.rank not in (2, 3) or not source.is_known or not unpacked.is_known or unpacked.rank != 5:
        return None
    dims = unpacked.dims
    if dims[2] * dims[3] * dims[4] != source.dims[-1] or dims[0] * dims[1] * source.dims[-1] != source.elements:
        return None
    transpose = only_reader(graph, reshape.outputs[0])
    if transpose is None or transpose.op_type != "Transpose":
        return None
    perm = [int(axis) for axis in transpose.attr("perm") or (4, 3, 2, 1, 0)]
    for packed in (2, 3):
        cut = _parts(graph, transpose.outputs[0], perm.index(packed), dims[packed])
        if cut is not None:
            nodes, parts = cut
            kept = [axis for axis in perm if axis != packed]
            order = tuple(axis - (axis > packed) for axis in kept)
            shape = tuple(size for axis, size in enumerate(dims) if axis != packed)
            return PackedHeads((reshape, transpose, *nodes), reshape.inputs[0], parts, shape, order, packed == 2)
    return None


def _parts(graph: Graph, value: str, axis: int, count: int) -> tuple[list[Node], tuple[str, ...]] | None:
    """The nodes that take `count` parts of one along `axis`, and the parts without that axis."""
    readers = graph.readers(value)
    if not 2 <= count <= 4 or not readers or value in graph.is_output:
        return None
    if len(readers) == 1 and readers[0].op_type == "Split":
        split = readers[0]
        if int(split.attr("axis", 0)) % 5 != axis or len(split.outputs) != count:
            return None
        squeezed = [only_reader(graph, name) for name in split.outputs]
        nodes = [node for node in squeezed if node is not None and node.op_type in ("Squeeze", "Reshape")]
        if len(nodes) < count or any(graph.type_of(node.outputs[0]).rank != 4 for node in nodes):
            return None
        return [split, *nodes], tuple(node.outputs[0] for node in nodes)
    if all(reader.op_type == "Slice" for reader in readers):
        return _sliced_parts(graph, readers, axis, count)
    found: dict[int, Node] = {}
    for reader in readers:
        index = graph.values.get(reader.inputs[1]) if reader.op_type == "Gather" else None
        if index is None or index.ndim or int(reader.attr("axis", 0)) % 5 != axis:
            return None
        found[int(index) % count] = reader
    if len(found) != len(readers) or len(found) != count:
        return None
    nodes = [found[index] for index in range(count)]
    return nodes, tuple(node.outputs[0] for node in nodes)


def _sliced_parts(
    graph: Graph, slices: Sequence[Node], axis: int, count: int
) -> tuple[list[Node], tuple[str, ...]] | None:
    """The same by a Slice of one place and a Squeeze for each part."""
    found: dict[int, tuple[Node, Node]] = {}
    for reader in slices:
        taken = slices_of(graph, reader.outputs[0], axis)
        squeeze = only_reader(graph, reader.outputs[0])
        if taken is None or taken[1].size != 1 or squeeze is None or squeeze.op_type not in ("Squeeze", "Reshape"):
            return None
        if graph.type_of(squeeze.outputs[0]).rank != 4:
            return None
        found[int(taken[1][0])] = (reader, squeeze)
    if sorted(found) != list(range(count)) or len(slices) != count:
        return None
    nodes = [node for index in range(count) for node in found[index]]
    return nodes, tuple(found[index][1].outputs[0] for index in range(count))
