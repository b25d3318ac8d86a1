"""What is timed to learn a machine: small chains of one kind of operator, over the sizes that networks use.

Each benchmark is a graph of several operators of one kind with their own weights, so that a launch costs what it does
in a network and weights are read from where a network reads them. `family` is the class that it teaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import onnx

from onnxlint.calibrate import elementwise, integers
from onnxlint.calibrate.graphs import Builder, repeats

INTEGER = "integer"
"""The family of the benchmarks that multiply bytes."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A graph to be timed, and the class of kernels that it is made for."""

    name: str
    family: str
    build: Callable[[], onnx.ModelProto]


# (kernel, input channels, output channels, height and width)
_DENSE = (
    *((3, c, c, s) for c, s in ((16, 112), (32, 112), (24, 56), (32, 56), (64, 56), (48, 28), (64, 28), (128, 28))),
    *((3, c, c, s) for c, s in ((32, 14), (96, 14), (128, 14), (256, 14), (64, 7), (128, 7), (256, 7), (512, 7))),
    *((3, a, b, s) for a, b, s in ((128, 32, 28), (128, 32, 14), (16, 64, 56), (192, 384, 14), (20, 40, 28))),
    *((3, a, b, s) for a, b, s in ((40, 40, 56), (32, 64, 17), (18, 18, 56), (36, 36, 28), (144, 144, 7))),
    *((5, c, c, s) for c, s in ((16, 56), (32, 28), (64, 14), (48, 35))),
    *((7, c, c, s) for c, s in ((32, 28), (64, 14))),
)
_POINTWISE = (
    *((1, a, b, 112) for a, b in ((32, 16), (16, 96), (64, 64))),
    *((1, a, b, 56) for a, b in ((96, 24), (24, 144), (64, 256), (128, 128), (32, 32), (58, 58), (40, 20), (30, 30))),
    *(
        (1, a, b, 28)
        for a, b in ((144, 32), (32, 192), (128, 512), (256, 256), (116, 116), (40, 120), (64, 64), (72, 24))
    ),
    *((1, a, b, 14) for a, b in ((64, 384), (96, 576), (256, 1024), (512, 512), (240, 80), (116, 116), (112, 672))),
    *((1, a, b, 14) for a, b in ((58, 58), (48, 48), (224, 64))),
    *((1, a, b, 7) for a, b in ((160, 960), (320, 1280), (512, 2048), (1024, 1024), (232, 232), (64, 64), (192, 1152))),
    *((1, a, b, 1) for a, b in ((64, 16), (240, 64), (672, 168), (960, 240), (1280, 1000))),
)
_DEPTHWISE = (
    *((3, c, s, 1) for c, s in ((32, 112), (96, 56), (144, 56), (192, 28), (384, 14), (576, 14), (960, 7), (64, 28))),
    *((3, c, s, 2) for c, s in ((96, 112), (144, 56), (192, 28), (576, 14), (64, 56))),
    *((5, c, s, 1) for c, s in ((72, 28), (240, 14), (480, 14), (672, 7), (1152, 7), (96, 56))),
    *((5, c, s, 2) for c, s in ((144, 56), (240, 28), (672, 14))),
    *((7, c, s, 1) for c, s in ((96, 56), (192, 28), (384, 14))),
    *((3, c, s, 1) for c, s in ((24, 56), (58, 28), (116, 14), (232, 7), (40, 28), (120, 28))),
    *((3, c, s, 2) for c, s in ((24, 56), (116, 28))),
    *((3, c, s, 1) for c, s in ((128, 112), (512, 20))),
)
# (kernel, channels, groups, height and width, stride)
_GROUPED = (
    *((3, c, g, s, 1) for c, g, s in ((128, 32, 56), (256, 32, 28), (512, 32, 14), (1024, 32, 7), (24, 3, 56))),
    *((3, c, g, s, 1) for c, g, s in ((64, 4, 28), (128, 4, 14), (144, 9, 28), (384, 12, 14), (96, 2, 28))),
    *((1, c, g, s, 1) for c, g, s in ((240, 3, 28), (480, 3, 14), (384, 8, 28), (768, 8, 14), (192, 4, 28))),
    *((3, c, g, s, 2) for c, g, s in ((128, 32, 56), (64, 8, 56), (256, 16, 28))),
    *((1, c, g, s, 1) for c, g, s in ((96, 8, 28), (192, 8, 14), (60, 3, 28), (72, 3, 14))),
    *((3, c, g, s, 1) for c, g, s in ((192, 8, 28), (48, 2, 28), (96, 4, 14), (256, 64, 14), (512, 128, 7))),
)
# (input channels, output channels, kernel, stride, height and width)
_STRIDED = (
    *((3, out, k, s, size) for out, k, s, size in ((32, 3, 2, 224), (64, 7, 2, 224), (16, 3, 2, 224), (64, 3, 1, 224))),
    *((3, out, k, s, size) for out, k, s, size in ((96, 4, 4, 224), (192, 16, 16, 224), (64, 11, 4, 224))),
    *((a, b, 3, 2, s) for a, b, s in ((64, 128, 56), (128, 256, 28), (256, 512, 14), (32, 64, 112), (24, 48, 56))),
    *((a, b, 1, 2, s) for a, b, s in ((64, 128, 56), (256, 512, 56), (512, 1024, 28), (1024, 2048, 14))),
    *((a, b, 2, 2, s) for a, b, s in ((96, 192, 56), (192, 384, 28))),
)
# (input channels, output channels, groups, height and width) of stride 2, in channels that no block holds
_LOWERED = ((18, 36, 1, 56), (58, 58, 58, 28), (26, 52, 1, 28), (44, 44, 44, 56))
# (rows, depth, columns)
_PRODUCTS = (
    *((1, k, n) for k, n in ((512, 1000), (1280, 1000), (2048, 1000), (1024, 1024), (4096, 4096), (64, 64), (192, 48))),
    *((6, k, n) for k, n in ((192, 192), (96, 384))),
    *((16, k, n) for k, n in ((256, 256), (384, 768))),
    *((49, k, n) for k, n in ((768, 768), (320, 1280), (768, 3072), (144, 288))),
    *((64, k, n) for k, n in ((128, 128), (144, 144))),
    *((128, k, n) for k, n in ((312, 312), (312, 1200), (768, 768), (768, 3072), (3072, 768), (64, 64))),
    *((197, k, n) for k, n in ((192, 192), (192, 576), (192, 768), (768, 192), (384, 1536))),
    *((784, k, n) for k, n in ((64, 64), (192, 192), (192, 768), (32, 128))),
    *((3136, k, n) for k, n in ((96, 96), (96, 384), (384, 96), (64, 32), (16, 16))),
)
# (products, rows, depth, columns): both factors are computed
_BATCHED = (
    *((3, 197, 64, 197), (3, 197, 197, 64), (12, 128, 64, 128), (12, 128, 128, 64), (12, 128, 26, 128)),
    *((192, 49, 32, 49), (192, 49, 49, 32), (64, 49, 32, 49), (16, 256, 36, 256), (16, 256, 256, 36)),
    *((8, 49, 16, 49), (8, 49, 64, 49), (4, 784, 32, 49), (4, 784, 49, 32), (2, 6, 16, 784), (16, 64, 64, 64)),
    *((4, 16, 16, 16), (192, 16, 16, 8), (8, 196, 16, 196)),
)


