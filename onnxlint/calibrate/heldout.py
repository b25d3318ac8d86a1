"""Whole small networks of several kinds, which no parameter is fitted to: the error on them is the profile's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import onnx

from onnxlint.calibrate.graphs import Builder

_WIDTHS = (32, 64, 128, 256)


def networks() -> Iterator[tuple[str, Callable[[], onnx.ModelProto]]]:
    """Names and builders."""
    yield "residual", partial(_residual, _WIDTHS, 96)
    yield "residual_wide", partial(_residual, (64, 96, 192, 384), 128)
    yield "inverted", partial(_inverted, "Relu", squeeze=False)
    yield "inverted_squeeze", partial(_inverted, "Swish", squeeze=True)
    yield "transformer", partial(_transformer, 197, 192, 3, 4)
    yield "transformer_wide", partial(_transformer, 128, 384, 6, 2)
    yield "encoder_decoder", _encoder_decoder
    yield "dense", _dense
    yield "shuffled", _shuffled


def _residual(widths: tuple[int, ...], side: int) -> onnx.ModelProto:
    graph = Builder("residual")
    x = graph.conv(graph.input(1, 3, side, side), (3, widths[0]), 3, stride=2)
    before = widths[0]
    for width in widths:
        x = graph.conv(x, (before, width), 3, stride=2)
        for _ in range(2):
            y = graph.conv(graph.conv(x, (width, width), 3), (width, width), 3, activation=None)
            x = graph.add("Relu", [graph.add("Add", [x, y])])
        before = width
    return _head(graph, x, before)


def _head(graph: Builder, x: str, channels: int) -> onnx.ModelProto:
    flat = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    return graph.finish(graph.product(flat, channels, 1000))


def _activated(graph: Builder, x: str, activation: str) -> str:
    return graph.add("Mul", [x, graph.add("Sigmoid", [x])]) if activation == "Swish" else graph.add(activation, [x])


def _inverted(activation: str, *, squeeze: bool) -> onnx.ModelProto:
    graph = Builder("inverted")
    x = graph.conv(graph.input(1, 3, 160, 160), (3, 16), 3, stride=2)
    before = 16
    for width, repeats in ((24, 2), (40, 2), (80, 3), (112, 2), (192, 2)):
        for index in range(repeats):
            wide, stride = before * 6, 2 if index == 0 else 1
            y = _activated(graph, graph.conv(x, (before, wide), activation=None), activation)
            y = graph.conv(y, (wide, wide), 3, stride=stride, groups=wide, activation=None)
            y = _activated(graph, y, activation)
            if squeeze:
                point = graph.conv(graph.add("ReduceMean", [y], axes=[2, 3], keepdims=1), (wide, before // 4))
                y = graph.add("Mul", [y, graph.conv(point, (before // 4, wide), activation="Sigmoid")])
            y = graph.conv(y, (wide, width), activation=None)
            x = graph.add("Add", [x, y]) if stride == 1 else y
            before = width
    return _head(graph, graph.conv(x, (before, 640)), 640)


def _transformer(tokens: int, width: int, heads: int, layers: int) -> onnx.ModelProto:
    graph = Builder("transformer")
    x = graph.input(1, tokens, width)
    split = graph.constant([0, 0, heads, width // heads])
    merged = graph.constant([0, 0, width])
    scale = graph.constant(_float((width // heads) ** -0.5))
    for _ in range(layers):
        y = _norm(graph, x, width)
        parts = [graph.add("Reshape", [graph.product(y, width, width), split]) for _ in range(3)]
        query, value = (graph.add("Transpose", [part], perm=[0, 2, 1, 3]) for part in (parts[0], parts[2]))
        key = graph.add("Transpose", [parts[1]], perm=[0, 2, 3, 1])
        scores = graph.add("Mul", [graph.add("MatMul", [query, key]), scale])
        mixed = graph.add("MatMul", [graph.add("Softmax", [scores], axis=-1), value])
        mixed = graph.add("Reshape", [graph.add("Transpose", [mixed], perm=[0, 2, 1, 3]), merged])
        x = graph.add("Add", [x, graph.product(mixed, width, width)])
        y = _gelu(graph, graph.product(_norm(graph, x, width), width, 4 * width))
        x = graph.add("Add", [x, graph.product(y, 4 * width, width)])
    return graph.finish(_norm(graph, x, width))


def _float(value: float) -> object:
    import numpy as np

    return np.float32(value)


def _norm(graph: Builder, x: str, width: int) -> str:
    return graph.add("LayerNormalization", [x, graph.weight((width,)), graph.weight((width,))])


def _gelu(graph: Builder, x: str) -> str:
    inner = graph.add("Erf", [graph.add("Div", [x, graph.constant(_float(2**0.5))])])
    product = graph.add("Mul", [x, graph.add("Add", [inner, graph.constant(_float(1))])])
    return graph.add("Mul", [product, graph.constant(_float(0.5))])


def _encoder_decoder() -> onnx.ModelProto:
    graph = Builder("encoder_decoder")
    x = graph.conv(graph.input(1, 3, 96, 96), (3, 16), 3)
    skips: list[tuple[str, int]] = []
    before = 16
    for width in (32, 64, 128):
        skips.append((x, before))
        x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        x = graph.conv(graph.conv(x, (before, width), 3), (width, width), 3)
        before = width
    scales = graph.constant([_float(value) for value in (1, 1, 2, 2)])
    for skip, width in reversed(skips):
        x = graph.add("Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric")
        x = graph.conv(graph.add("Concat", [x, skip], axis=1), (before + width, width), 3)
        before = width
    return graph.finish(graph.conv(x, (before, 2), activation="Sigmoid"))


def _dense() -> onnx.ModelProto:
    graph = Builder("dense")
    x = graph.conv(graph.input(1, 3, 64, 64), (3, 64), 3, stride=2)
    channels = 64
    for _ in range(8):
        y = graph.conv(graph.conv(x, (channels, 64)), (64, 32), 3)
        x = graph.add("Concat", [x, y], axis=1)
        channels += 32
    return _head(graph, x, channels)


def _shuffled() -> onnx.ModelProto:
    graph = Builder("shuffled")
    x = graph.conv(graph.input(1, 3, 112, 112), (3, 128), 3, stride=4)
    split, apart, back = (graph.constant(v) for v in ([64, 64], [1, 2, 64, 28, 28], [1, 128, 28, 28]))
    for _ in range(6):
        kept = graph.add("Split", [x, split], outputs=2, axis=1)
        y = graph.conv(graph.conv(f"{kept}_1", (64, 64)), (64, 64), 3, groups=64, activation=None)
        both = graph.add("Concat", [kept, graph.conv(y, (64, 64))], axis=1)
        mixed = graph.add("Transpose", [graph.add("Reshape", [both, apart])], perm=[0, 2, 1, 3, 4])
        x = graph.add("Reshape", [mixed, back])
    return _head(graph, x, 128)
