"""Dynamic convolution: a weight that is a mix of constant kernels, so that the outputs can be mixed instead."""

from __future__ import annotations

from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import reshaped, stored
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import TensorType

_MAX_KERNELS = 64


@dataclass(frozen=True, slots=True)
class MixedKernels:
    """A convolution by Σ πk·wk over `count` constant kernels; `edits` mix the outputs by the same π."""

    node: Node
    count: int
    edits: tuple[Edit, ...]


def mixed_kernels(graph: Graph, node: Node) -> MixedKernels | None:
    """Of a convolution whose weight is a row of coefficients times constant kernels, reshaped; else None."""
    if node.op_type != "Conv" or int(node.attr("group", 1)) != 1 or len(node.inputs) != 2:
        return None
    shaped = graph.producer(node.inputs[1])
    product = graph.producer(shaped.inputs[0]) if shaped is not None and shaped.op_type == "Reshape" else None
    if shaped is None or product is None or product.op_type not in ("MatMul", "Gemm") or len(product.inputs) != 2:
        return None
    if not graph.is_constant(product.inputs[1]) or any(product.attr(name, 0) for name in ("transA", "transB")):
        return None
    if only_reader(graph, product.outputs[0]) is not shaped or only_reader(graph, node.inputs[1]) is not node:
        return None
    row, kernels = graph.type_of(product.inputs[0]), graph.type_of(product.inputs[1])
    weight, out = graph.type_of(node.inputs[1]), graph.type_of(node.outputs[0])
    if not (row.is_known and kernels.is_known and weight.is_known and out.is_known) or kernels.rank != 2:
        return None
    count = kernels.dims[0]
    if row.elements != count or not 2 <= count <= _MAX_KERNELS or out.rank != 4 or out.dims[0] != 1:
        return None
    return MixedKernels(node, count, _edits(graph, node, shaped, product, count))


def _edits(graph: Graph, node: Node, shaped: Node, product: Node, count: int) -> tuple[Edit, ...]:
    """One convolution by all the kernels, then a 1x1 by π over them: y = π · [w1*x; …; wK*x]."""
    weight, out = graph.type_of(node.inputs[1]), graph.type_of(node.outputs[0])
    name = node.outputs[0]
    channels, (_, _, height, width) = out.dims[1], out.dims
    attributes = tuple((key, node.attr(key)) for key in node.attributes)
    shapes = {word: f"{name}/{word}" for word in ("all", "each", "flat", "row", "mixed")}
    dtype, area = out.dtype, channels * height * width
    return (
        Remove(node.key),
        Remove(shaped.key),
        Remove(product.key),
        stored(shapes["all"], weight.dtype, (count * channels, *weight.dims[1:])),
        Declare(shapes["each"], TensorType(dtype, (1, count * channels, height, width))),
        Declare(shapes["flat"], TensorType(dtype, (count, area))),
        Declare(shapes["row"], TensorType(dtype, (1, count))),
        Declare(shapes["mixed"], TensorType(dtype, (1, area))),
        Insert("Conv", (node.inputs[0], shapes["all"]), (shapes["each"],), attributes),
        *reshaped(shapes["each"], shapes["flat"], 2),
        *reshaped(product.inputs[0], shapes["row"], 2),
        Insert("MatMul", (shapes["row"], shapes["flat"]), (shapes["mixed"],)),
        *reshaped(shapes["mixed"], name, 4),
    )
