"""Packed queries, keys and values: one product reshaped to [N, T, 3, heads, d], transposed or not, and cut apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.channel_axis import slices_of
from onnxlint.patterns.edits import reshaped, split_into
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import TensorType


@dataclass(frozen=True, slots=True)
class PackedHeads:
    """`source` [N, T, parts·heads·d] cut into `parts` of 4-D; `perm` orders each part's [N, T, heads, d].

    `is_outer` tells that the parts lie one behind the other in the source's channels (else they alternate by head, and
    the product's columns must be reordered first). `axis` is that of the channels; `has_batch`: the parts have a batch
    of one in front of `shape`.
    """

    nodes: tuple[Node, ...]
    source: str
    parts: tuple[str, ...]
    shape: tuple[int, ...]
    perm: tuple[int, ...]
    is_outer: bool
    axis: int = -1
    has_batch: bool = False


def packed_heads(graph: Graph) -> Iterator[PackedHeads]:
    """Every packing whose parts are all taken one by one."""
    for node in graph.compute_nodes:
        if node.op_type == "Reshape" and not node.domain:
            found = _starting_at(graph, node)
            if found is not None:
                yield found


def four_dimensional(graph: Graph, packed: PackedHeads, source: TensorType | None = None) -> list[Edit]:
    """The same in 4-D: the channels split first, then a Reshape and a Transpose for each part. Exact.

    `source` is the type that the source has by then; the parts lose a batch of one in front.
    """
    known = source or graph.type_of(packed.source)
    axis = packed.axis % len(known.dims)
    cut_dims = tuple(size // len(packed.parts) if at == axis else size for at, size in enumerate(known.dims))
    edits: list[Edit] = [Remove(node.key) for node in packed.nodes]
    cut = tuple(f"{part}/flat" for part in packed.parts)
    edits += split_into(packed.source, cut, axis)
    for part, flat in zip(packed.parts, cut, strict=True):
        apart = f"{part}/apart"
        is_turned = packed.perm != tuple(range(len(packed.perm)))
        edits.append(Declare(flat, TensorType(known.dtype, cut_dims)))
        edits += reshaped(flat, apart if is_turned else part, 4)
        if is_turned:
            edits.append(Declare(apart, TensorType(known.dtype, packed.shape)))
            edits.append(Insert("Transpose", (apart,), (part,), (("perm", list(packed.perm)),)))
        if packed.has_batch:
            edits.append(Declare(part, TensorType(known.dtype, tuple(packed.shape[place] for place in packed.perm))))
    return edits


def _starting_at(graph: Graph, reshape: Node) -> PackedHeads | None:
    source, unpacked = graph.type_of(reshape.inputs[0]), graph.type_of(reshape.outputs[0])
    if not source.is_known or not source.dims or not unpacked.is_known:
        return None
    if unpacked.rank not in (5, 6) or 0 in unpacked.dims:
        return None
    dims, batch = unpacked.dims, int(unpacked.rank == 6)
    reader = only_reader(graph, reshape.outputs[0])
    turned = (reader,) if reader is not None and reader.op_type == "Transpose" else ()  # else cut as it lies
    unpacking = (reshape, *turned)
    perm = list(range(len(dims)))
    if turned:
        perm = [int(axis) for axis in turned[0].attr("perm") or reversed(perm)]
    if sorted(perm) != list(range(len(dims))) or (batch and dims[0] != 1):
        return None
    packings: tuple[int, ...]
    if _is_by_channels(source.dims, dims):
        packings, channels = (1,), 1
    elif dims[-1] * dims[-2] * dims[-3] == source.dims[-1]:
        packings, channels = (len(dims) - 3, len(dims) - 2), -1
    else:
        return None
    for packed in packings:
        cut = _parts(graph, unpacking[-1].outputs[0], perm.index(packed), dims[packed], len(dims))
        kept = [axis for axis in perm if axis != packed]
        if cut is None or (batch and kept[0] != 0):
            continue
        nodes, parts = cut
        order = tuple(axis - (axis > packed) - batch for axis in kept[batch:])
        shape = tuple(size for axis, size in enumerate(dims) if axis != packed)[batch:]
        is_outer = packed == packings[0]
        return PackedHeads(
            (*unpacking, *nodes), reshape.inputs[0], parts, shape, order, is_outer, channels, bool(batch)
        )
    return None


def _is_by_channels(source: tuple[int, ...], unpacked: tuple[int, ...]) -> bool:
    """A map's channels as parts, heads and their width, its positions as one dim."""
    is_map = len(source) in (3, 4) and len(unpacked) == 5
    return is_map and source[0] == unpacked[0] and math.prod(unpacked[1:4]) == source[1] != source[-1]


def _parts(graph: Graph, value: str, axis: int, count: int, rank: int) -> tuple[list[Node], tuple[str, ...]] | None:
    """The nodes that take `count` parts of one along `axis`, and the parts without that axis."""
    readers = graph.readers(value)
    if not 2 <= count <= 4 or not readers or value in graph.is_output:
        return None
    if len(readers) == 1 and readers[0].op_type == "Split":
        split = readers[0]
        if int(split.attr("axis", 0)) % rank != axis or len(split.outputs) != count:
            return None
        squeezed = [only_reader(graph, name) for name in split.outputs]
        nodes = [node for node in squeezed if node is not None and node.op_type in ("Squeeze", "Reshape")]
        if len(nodes) < count or any(graph.type_of(node.outputs[0]).rank != rank - 1 for node in nodes):
            return None
        return [split, *nodes], tuple(node.outputs[0] for node in nodes)
    if all(reader.op_type == "Slice" for reader in readers):
        return _sliced_parts(graph, readers, axis, count, rank)
    found: dict[int, Node] = {}
    for reader in readers:
        index = graph.values.get(reader.inputs[1]) if reader.op_type == "Gather" else None
        if index is None or index.ndim or int(reader.attr("axis", 0)) % rank != axis:
            return None
        found[int(index) % count] = reader
    if len(found) != len(readers) or len(found) != count:
        return None
    nodes = [found[index] for index in range(count)]
    return nodes, tuple(node.outputs[0] for node in nodes)


def _sliced_parts(
    graph: Graph, slices: Sequence[Node], axis: int, count: int, rank: int
) -> tuple[list[Node], tuple[str, ...]] | None:
    """The same by a Slice of one place and a Squeeze for each part."""
    found: dict[int, tuple[Node, Node]] = {}
    for reader in slices:
        taken = slices_of(graph, reader.outputs[0], axis)
        squeeze = only_reader(graph, reader.outputs[0])
        if taken is None or taken[1].size != 1 or squeeze is None or squeeze.op_type not in ("Squeeze", "Reshape"):
            return None
        if graph.type_of(squeeze.outputs[0]).rank != rank - 1:
            return None
        found[int(taken[1][0])] = (reader, squeeze)
    if sorted(found) != list(range(count)) or len(slices) != count:
        return None
    nodes = [node for index in range(count) for node in found[index]]
    return nodes, tuple(found[index][1].outputs[0] for index in range(count))
