"""Benchmarks of everything that multiplies no matrices: element-wise, normalizing, pooling, resizing, moving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import onnx

from onnxlint.calibrate import integers
from onnxlint.calibrate import small_graphs as make

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
_LAUNCHES = (1, 8, 64)
_MIXED = (16, 64, 160)


def graphs() -> Graphs:
    """Names and builders of all of them."""
    for count in _LAUNCHES:
        yield f"launch_{count}", partial(make.chain, "launch", "Neg", (1, 16, 3, 3), repeats=count)
    for count in _MIXED:
        yield f"mixed_{count}", partial(make.mixed, "mixed", count)
    yield "reshape_64", partial(make.reshapes, "reshape", (1, 64, 14, 14))
    for channels, side in _SIZES:
        name = f"convert_{channels}_{side}"
        yield name, partial(make.conversions, name, (1, channels, side, side))
    for op in _UNARY:
        for channels, side in _SIZES if op != "Neg" else (*_SIZES, _LARGE, (16, 3)):
            name = f"{op.lower()}_{channels}_{side}"
            yield name, partial(make.unary, name, op, (1, channels, side, side))
    for op in _BINARY:
        for channels, side in _SIZES if op != "Add" else (*_SIZES, _LARGE, (16, 3)):
            name = f"{op.lower()}_{channels}_{side}"
            yield name, partial(make.binary, name, op, (1, channels, side, side))
    for channels, side in _SIZES:
        for op in ("Mul", "Add"):
            name = f"{op.lower()}_channel_{channels}_{side}"
            yield name, partial(make.scaled, name, op, (1, channels, side, side), (1, channels, 1, 1))
            name = f"{op.lower()}_row_{channels}_{side}"
            yield name, partial(make.scaled, name, op, (1, side * side, channels), (channels,))
        name = f"batchnorm_{channels}_{side}"
        yield name, partial(make.normalized, name, "BatchNormalization", (1, channels, side, side))
        name = f"batchnorm_relu_{channels}_{side}"
        yield name, partial(make.normalized, name, "BatchNormalization", (1, channels, side, side), activation="Relu")
        name = f"prelu_{channels}_{side}"
        yield name, partial(make.prelu, name, (1, channels, side, side))
        name = f"silu_{channels}_{side}"
        yield name, partial(make.silu, name, (1, channels, side, side))
        name = f"gelu_{channels}_{side}"
        yield name, partial(make.gelu, name, (1, side * side, channels))
        name = f"quantize_{channels}_{side}"
        yield name, partial(make.quantizations, name, (1, channels, side, side))
        for op in ("Add", "Mul"):
            name = f"qlinear{op.lower()}_{channels}_{side}"
            yield name, partial(integers.binary, name, f"QLinear{op}", (1, channels, side, side))
        name = f"qlinearsigmoid_{channels}_{side}"
        yield name, partial(integers.unary, name, "QLinearSigmoid", (1, channels, side, side))
        name = f"qlinearleakyrelu_{channels}_{side}"
        yield name, partial(integers.unary, name, "QLinearLeakyRelu", (1, channels, side, side), alpha=0.1)
        name = f"qlinearconcat_{channels}_{side}"
        yield name, partial(integers.concats, name, (1, channels, side, side))
        name = f"where_{channels}_{side}"
        yield name, partial(make.where, name, (1, channels, side, side))
    for rows, columns in ((197, 192), (49, 768), (3136, 96), (128, 312), (3136, 24), (784, 48)):
        name = f"layernorm_{rows}_{columns}"
        yield name, partial(make.normalized, name, "LayerNormalization", (1, rows, columns))
        name = f"skiplayernorm_{rows}_{columns}"
        yield name, partial(make.skip_layer_norm, name, (1, rows, columns))
        name = f"layernorm_parts_{rows}_{columns}"
        yield name, partial(make.layer_norm_parts, name, (1, rows, columns))
    for heads, rows, columns in ((3, 197, 197), (192, 49, 49), (12, 128, 128), (4, 784, 49), (784, 16, 16)):
        name = f"softmax_{heads}_{rows}_{columns}"
        yield name, partial(make.chain, name, "Softmax", (1, heads, rows, columns), axis=-1)
        name = f"qlinearsoftmax_{heads}_{rows}_{columns}"
        yield name, partial(integers.unary, name, "QLinearSoftmax", (1, heads, rows, columns), axis=-1, opset=13)
    # the runtime moves Transposes away, so that a softmax over tokens normalizes the first of several axes
    for tokens, heads, columns in ((785, 8, 16), (197, 8, 32), (2, 1, 256)):
        name = f"inner_softmax_{tokens}_{heads}_{columns}"
        yield name, partial(make.chain, name, "Softmax", (1, tokens, heads, columns), axis=1)
    for channels, side in ((96, 28), (64, 56), (512, 7)):
        for op in ("GlobalAveragePool", "ReduceMean", "ReduceSum"):
            name = f"{op.lower()}_{channels}_{side}"
            options: dict[str, Any] = {"axes": [2, 3], "keepdims": 1} if op == "ReduceMean" else {}
            if op == "ReduceSum":
                yield name, partial(make.sums, name, (1, 2, channels, side, side))
                continue
            yield name, partial(make.fan, name, op, (1, channels, side, side), **options)
        name = f"reducemean_last_{channels}_{side}"
        yield name, partial(make.fan, name, "ReduceMean", (1, side * side, channels), axes=[-1], keepdims=1)
    yield from _pools()
    yield from _movement()


def _pools() -> Graphs:
    for channels, side in ((64, 56), (512, 7)):
        name = f"qlinearpool_{channels}_{side}"
        yield name, partial(integers.pools, name, (1, channels, side, side))
    for channels, side in ((64, 112), (64, 28)):
        name = f"nhwcmaxpool_{channels}_{side}"
        yield name, partial(integers.max_pools, name, (1, channels, side, side))
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
                yield name + suffix, partial(make.fan, name, op, (1, channels, side, side), blocked=blocked, **options)
        for kernel, stride, channels, side in ((3, 2, 24, 112), (3, 1, 44, 28), (3, 2, 90, 14)):
            name = f"plain_{op.lower()}{kernel}s{stride}_{channels}_{side}"
            options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [1] * 4}
            yield name, partial(make.fan, name, op, (1, channels, side, side), **options)
    for channels, side in ((64, 56), (192, 27)):
        yield f"lrn_{channels}_{side}", partial(make.chain, "lrn", "LRN", (1, channels, side, side), size=5)


_TRANSPOSES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    *(((1, 96, 28, 28), (0, 2, 3, 1)), ((1, 28, 28, 96), (0, 3, 1, 2)), ((1, 64, 56, 56), (0, 2, 3, 1))),
    *(((1, 197, 3, 64), (0, 2, 1, 3)), ((1, 3, 197, 64), (0, 2, 1, 3)), ((1, 128, 12, 64), (0, 2, 1, 3))),
    *(((1, 12, 128, 64), (0, 1, 3, 2)), ((1, 784, 192), (0, 2, 1)), ((64, 49, 3, 3, 32), (2, 0, 3, 1, 4))),
    *(((1, 2, 58, 28, 28), (0, 2, 1, 3, 4)), ((1, 8, 7, 8, 7, 96), (0, 1, 3, 2, 4, 5))),
    *(((196, 4, 16, 6), (0, 2, 1, 3)), ((1, 8, 785, 8), (0, 2, 1, 3))),
    *(((4, 256, 96), (2, 1, 0)), ((144, 64, 4), (2, 1, 0))),
)
_EXPANSIONS = (
    ("rows", (1, 64, 1, 56), (1, 64, 56, 56)),
    ("rows", (3, 1, 64, 64), (3, 12, 64, 64)),
    ("last", (1, 256, 1, 1), (1, 256, 28, 28)),
    ("last", (16, 6, 49, 1), (16, 6, 49, 32)),
)


def _movement() -> Graphs:
    for dims, order in _TRANSPOSES:
        name = f"transpose_{'x'.join(map(str, dims))}_{''.join(map(str, order))}"
        yield name, partial(make.transposes, name, dims, order)
    for kind, dims, wider in _EXPANSIONS:
        name = f"expand_{kind}_{'x'.join(map(str, wider))}"
        yield name, partial(make.expansions, name, dims, wider)
    # behind a projection to queries and keys, whose Transpose the runtime moves behind the Split
    for dims, axis in (((1, 197, 2, 6, 64), 2), ((64, 49, 2, 3, 32), 2)):
        name = f"split_middle_{'x'.join(map(str, dims))}"
        yield name, partial(make.splits, name, dims, axis)
    for channels, side in ((64, 7), (64, 28), (64, 56), (128, 56)):
        dims = (1, channels, side, side)
        yield f"concat_{channels}_{side}", partial(make.concats, "concat", dims, 1)
        yield f"concat_last_{channels}_{side}", partial(make.concats, "concat_last", dims, 3)
        yield f"split_{channels}_{side}", partial(make.splits, "split", dims, 1)
        yield f"slice_{channels}_{side}", partial(make.slices, "slice", dims, 1)
        yield f"slice_last_{channels}_{side}", partial(make.slices, "slice_last", dims, 3)
        yield f"slice_step_{channels}_{side}", partial(make.slices, "slice_step", dims, 3, 2)
        yield f"gather_{channels}_{side}", partial(make.gathers, "gather", dims)
        yield f"pad_{channels}_{side}", partial(make.pads, "pad", dims)
        for mode in ("nearest", "linear"):
            yield f"resize_{mode}_{channels}_{side}", partial(make.resizes, "resize", dims, mode)
    # by a factor that puts every pixel between others, as an image or a position embedding is fitted to a size
    for channels, side in ((3, 96), (16, 40), (64, 28)):
        name = f"resize_cubic_{channels}_{side}"
        yield name, partial(make.resizes, name, (1, channels, side, side), "cubic", 1.1)
