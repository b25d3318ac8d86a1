"""A convolution or product as two thin ones through fewer channels, so that it can be priced."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import attributes_of, sizes
from onnxlint.patterns.edits import stored
from onnxlint.tensor import TensorType

_OF_WINDOW = ("kernel_shape", "strides", "pads", "dilations", "auto_pad")


@dataclass(frozen=True, slots=True)
class Factorized:
    """`node` through `rank` channels: MACs before and after, the new nodes' keys, the edits."""

    node: Node
    rank: int
    macs: int
    thin_macs: int
    keys: tuple[str, ...]
    edits: tuple[Edit, ...]


def is_factorizable(graph: Graph, node: Node) -> bool:
    """A dense convolution, or a product by a constant matrix, of known shapes."""
    if node.domain or len(node.inputs) < 2 or not graph.is_constant(node.inputs[1]):
        return False
    if node.op_type == "Conv":
        conv = sizes(graph, node)
        return conv is not None and conv.groups == 1
    known = [graph.type_of(name) for name in (*node.inputs[:2], node.outputs[0])]
    if node.op_type not in ("Gemm", "MatMul") or not all(one.is_known for one in known) or known[1].rank != 2:
        return False
    return not node.attr("transA", 0) and min(map(len, (one.dims for one in known))) > 1


def factorized(graph: Graph, node: Node, rank: int, tag: str) -> Factorized:
    """The node through `rank` channels: the first part takes the window, the second the bias."""
    out, weight = node.outputs[0], graph.type_of(node.inputs[1])
    known = graph.type_of(out)
    middle, first, second = (f"{out}~{tag}{rank}.{word}" for word in ("thin", "first", "second"))
    edits: list[Edit] = [Remove(node.key)]
    if node.op_type == "Conv":
        channels, into, *window = weight.dims
        ones = [1] * len(window)
        shapes = ((rank, into, *window), (channels, rank, *ones))
        thin = (known.dims[0], rank, *known.dims[2:])
        attributes = tuple((k, v) for k, v in attributes_of(node) if k in _OF_WINDOW)
        inserts = (
            Insert("Conv", (node.inputs[0], first), (middle,), attributes),
            Insert("Conv", (middle, second, *node.inputs[2:]), node.outputs, (("kernel_shape", ones),)),
        )
        positions, wide, depth = math.prod(known.dims) // channels, channels, into * math.prod(window)
    else:
        depth, wide = weight.dims[::-1] if node.attr("transB", 0) else weight.dims
        shapes = ((depth, rank), (rank, wide))
        thin = (*known.dims[:-1], rank)
        inserts = (
            Insert("MatMul", (node.inputs[0], first), (middle,)),
            Insert(node.op_type, (middle, second, *node.inputs[2:]), node.outputs),
        )
        positions = math.prod(known.dims) // wide
    for name, shape in zip((first, second), shapes, strict=True):
        edits.append(stored(name, weight.dtype, shape))
    edits += [Declare(middle, TensorType(known.dtype, thin)), *inserts]
    macs = (positions * depth * wide, positions * rank * (depth + wide))
    return Factorized(node, rank, *macs, (middle, out), tuple(edits))
