"""Independent counter: parameters and multiply-accumulates of a model, from ONNX shape inference and formulas.

It shares no code with the builders.  A parameter is an element of a float initializer, the running mean and variance
of BatchNormalization excepted.  Multiply-accumulates are those of Conv, Gemm and MatMul nodes; nodes that depend on
constants alone are left out, since a runtime computes them once.
"""

from __future__ import annotations

import math

import onnx
from onnx import TensorProto

Shapes = dict[str, tuple[int | str, ...]]


def parameters(model: onnx.ModelProto) -> int:
    """Learned parameters."""
    statistics = {name for node in model.graph.node if node.op_type == "BatchNormalization" for name in node.input[3:5]}
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in statistics
    )


def saved_by_folding(model: onnx.ModelProto) -> int:
    """How many parameters disappear when each BatchNormalization behind a Conv is folded into it."""
    producers = {node.output[0]: node for node in model.graph.node}
    dims = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    saved = 0
    for node in model.graph.node:
        source = producers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if source is not None and source.op_type == "Conv":
            saved += dims[node.input[1]][0] * (len(source.input) - 1)
    return saved


def shapes(model: onnx.ModelProto) -> Shapes:
    """The shape of every value, as ONNX shape inference has it."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    graph = inferred.graph
    found: Shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        found[value.name] = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in dims)
    return found


def multiply_accumulates(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the nodes that depend on a graph input."""
    known = shapes(model)
    live = {value.name for value in model.graph.input}
    total = 0
    for node in model.graph.node:
        if not live.intersection(node.input):
            continue
        live.update(node.output)
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        output = math.prod(_static(known[node.output[0]]))
        if node.op_type == "Conv":
            total += output * math.prod(_static(known[node.input[1]])[1:])
        elif node.op_type == "MatMul":
            total += output * _static(known[node.input[0]])[-1]
        else:
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += output * _static(known[node.input[0]])[0 if transposed else -1]
    return total


def _static(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    sizes = tuple(dim for dim in shape if isinstance(dim, int))
    if len(sizes) != len(shape):
        raise ValueError(f"symbolic shape {shape}")
    return sizes
