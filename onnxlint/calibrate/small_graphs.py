"""The graphs of the element-wise benchmarks: several operators of one kind, kept from being merged or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from onnxlint.calibrate.graphs import Builder

_REPEATS = 6


def chain(name: str, op: str, dims: Sequence[int], repeats: int = _REPEATS, **attributes: Any) -> onnx.ModelProto:
    """One operator again and again, each reading what the one before wrote."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(repeats):
        x = graph.add(op, [x], **attributes)
    return graph.finish(x)


def mixed(name: str, count: int) -> onnx.ModelProto:
    """Tiny operators of several kinds by turns: what a launch costs where the code before it was another's."""
    graph = Builder(name)
    first = x = graph.input(1, 16, 3, 3)
    turns = (
        ("Neg", False),
        ("Add", True),
        ("Abs", False),
        ("Mul", True),
        ("Max", True),
        ("Sqrt", False),
        ("Sub", True),
    )
    for index in range(count):
        op, is_binary = turns[index % len(turns)]
        x = graph.add(op, [x, first] if is_binary else [x])
    return graph.finish(x)


def reshapes(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Views between cheap operators, which keep them from being merged."""
    graph = Builder(name)
    x = graph.input(*dims)
    shapes = [graph.constant(np.array(form, np.int64)) for form in ((dims[1], -1), dims)]
    for index in range(64):
        x = graph.add("Neg", [graph.add("Reshape", [x, shapes[index % 2]])])
    return graph.finish(x)


def conversions(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Convolutions between operators that know no blocked layout."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add("Neg", [graph.conv(x, (dims[1], dims[1]), 3, groups=dims[1])])
    return graph.finish(x)


def unary(name: str, op: str, dims: Sequence[int]) -> onnx.ModelProto:
    """An operator of one input in a chain."""
    return chain(name, op, dims)


def distinct(graph: Builder, x: str, count: int, *, blocked: bool = False) -> list[str]:
    """So many values of one shape, each computed from the one before: equal nodes would be merged into one.

    `blocked`: depthwise convolutions write them, in the layout that the runtime gives its convolutions.
    """
    values = []
    for _ in range(count):
        if blocked:
            channels = graph.inputs[0].type.tensor_type.shape.dim[1].dim_value
            x = graph.conv(x, (channels, channels), 3, groups=channels)
        else:
            x = graph.add("Neg", [x])
        values.append(x)
    return values


def fan(name: str, op: str, dims: Sequence[int], *, blocked: bool = False, **attributes: Any) -> onnx.ModelProto:
    """Several operators, each on a value of its own."""
    graph = Builder(name)
    values = distinct(graph, graph.input(*dims), 4, blocked=blocked)
    return graph.finish(*(graph.add(op, [value], **attributes) for value in values))


def binary(name: str, op: str, dims: Sequence[int]) -> onnx.ModelProto:
    """An operator of two inputs of one shape in a chain."""
    graph = Builder(name)
    first, x = graph.input(*dims), graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add(op, [x, first])
    return graph.finish(x)


def scaled(name: str, op: str, dims: Sequence[int], scale: Sequence[int]) -> onnx.ModelProto:
    """An operator whose second input is broadcast, in a chain."""
    graph = Builder(name)
    x, factor = graph.input(*dims), graph.input(*scale)
    for _ in range(_REPEATS):
        x = graph.add(op, [x, factor])
    return graph.finish(x)


def prelu(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """PRelu with a slope for each channel, in a chain; a quarter keeps the signs as they come, without order."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add("PRelu", [x, graph.constant(np.full((dims[1], 1, 1), 0.25, np.float32))])
    return graph.finish(x)


def quantizations(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """To bytes and back, with an operator between that no integer form takes in."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add("Neg", [graph.dequantized(graph.quantized(x))])
    return graph.finish(x)


def sums(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Sums over two axes, one of them kept: what exporters make of attention over parts."""
    graph = Builder(name)
    axes = graph.constant(np.array([1], np.int64))
    values = distinct(graph, graph.input(*dims), 4)
    return graph.finish(*(graph.add("ReduceSum", [value, axes], keepdims=1) for value in values))


def skip_layer_norm(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Residual additions that are normalized, in a chain."""
    graph = Builder(name)
    first, x = graph.input(*dims), graph.input(*dims)
    for _ in range(_REPEATS):
        scale, shift = (graph.constant(np.full(dims[-1], value, np.float32)) for value in (1, 0))
        x = graph.add("LayerNormalization", [graph.add("Add", [x, first]), scale, shift])
    return graph.finish(x)


def normalized(name: str, op: str, dims: Sequence[int], activation: str | None = None) -> onnx.ModelProto:
    """A normalization with constant scale and shift, in a chain."""
    graph = Builder(name)
    x = graph.input(*dims)
    size = dims[1] if op == "BatchNormalization" else dims[-1]
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    for _ in range(_REPEATS):
        values = (ones, zeros, zeros, ones) if op == "BatchNormalization" else (ones, zeros)
        x = graph.add(op, [x, *map(graph.constant, values)])
        x = graph.add(activation, [x]) if activation else x
    return graph.finish(x)


def layer_norm_parts(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Layer normalization as exporters wrote it before opset 17."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        centred = graph.add("Sub", [x, graph.add("ReduceMean", [x], axes=[-1])])
        square = graph.add("Pow", [centred, graph.constant(np.float32(2))])
        variance = graph.add("ReduceMean", [square], axes=[-1])
        deviation = graph.add("Sqrt", [graph.add("Add", [variance, graph.constant(np.float32(1e-5))])])
        scaled = graph.add(
            "Mul", [graph.add("Div", [centred, deviation]), graph.constant(np.ones(dims[-1], np.float32))]
        )
        x = graph.add("Add", [scaled, graph.constant(np.zeros(dims[-1], np.float32))])
    return graph.finish(x)


def silu(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """x times sigmoid(x), in a chain."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.silu(x)
    return graph.finish(x)


def gelu(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Gelu by erf as exporters write it, in a chain."""
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.gelu(x)
    return graph.finish(x)


def where(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """A selection between two tensors, in a chain."""
    graph = Builder(name)
    first, x = graph.input(*dims), graph.input(*dims)
    chosen = graph.add("Greater", [first, x])
    for _ in range(_REPEATS):
        x = graph.add("Where", [chosen, x, first])
    return graph.finish(x)


def transposes(name: str, dims: Sequence[int], order: Sequence[int]) -> onnx.ModelProto:
    """Transposes of one value, of values of one shape."""
    graph = Builder(name)
    x = graph.input(*dims)
    outputs = [graph.add("Transpose", [y], perm=list(order)) for y in distinct(graph, x, _REPEATS)]
    return graph.finish(*outputs)


def concats(name: str, dims: Sequence[int], axis: int) -> onnx.ModelProto:
    """Concatenations of two values of one shape."""
    graph = Builder(name)
    first, second = graph.input(*dims), graph.input(*dims)
    outputs = [graph.add("Concat", [y, second], axis=axis) for y in distinct(graph, first, _REPEATS)]
    return graph.finish(*outputs)


def splits(name: str, dims: Sequence[int], axis: int) -> onnx.ModelProto:
    """Splits into halves."""
    graph = Builder(name)
    x = graph.input(*dims)
    parts = [graph.add("Split", [y], outputs=2, axis=axis) for y in distinct(graph, x, _REPEATS)]
    return graph.finish(*(name for part in parts for name in (part, f"{part}_1")))


def slices(name: str, dims: Sequence[int], axis: int, step: int = 1) -> onnx.ModelProto:
    """Slices that take the first half, or every second element."""
    graph = Builder(name)
    x = graph.input(*dims)
    bounds = [graph.constant(np.array([value], np.int64)) for value in (0, dims[axis] * step // 2, axis, step)]
    return graph.finish(*(graph.add("Slice", [y, *bounds]) for y in distinct(graph, x, _REPEATS)))


def expansions(name: str, dims: Sequence[int], wider: Sequence[int]) -> onnx.ModelProto:
    """Repetitions along the axes that are 1."""
    graph = Builder(name)
    shape = graph.constant(np.array(wider, np.int64))
    values = distinct(graph, graph.input(*dims), _REPEATS)
    return graph.finish(*(graph.add("Expand", [value, shape]) for value in values))


def gathers(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Gathers of every second channel."""
    graph = Builder(name)
    x = graph.input(*dims)
    chosen = graph.constant(np.arange(dims[1] // 2, dtype=np.int64) * 2)
    return graph.finish(*(graph.add("Gather", [y, chosen], axis=1) for y in distinct(graph, x, _REPEATS)))


def pads(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Paddings by one on the two last axes."""
    graph = Builder(name)
    x = graph.input(*dims)
    around = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    return graph.finish(*(graph.add("Pad", [y, around]) for y in distinct(graph, x, _REPEATS)))


def resizes(name: str, dims: Sequence[int], mode: str, scale: float = 2.0) -> onnx.ModelProto:
    """Enlargements by one factor on the two last axes."""
    graph = Builder(name)
    x = graph.input(*dims)
    scales = graph.constant(np.array([1, 1, scale, scale], np.float32))
    options: dict[str, Any] = {"nearest_mode": "floor"} if mode == "nearest" else {}
    transform = "asymmetric" if mode == "nearest" else "half_pixel"
    outputs = [
        graph.add("Resize", [y, "", scales], mode=mode, coordinate_transformation_mode=transform, **options)
        for y in distinct(graph, x, 2)
    ]
    return graph.finish(*outputs)
