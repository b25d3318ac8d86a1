"""Benchmarks of arithmetic on bytes: convolutions, products, and what stands between them in a quantized network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx

from onnxlint.calibrate.graphs import CONTRIB, Builder, repeats

Graphs = Iterator[tuple[str, Callable[[], onnx.ModelProto]]]
_MOST_POINTS = 4
_IN_CHAIN = 6
_FASTER = 4
"""Bytes are multiplied so many times as fast as floats: as many more make a benchmark as long."""
# (kernel, input channels, output channels, height and width)
_DENSE = (
    *((3, c, c, s) for c, s in ((16, 56), (32, 56), (64, 56), (64, 28), (128, 28), (128, 14), (256, 14), (512, 7))),
    *((1, a, b, s) for a, b, s in ((32, 64, 112), (24, 144, 56), (64, 256, 56), (32, 192, 28), (128, 512, 28))),
    *((1, a, b, s) for a, b, s in ((96, 576, 14), (256, 1024, 14), (160, 960, 7), (512, 2048, 7))),
)
_BATCHED = (
    *((3, 197, 64, 197), (3, 197, 197, 64), (12, 128, 64, 128), (12, 128, 128, 64)),
    *((48, 49, 32, 49), (48, 49, 49, 32), (4, 784, 32, 49), (8, 49, 16, 49)),
)
_DEPTHWISE = (
    *((3, c, s) for c, s in ((32, 112), (96, 56), (144, 56), (192, 28), (384, 14), (576, 14), (960, 7))),
    *((5, c, s) for c, s in ((72, 28), (240, 14), (672, 7))),
)
# (input channels, output channels, kernel, stride, height and width): windows that are copied out
_LOWERED = (
    *((3, out, k, s, size) for out, k, s, size in ((32, 3, 2, 224), (64, 7, 2, 224), (16, 3, 2, 224), (64, 3, 1, 112))),
    *((3, out, k, s, size) for out, k, s, size in ((96, 4, 4, 224), (192, 16, 16, 224))),
    *((a, a, 3, 1, s) for a, s in ((18, 56), (58, 28), (30, 28))),
    *((a, a, 1, 1, s) for a, s in ((58, 28), (30, 56))),
)
# (channels, groups, height and width), of kernel 3
_GROUPED = ((64, 4, 28), (128, 32, 28), (256, 32, 14), (96, 3, 28))
_PRODUCTS = (
    (1, 1024, 1024),
    (1, 512, 1000),
    (1, 1280, 1000),
    (16, 256, 256),
    (197, 192, 192),
    (49, 768, 768),
    (128, 312, 1200),
    (197, 192, 768),
    (784, 192, 192),
    (3136, 96, 96),
)


def products() -> Graphs:
    """Names and builders of the benchmarks of convolutions and products."""
    for kernel, a, b, size in _DENSE:
        name = f"integer{kernel}x{kernel}_{a}_{b}_{size}"
        yield name, partial(_chain, name, kernel, a, b, size)
    for kernel, channels, size in _DEPTHWISE:
        name = f"integer_depthwise{kernel}x{kernel}_{channels}_{size}"
        build = partial(_chain, name, kernel, channels, channels, size, groups=channels)
        yield name, build
    for rows, depth, columns in _PRODUCTS:
        name = f"integer_matmul_{rows}_{depth}_{columns}"
        yield name, partial(_product_chain, name, rows, depth, columns)
    for batch, rows, depth, columns in _BATCHED:
        name = f"integer_batched_{batch}_{rows}_{depth}_{columns}"
        yield name, partial(_batched, name, batch, rows, depth, columns)
    for a, b, kernel, stride, size in _LOWERED:
        name = f"integer_lowered{kernel}x{kernel}s{stride}_{a}_{b}_{size}"
        yield name, partial(_fan, name, a, b, kernel, size, stride)
    for channels, groups, size in _GROUPED:
        name = f"integer_lowered3x3_{channels}_{groups}_{size}"
        yield name, partial(_chain, name, 3, channels, channels, size, groups=groups)


def _chain(name: str, kernel: int, a: int, b: int, size: int, groups: int = 1) -> onnx.ModelProto:
    """Convolutions of bytes from `a` to `b` channels and back."""
    graph = Builder(name)
    x = graph.quantized(graph.input(1, a, size, size))
    pairs = (a, b), (b, a)
    for index in range(repeats(kernel * kernel * a * b * size * size / groups / _FASTER)):
        x = graph.integer_conv(x, pairs[index % 2], kernel, groups=groups)
    return graph.finish(graph.dequantized(x))


def _fan(name: str, a: int, b: int, kernel: int, size: int, stride: int) -> onnx.ModelProto:
    """Convolutions of bytes that all read one value, each averaged to a point."""
    graph = Builder(name)
    source = graph.quantized(graph.input(1, a, size, size))
    padding = 0 if kernel in (stride, 1) else None
    points = [
        graph.integer_unary(
            "QLinearGlobalAveragePool",
            graph.integer_conv(source, (a, b), kernel, stride=stride, padding=padding),
            channels_last=0,
        )
        for _ in range(min(_MOST_POINTS, repeats(kernel * kernel * a * b * (size // stride) ** 2)))
    ]
    return graph.finish(*map(graph.dequantized, points))


def _batched(name: str, batch: int, rows: int, depth: int, columns: int) -> onnx.ModelProto:
    """Products of two computed factors of bytes, as in attention."""
    graph = Builder(name)
    right = graph.quantized(graph.input(1, batch, depth, columns))
    products = []
    for _ in range(min(_MOST_POINTS, repeats(batch * rows * depth * columns))):
        left = graph.quantized(graph.input(1, batch, rows, depth))
        inputs = [left, *graph.grid(np.uint8), right, *graph.grid(np.uint8), *graph.grid(np.uint8)]
        products.append(graph.add("QLinearMatMul", inputs))
    return graph.finish(*map(graph.dequantized, products))


def _product_chain(name: str, rows: int, depth: int, columns: int) -> onnx.ModelProto:
    """Products of bytes from `depth` to `columns` features and back."""
    graph = Builder(name)
    x = graph.quantized(graph.input(1, rows, depth))
    pairs = (depth, columns), (columns, depth)
    for index in range(repeats(rows * depth * columns / _FASTER)):
        x = graph.integer_product(x, *pairs[index % 2])
    return graph.finish(graph.dequantized(x))


def binary(name: str, op: str, dims: Sequence[int]) -> onnx.ModelProto:
    """An operator of bytes with two inputs of one shape in a chain."""
    graph = Builder(name)
    first = x = graph.quantized(graph.input(*dims))
    for _ in range(_IN_CHAIN):
        x = graph.integer_binary(op, x, first)
    return graph.finish(graph.dequantized(x))


def unary(name: str, op: str, dims: Sequence[int], **attributes: Any) -> onnx.ModelProto:
    """An operator of bytes in a chain."""
    graph = Builder(name)
    x = graph.quantized(graph.input(*dims))
    for _ in range(_IN_CHAIN):
        x = graph.integer_unary(op, x, **attributes)
    return graph.finish(graph.dequantized(x))


def concats(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Concatenations of two values, one of which has the result's grid: the wider one gives it."""
    graph = Builder(name)
    x, y = (graph.quantized(graph.input(*dims)) for _ in range(2))
    for _ in range(_IN_CHAIN // 2):
        inputs = [*graph.grid(np.uint8), x, *graph.grid(np.uint8), y, *graph.grid(np.uint8, 0.01)]
        x = graph.add("QLinearConcat", inputs, domain=CONTRIB, axis=1)
    return graph.finish(graph.dequantized(x))


def pools(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Averages of whole images, each of a convolution's result."""
    graph = Builder(name)
    values = distinct(graph, dims)
    points = [graph.integer_unary("QLinearGlobalAveragePool", value, channels_last=0) for value in values]
    return graph.finish(*map(graph.dequantized, points))


def max_pools(name: str, dims: Sequence[int]) -> onnx.ModelProto:
    """Poolings between convolutions, whose layout they take."""
    graph = Builder(name)
    options: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    pooled = [graph.add("MaxPool", [value], **options) for value in distinct(graph, dims)]
    points = [graph.integer_unary("QLinearGlobalAveragePool", value, channels_last=0) for value in pooled]
    return graph.finish(*map(graph.dequantized, points))


def distinct(graph: Builder, dims: Sequence[int]) -> list[str]:
    """Values of one shape, each a depthwise convolution of bytes of the one before."""
    x, values = graph.quantized(graph.input(*dims)), []
    for _ in range(4):
        x = graph.integer_conv(x, (dims[1], dims[1]), 3, groups=dims[1])
        values.append(x)
    return values
