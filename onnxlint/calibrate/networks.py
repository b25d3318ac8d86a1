"""Whole networks of many kinds, in sizes that are used: what kernels take among others, and the profile's error.

A benchmark repeats one kernel; in a network each finds the caches as others left them. How much longer that takes is
one factor, the median over these networks; the error on each is taken with the factor of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import onnx

from onnxlint.calibrate.graphs import Builder


def networks() -> Iterator[tuple[str, Callable[[], onnx.ModelProto]]]:
    """Names and builders."""
    yield "residual", _residual
    yield "bottleneck", partial(_bottleneck, 1)
    yield "bottleneck_grouped", partial(_bottleneck, 16)
    yield "straight", _straight
    yield "inverted", partial(_inverted, "Relu", squeeze=False)
    yield "inverted_squeeze", partial(_inverted, "Swish", squeeze=True)
    yield "shuffled", _shuffled
    yield "branched", _branched
    yield "dense", _dense
    yield "encoder_decoder", _encoder_decoder
    yield "transformer", partial(_transformer, 197, 192, 3, 5)
    yield "transformer_wide", partial(_transformer, 128, 768, 12, 2)
    yield "windowed", _windowed
    yield "depthwise_mixer", _depthwise_mixer


def _head(graph: Builder, x: str, channels: int) -> onnx.ModelProto:
    flat = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    return graph.finish(graph.product(flat, channels, 1000))


def _halved(graph: Builder, x: str) -> str:
    return graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


def _sum(graph: Builder, x: str, y: str) -> str:
    return graph.add("Relu", [graph.add("Add", [x, y])])


def _residual() -> onnx.ModelProto:
    graph = Builder("residual")
    x = _halved(graph, graph.conv(graph.input(1, 3, 192, 192), (3, 64), 7, stride=2))
    before = 64
    for width in (64, 128, 256, 512):
        stride = 1 if width == before else 2
        y = graph.conv(graph.conv(x, (before, width), 3, stride=stride), (width, width), 3, activation=None)
        short = x if stride == 1 else graph.conv(x, (before, width), stride=2, activation=None)
        x, before = _sum(graph, short, y), width
        y = graph.conv(graph.conv(x, (width, width), 3), (width, width), 3, activation=None)
        x = _sum(graph, x, y)
    return _head(graph, x, before)


def _bottleneck(groups: int) -> onnx.ModelProto:
    graph = Builder("bottleneck")
    x = _halved(graph, graph.conv(graph.input(1, 3, 192, 192), (3, 64), 7, stride=2))
    before = 64
    for width in (64, 128, 256, 512):
        for index in range(2):
            stride = 2 if index == 0 and width > 64 else 1
            y = graph.conv(graph.conv(x, (before, width)), (width, width), 3, stride=stride, groups=groups)
            y = graph.conv(y, (width, 4 * width), activation=None)
            short = x if index else graph.conv(x, (before, 4 * width), stride=stride, activation=None)
            x, before = _sum(graph, short, y), 4 * width
    return _head(graph, x, before)


def _straight() -> onnx.ModelProto:
    graph = Builder("straight")
    x, before = graph.input(1, 3, 112, 112), 3
    for width in (48, 96, 192, 384):
        x = graph.conv(graph.conv(x, (before, width), 3), (width, width), 3)
        x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        before = width
    x = graph.add("Relu", [graph.product(graph.add("Flatten", [x]), before * 49, 1024)])
    return graph.finish(graph.product(x, 1024, 1000))


def _activated(graph: Builder, x: str, activation: str) -> str:
    return graph.silu(x) if activation == "Swish" else graph.add(activation, [x])


def _inverted(activation: str, *, squeeze: bool) -> onnx.ModelProto:
    graph = Builder("inverted")
    x = graph.conv(graph.input(1, 3, 224, 224), (3, 32), 3, stride=2)
    before = 32
    for width, repeats in ((24, 2), (40, 2), (80, 3), (112, 2), (192, 3)):
        for index in range(repeats):
            wide, stride = before * 6, 2 if index == 0 and width != 112 else 1
            y = _activated(graph, graph.conv(x, (before, wide), activation=None), activation)
            y = graph.conv(y, (wide, wide), 3, stride=stride, groups=wide, activation=None)
            y = _activated(graph, y, activation)
            if squeeze:
                point = graph.conv(graph.add("ReduceMean", [y], axes=[2, 3], keepdims=1), (wide, before // 4))
                y = graph.add("Mul", [y, graph.conv(point, (before // 4, wide), activation="Sigmoid")])
            y = graph.conv(y, (wide, width), activation=None)
            x = graph.add("Add", [x, y]) if index else y
            before = width
    return _head(graph, graph.conv(x, (before, 1280)), 1280)


def _shuffled() -> onnx.ModelProto:
    graph = Builder("shuffled")
    x = _halved(graph, graph.conv(graph.input(1, 3, 224, 224), (3, 24), 3, stride=2))
    before = 24
    for width, side, repeats in ((116, 28, 3), (232, 14, 6), (464, 7, 3)):
        half = width // 2
        y = graph.conv(x, (before, before), 3, stride=2, groups=before, activation=None)
        left = graph.conv(y, (before, half))
        y = graph.conv(graph.conv(x, (before, half)), (half, half), 3, stride=2, groups=half, activation=None)
        x = _interleaved(graph, left, graph.conv(y, (half, half)), half, side)
        split = graph.constant([half, half])
        for _ in range(repeats):
            kept = graph.add("Split", [x, split], outputs=2, axis=1)
            y = graph.conv(graph.conv(f"{kept}_1", (half, half)), (half, half), 3, groups=half, activation=None)
            x = _interleaved(graph, kept, graph.conv(y, (half, half)), half, side)
        before = width
    return _head(graph, graph.conv(x, (before, 1024)), 1024)


def _interleaved(graph: Builder, left: str, right: str, half: int, side: int) -> str:
    both = graph.add("Concat", [left, right], axis=1)
    apart = graph.add("Reshape", [both, graph.constant([1, 2, half, side, side])])
    mixed = graph.add("Transpose", [apart], perm=[0, 2, 1, 3, 4])
    return graph.add("Reshape", [mixed, graph.constant([1, 2 * half, side, side])])


def _branched() -> onnx.ModelProto:
    graph = Builder("branched")
    x = _halved(graph, graph.conv(graph.input(1, 3, 224, 224), (3, 64), 7, stride=2))
    x, before = _halved(graph, graph.conv(x, (64, 192), 3)), 192
    for width, repeats in ((128, 3), (192, 3)):
        for _ in range(repeats):
            wide = graph.conv(graph.conv(x, (before, width // 2)), (width // 2, width), 3)
            wider = graph.conv(graph.conv(x, (before, width // 8)), (width // 8, width // 4), 5)
            pooled = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
            parts = [graph.conv(x, (before, width)), wide, wider, graph.conv(pooled, (before, width // 2))]
            x, before = graph.add("Concat", parts, axis=1), width * 11 // 4
        x = _halved(graph, x)
    return _head(graph, x, before)


def _dense() -> onnx.ModelProto:
    graph = Builder("dense")
    x, channels = _halved(graph, graph.conv(graph.input(1, 3, 224, 224), (3, 64), 7, stride=2)), 64
    for layers in (4, 6, 8):
        for _ in range(layers):
            y = graph.conv(graph.conv(x, (channels, 128)), (128, 32), 3)
            x, channels = graph.add("Concat", [x, y], axis=1), channels + 32
        x = graph.conv(x, (channels, channels // 2))
        x, channels = graph.add("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2]), channels // 2
    return _head(graph, x, channels)


def _encoder_decoder() -> onnx.ModelProto:
    graph = Builder("encoder_decoder")
    x = graph.conv(graph.input(1, 3, 128, 128), (3, 24), 3)
    skips: list[tuple[str, int]] = []
    before = 24
    for width in (48, 96, 192):
        skips.append((x, before))
        x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        x = graph.conv(graph.conv(x, (before, width), 3), (width, width), 3)
        before = width
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    for skip, width in reversed(skips):
        x = graph.add("Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric")
        x = graph.conv(graph.add("Concat", [x, skip], axis=1), (before + width, width), 3)
        before = width
    return graph.finish(graph.conv(x, (before, 2), activation="Sigmoid"))


def _transformer(tokens: int, width: int, heads: int, layers: int) -> onnx.ModelProto:
    graph = Builder("transformer")
    x = graph.input(1, tokens, width)
    for _ in range(layers):
        x = graph.add("Add", [x, _attended(graph, _norm(graph, x, width), (1, tokens), width, heads)])
        x = graph.add("Add", [x, _mlp(graph, _norm(graph, x, width), width)])
    return graph.finish(_norm(graph, x, width))


def _attended(graph: Builder, x: str, dims: tuple[int, int], width: int, heads: int) -> str:
    """Self-attention over `dims`: groups that don't see each other, tokens in each."""
    split = graph.constant([*dims, heads, width // heads])
    merged = graph.constant([*dims, width])
    parts = [graph.add("Reshape", [graph.product(x, width, width), split]) for _ in range(3)]
    query, value = (graph.add("Transpose", [part], perm=[0, 2, 1, 3]) for part in (parts[0], parts[2]))
    key = graph.add("Transpose", [parts[1]], perm=[0, 2, 3, 1])
    scale = graph.constant(np.float32((width // heads) ** -0.5))
    scores = graph.add("Mul", [graph.add("MatMul", [query, key]), scale])
    mixed = graph.add("MatMul", [graph.add("Softmax", [scores], axis=-1), value])
    mixed = graph.add("Reshape", [graph.add("Transpose", [mixed], perm=[0, 2, 1, 3]), merged])
    return graph.product(mixed, width, width)


def _mlp(graph: Builder, x: str, width: int) -> str:
    return graph.product(graph.gelu(graph.product(x, width, 4 * width)), 4 * width, width)


def _norm(graph: Builder, x: str, width: int) -> str:
    return graph.add("LayerNormalization", [x, graph.weight((width,)), graph.weight((width,))])


def _windowed() -> onnx.ModelProto:
    """Attention within windows of 7×7 positions, in two stages."""
    graph = Builder("windowed")
    x = _patches(graph, graph.input(1, 3, 224, 224), (3, 96), 4)
    for side, width, layers in ((56, 96, 1), (28, 192, 2)):
        if width > 96:
            x = _channels_first(graph, x)
            x = _patches(graph, x, (width // 2, width), 2)
        for _ in range(layers):
            y = _windows(graph, _norm(graph, x, width), (1, side // 7, 7, side // 7, 7, width), (-1, 49, width))
            y = _attended(graph, y, ((side // 7) ** 2, 49), width, width // 32)
            y = _windows(graph, y, (1, side // 7, side // 7, 7, 7, width), (1, side, side, width))
            x = graph.add("Add", [x, y])
            x = graph.add("Add", [x, _mlp(graph, _norm(graph, x, width), width)])
    return graph.finish(_norm(graph, x, width))


def _windows(graph: Builder, x: str, apart: Sequence[int], merged: Sequence[int]) -> str:
    y = graph.add("Reshape", [x, graph.constant(list(apart))])
    y = graph.add("Transpose", [y], perm=[0, 1, 3, 2, 4, 5])
    return graph.add("Reshape", [y, graph.constant(list(merged))])


def _patches(graph: Builder, x: str, channels: tuple[int, int], size: int) -> str:
    """A convolution of windows that don't overlap, channels last behind it."""
    return _channels_last(graph, graph.conv(x, channels, size, stride=size, padding=0, activation=None))


def _channels_last(graph: Builder, x: str) -> str:
    return graph.add("Transpose", [x], perm=[0, 2, 3, 1])


def _channels_first(graph: Builder, x: str) -> str:
    return graph.add("Transpose", [x], perm=[0, 3, 1, 2])


def _depthwise_mixer() -> onnx.ModelProto:
    """7×7 depthwise convolutions, then a normalization and two products over channels last."""
    graph = Builder("depthwise_mixer")
    x = graph.conv(graph.input(1, 3, 192, 192), (3, 64), 4, stride=4, padding=0, activation=None)
    before = 64
    for width, layers in ((64, 2), (128, 2), (256, 3)):
        if width > before:
            x = graph.conv(x, (before, width), 2, stride=2, padding=0, activation=None)
        for _ in range(layers):
            y = graph.conv(x, (width, width), 7, groups=width, activation=None)
            y = _norm(graph, _channels_last(graph, y), width)
            x = graph.add("Add", [x, _channels_first(graph, _mlp(graph, y, width))])
        before = width
    return _head(graph, x, before)