def benchmarks() -> Iterator[Benchmark]:
    """All benchmarks, those of one family together."""
    for kernel, a, b, size in (*_DENSE, *_POINTWISE):
        name = f"conv{kernel}x{kernel}_{a}_{b}_{size}"
        yield Benchmark(name, "pointwise" if kernel == 1 else "conv", partial(_conv_chain, name, kernel, a, b, size))
    for a, b, kernel, stride, size in _STRIDED:
        name = f"conv{kernel}x{kernel}s{stride}_{a}_{b}_{size}"
        yield Benchmark(name, "pointwise" if kernel == 1 else "conv", partial(_fan, name, a, b, kernel, size, stride))
    for channels, size, dilation in ((64, 28, 2), (64, 56, 4), (32, 28, 8), (24, 56, 2)):
        name = f"conv3x3d{dilation}_{channels}_{size}"
        yield Benchmark(name, "conv", partial(_conv_chain, name, 3, channels, channels, size, dilation=dilation))
    for kernel, channels, size, stride in _DEPTHWISE:
        name = f"depthwise{kernel}x{kernel}s{stride}_{channels}_{size}"
        build: Callable[[], onnx.ModelProto] = partial(
            _fan, name, channels, channels, kernel, size, stride, groups=channels
        )
        if stride == 1:
            build = partial(_conv_chain, name, kernel, channels, channels, size, groups=channels)
        yield Benchmark(name, "depthwise", build)
    for kernel, channels, groups, size, stride in _GROUPED:
        name = f"grouped{kernel}x{kernel}s{stride}_{channels}_{groups}_{size}"
        build = partial(_fan, name, channels, channels, kernel, size, stride, groups=groups)
        if stride == 1:
            build = partial(_conv_chain, name, kernel, channels, channels, size, groups=groups)
        yield Benchmark(name, "grouped", build)
    for a, b, groups, size in _LOWERED:
        name = f"strided3x3_{a}_{b}_{groups}_{size}"
        yield Benchmark(name, "lowered", partial(_fan, name, a, b, 3, size, 2, groups=groups))
    for rows, depth, columns in _PRODUCTS:
        name = f"matmul_{rows}_{depth}_{columns}"
        yield Benchmark(name, "gemm", partial(_product_chain, name, rows, depth, columns))
    for batch, rows, depth, columns in _BATCHED:
        name = f"batched_{batch}_{rows}_{depth}_{columns}"
        yield Benchmark(name, "gemm", partial(_batched, name, batch, rows, depth, columns))
    for name, build in integers.products():
        yield Benchmark(name, INTEGER, build)
    for steps, inputs, hidden in ((32, 256, 256), (26, 512, 256), (64, 128, 128)):
        name = f"lstm_{steps}_{inputs}_{hidden}"
        yield Benchmark(name, "recurrent", partial(_lstm, name, steps, inputs, hidden))
    for name, build in elementwise.graphs():
        yield Benchmark(name, "vector", build)


