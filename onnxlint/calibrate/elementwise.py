"""Benchmarks of everything that multiplies no matrices: element-wise, normalizing, pooling, resizing, moving."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from onnxlint.calibrate.graphs import Builder

Graphs = Iterator[tuple[str, Callable[[], onnx.ModelProto]]]
_SIZES = ((64, 7), (96, 28), (64, 112))
_LARGE = (192, 224)
_UNARY = (
    "Neg",
    "Sigmoid",
    "Tanh",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Erf",
    "Exp",
    "Sqrt",
    "Softplus",
    "Elu",
    "Abs",
)
_BINARY = ("Add", "Mul", "Sub", "Div", "Max", "Pow")
_REPEATS = 6


def graphs() -> Graphs:
    """Names and builders of all of them."""
    for op in _UNARY:
        for channels, side in _SIZES if op != "Neg" else (*_SIZES, _LARGE, (16, 3)):
            name = f"{op.lower()}_{channels}_{side}"
            yield name, partial(_unary, name, op, (1, channels, side, side))
    for op in _BINARY:
        for channels, side in _SIZES if op != "Add" else (*_SIZES, _LARGE, (16, 3)):
            name = f"{op.lower()}_{channels}_{side}"
            yield name, partial(_binary, name, op, (1, channels, side, side))
    for channels, side in _SIZES:
        for op in ("Mul", "Add"):
            name = f"{op.lower()}_channel_{channels}_{side}"
            yield name, partial(_scaled, name, op, (1, channels, side, side), (1, channels, 1, 1))
            name = f"{op.lower()}_row_{channels}_{side}"
            yield name, partial(_scaled, name, op, (1, side * side, channels), (channels,))
        name = f"batchnorm_{channels}_{side}"
        yield name, partial(_normalized, name, "BatchNormalization", (1, channels, side, side))
        name = f"silu_{channels}_{side}"
        yield name, partial(_silu, name, (1, channels, side, side))
        name = f"gelu_{channels}_{side}"
        yield name, partial(_gelu, name, (1, side * side, channels))
        name = f"where_{channels}_{side}"
        yield name, partial(_where, name, (1, channels, side, side))
    for rows, columns in ((197, 192), (49, 768), (3136, 96), (128, 312)):
        name = f"layernorm_{rows}_{columns}"
        yield name, partial(_normalized, name, "LayerNormalization", (1, rows, columns))
        name = f"layernorm_parts_{rows}_{columns}"
        yield name, partial(_layer_norm_parts, name, (1, rows, columns))
    for heads, rows, columns in ((3, 197, 197), (192, 49, 49), (12, 128, 128), (4, 784, 49)):
        name = f"softmax_{heads}_{rows}_{columns}"
        yield name, partial(_chain, name, "Softmax", (1, heads, rows, columns), axis=-1)
    for channels, side in ((96, 28), (64, 56), (512, 7)):
        for op in ("GlobalAveragePool", "ReduceMean"):
            name = f"{op.lower()}_{channels}_{side}"
            options: dict[str, Any] = {"axes": [2, 3], "keepdims": 1} if op == "ReduceMean" else {}
            yield name, partial(_fan, name, op, (1, channels, side, side), **options)
        name = f"reducemean_last_{channels}_{side}"
        yield name, partial(_fan, name, "ReduceMean", (1, side * side, channels), axes=[-1], keepdims=1)
    yield from _pools()
    yield from _movement()


def _pools() -> Graphs:
    for op in ("MaxPool", "AveragePool"):
        for kernel, stride, channels, side in (
            (3, 2, 64, 112),
            (2, 2, 128, 56),
            (3, 1, 192, 28),
            (3, 1, 512, 14),
            (5, 1, 256, 13),
        ):
            name = f"{op.lower()}{kernel}s{stride}_{channels}_{side}"
            options: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
            options["pads"] = [0 if kernel == stride else (kernel - 1) // 2] * 4
            for blocked in (False, True):
                suffix = "_blocked" if blocked else ""
                yield name + suffix, partial(_fan, name, op, (1, channels, side, side), blocked=blocked, **options)
    for channels, side in ((64, 56), (192, 27)):
        yield f"lrn_{channels}_{side}", partial(_chain, "lrn", "LRN", (1, channels, side, side), size=5)


_TRANSPOSES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    *(((1, 96, 28, 28), (0, 2, 3, 1)), ((1, 28, 28, 96), (0, 3, 1, 2)), ((1, 64, 56, 56), (0, 2, 3, 1))),
    *(((1, 197, 3, 64), (0, 2, 1, 3)), ((1, 3, 197, 64), (0, 2, 1, 3)), ((1, 128, 12, 64), (0, 2, 1, 3))),
    *(((1, 12, 128, 64), (0, 1, 3, 2)), ((1, 784, 192), (0, 2, 1)), ((64, 49, 3, 3, 32), (2, 0, 3, 1, 4))),
    *(((1, 2, 58, 28, 28), (0, 2, 1, 3, 4)), ((1, 8, 7, 8, 7, 96), (0, 1, 3, 2, 4, 5))),
)


def _movement() -> Graphs:
    for dims, order in _TRANSPOSES:
        name = f"transpose_{'x'.join(map(str, dims))}_{''.join(map(str, order))}"
        yield name, partial(_transposes, name, dims, order)
    for channels, side in ((64, 7), (64, 28), (64, 56)):
        dims = (1, channels, side, side)
        yield f"concat_{channels}_{side}", partial(_concats, "concat", dims, 1)
        yield f"concat_last_{channels}_{side}", partial(_concats, "concat_last", dims, 3)
        yield f"split_{channels}_{side}", partial(_splits, "split", dims, 1)
        yield f"slice_{channels}_{side}", partial(_slices, "slice", dims, 1)
        yield f"slice_last_{channels}_{side}", partial(_slices, "slice_last", dims, 3)
        yield f"gather_{channels}_{side}", partial(_gathers, "gather", dims)
        yield f"pad_{channels}_{side}", partial(_pads, "pad", dims)
        for mode in ("nearest", "linear", "cubic"):
            yield f"resize_{mode}_{channels}_{side}", partial(_resizes, "resize", dims, mode)


def _chain(name: str, op: str, dims: Sequence[int], **attributes: Any) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add(op, [x], **attributes)
    return graph.finish(x)


def _unary(name: str, op: str, dims: Sequence[int]) -> onnx.ModelProto:
    return _chain(name, op, dims)


def _distinct(graph: Builder, x: str, count: int, *, blocked: bool = False) -> list[str]:
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


def _fan(name: str, op: str, dims: Sequence[int], *, blocked: bool = False, **attributes: Any) -> onnx.ModelProto:
    """Several operators, each on a value of its own."""
    graph = Builder(name)
    values = _distinct(graph, graph.input(*dims), 4, blocked=blocked)
    return graph.finish(*(graph.add(op, [value], **attributes) for value in values))


def _binary(name: str, op: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    first, x = graph.input(*dims), graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add(op, [x, first])
    return graph.finish(x)


def _scaled(name: str, op: str, dims: Sequence[int], scale: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    x, factor = graph.input(*dims), graph.input(*scale)
    for _ in range(_REPEATS):
        x = graph.add(op, [x, factor])
    return graph.finish(x)


def _normalized(name: str, op: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    size = dims[1] if op == "BatchNormalization" else dims[-1]
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    for _ in range(_REPEATS):
        values = (ones, zeros, zeros, ones) if op == "BatchNormalization" else (ones, zeros)
        x = graph.add(op, [x, *map(graph.constant, values)])
    return graph.finish(x)


def _layer_norm_parts(name: str, dims: Sequence[int]) -> onnx.ModelProto:
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


def _silu(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        x = graph.add("Mul", [x, graph.add("Sigmoid", [x])])
    return graph.finish(x)


def _gelu(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    for _ in range(_REPEATS):
        inner = graph.add("Erf", [graph.add("Div", [x, graph.constant(np.float32(2**0.5))])])
        one = graph.add("Add", [inner, graph.constant(np.float32(1))])
        x = graph.add("Mul", [graph.add("Mul", [x, one]), graph.constant(np.float32(0.5))])
    return graph.finish(x)


def _where(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    first, x = graph.input(*dims), graph.input(*dims)
    chosen = graph.add("Greater", [first, x])
    for _ in range(_REPEATS):
        x = graph.add("Where", [chosen, x, first])
    return graph.finish(x)


def _transposes(name: str, dims: Sequence[int], order: Sequence[int]) -> onnx.ModelProto:
    """Transposes of one value, of values of one shape."""
    graph = Builder(name)
    x = graph.input(*dims)
    outputs = [graph.add("Transpose", [y], perm=list(order)) for y in _distinct(graph, x, _REPEATS)]
    return graph.finish(*outputs)


def _concats(name: str, dims: Sequence[int], axis: int) -> onnx.ModelProto:
    graph = Builder(name)
    first, second = graph.input(*dims), graph.input(*dims)
    outputs = [graph.add("Concat", [y, second], axis=axis) for y in _distinct(graph, first, _REPEATS)]
    return graph.finish(*outputs)


def _splits(name: str, dims: Sequence[int], axis: int) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    parts = [graph.add("Split", [y], outputs=2, axis=axis) for y in _distinct(graph, x, _REPEATS)]
    return graph.finish(*(name for part in parts for name in (part, f"{part}_1")))


def _slices(name: str, dims: Sequence[int], axis: int) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    bounds = [graph.constant(np.array([value], np.int64)) for value in (0, dims[axis] // 2, axis)]
    return graph.finish(*(graph.add("Slice", [y, *bounds]) for y in _distinct(graph, x, _REPEATS)))


def _gathers(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    chosen = graph.constant(np.arange(dims[1] // 2, dtype=np.int64) * 2)
    return graph.finish(*(graph.add("Gather", [y, chosen], axis=1) for y in _distinct(graph, x, _REPEATS)))


def _pads(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    around = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    return graph.finish(*(graph.add("Pad", [y, around]) for y in _distinct(graph, x, _REPEATS)))


def _resizes(name: str, dims: Sequence[int], mode: str) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(*dims)
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    options: dict[str, Any] = {"nearest_mode": "floor"} if mode == "nearest" else {}
    transform = "asymmetric" if mode == "nearest" else "half_pixel"
    outputs = [
        graph.add("Resize", [y, "", scales], mode=mode, coordinate_transformation_mode=transform, **options)
        for y in _distinct(graph, x, 2)
    ]
    return graph.finish(*outputs)