def _conv_chain(
    name: str, kernel: int, a: int, b: int, size: int, groups: int = 1, dilation: int = 1
) -> onnx.ModelProto:
    """Convolutions from `a` to `b` channels and back, of stride 1."""
    graph = Builder(name)
    x = graph.input(1, a, size, size)
    pairs = (a, b), (b, a)
    for index in range(repeats(kernel * kernel * a * b * size * size / groups)):
        x = graph.conv(x, pairs[index % 2], kernel, groups=groups, dilation=dilation)
    return graph.finish(x)


def _fan(name: str, a: int, b: int, kernel: int, size: int, stride: int, groups: int = 1) -> onnx.ModelProto:
    """Strided convolutions that all read one value, each averaged to a point."""
    graph = Builder(name)
    source = graph.input(1, a, size, size)
    if a > 3:
        source = graph.conv(source, (a, a), 3, groups=a)
    macs = kernel * kernel * a * b * (size // stride) ** 2 / groups
    padding = 0 if kernel in (stride, 1) else None
    points = [
        graph.add(
            "GlobalAveragePool", [graph.conv(source, (a, b), kernel, stride=stride, groups=groups, padding=padding)]
        )
        for _ in range(repeats(macs))
    ]
    return graph.finish(graph.add("Sum", points))


def _product_chain(name: str, rows: int, depth: int, columns: int) -> onnx.ModelProto:
    """Linear layers from `depth` to `columns` features and back."""
    graph = Builder(name)
    x = graph.input(1, rows, depth) if rows > 1 else graph.input(1, depth)
    pairs = (depth, columns), (columns, depth)
    for index in range(repeats(rows * depth * columns)):
        x = graph.product(x, *pairs[index % 2])
    return graph.finish(x)


def _batched(name: str, batch: int, rows: int, depth: int, columns: int) -> onnx.ModelProto:
    """Products of two computed factors, as in attention."""
    graph = Builder(name)
    left, right = graph.input(1, batch, rows, depth), graph.input(1, batch, depth, columns)
    products = [graph.add("MatMul", [left, right]) for _ in range(1)]
    count = repeats(batch * rows * depth * columns)
    for _ in range(count - 1):
        left = graph.add("Neg", [left])
        products.append(graph.add("MatMul", [left, right]))
    return graph.finish(*products)


def _lstm(name: str, steps: int, inputs: int, hidden: int) -> onnx.ModelProto:
    graph = Builder(name)
    x = graph.input(steps, 1, inputs)
    weights = [graph.weight((2, 4 * hidden, size), 4 * hidden) for size in (inputs, hidden)]
    bias = graph.weight((2, 8 * hidden))
    return graph.finish(graph.add("LSTM", [x, *weights, bias], 3, hidden_size=hidden, direction="bidirectional"))
