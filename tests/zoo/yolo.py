"""YOLO v5, v8, v10 and 11 (github.com/ultralytics) as they are deployed: the maps of the heads are outputs.

What follows the heads (decoding of boxes, non-maximum suppression) runs elsewhere in every table that we compare with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Unpack

import onnx

from .builder import NetworkBuilder, Size
from .graph import Options

Task = Literal["detect", "segment", "pose"]
#: version → size → depth, width, most channels
SCALES: dict[int, dict[str, tuple[float, float, int]]] = {
    5: {"n": (0.33, 0.25, 1024), "s": (0.33, 0.5, 1024), "m": (0.67, 0.75, 1024), "l": (1, 1, 1024)},
    8: {"n": (0.33, 0.25, 1024), "s": (0.33, 0.5, 1024), "m": (0.67, 0.75, 768), "l": (1, 1, 512), "x": (1, 1.25, 512)},
    10: {
        "n": (0.33, 0.25, 1024),
        "s": (0.33, 0.5, 1024),
        "m": (0.67, 0.75, 768),
        "b": (0.67, 1, 512),
        "l": (1, 1, 512),
        "x": (1, 1.25, 512),
    },
    11: {"n": (0.5, 0.25, 1024), "s": (0.5, 0.5, 1024), "m": (0.5, 1, 512), "l": (1, 1, 512), "x": (1, 1.5, 512)},
}
#: YOLOv10: the stages of backbone (512, 1024) and neck (512 down, 512 up again, 1024) that are inverted blocks
INVERTED = {"n": (0, 0, 0, 0, 1), "s": (0, 1, 0, 0, 1), "m": (0, 1, 0, 1, 1), "x": (1, 1, 1, 1, 1)}
INVERTED |= {"b": (0, 1, 1, 1, 1), "l": (0, 1, 1, 1, 1)}
CLASSES, KEYPOINTS, MASKS, BINS = 80, 51, 32, 16


class YoloBuilder(NetworkBuilder):
    """The modules that the versions share; `c` and `n` apply a size's width and depth."""

    depth, width, most = 1.0, 1.0, 1024

    def c(self, channels: int) -> int:
        """Channels at this size."""
        return math.ceil(min(channels, self.most) * self.width / 8) * 8

    def n(self, repeats: int) -> int:
        """Repeats at this size."""
        return max(round(repeats * self.depth), 1)

    def cbs(self, x: str, channels: int, kernel: Size = 1, stride: int = 1, groups: int = 1, act: bool = True) -> str:
        """Convolution, BatchNorm, SiLU."""
        y = self.conv_bn(x, channels, kernel, stride=stride, groups=groups)
        return self.silu(y) if act else y

    def upsample(self, x: str) -> str:
        """Twice the height and width, nearest."""
        shape = (*self.shapes[x][:2], 2 * self.size(x, 2), 2 * self.size(x, 3))
        scales = self.constant([1.0, 1.0, 2.0, 2.0])
        modes = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self.op("Resize", [x, "", scales], shape, **modes)

    def bottleneck(
        self, x: str, channels: int, shortcut: bool, kernels: tuple[int, int] = (3, 3), ratio: float = 1.0
    ) -> str:
        """Two convolutions around a shortcut."""
        y = self.cbs(self.cbs(x, int(channels * ratio), kernels[0]), channels, kernels[1])
        return self.add(x, y) if shortcut and self.channels(x) == channels else y

    def c3(self, x: str, channels: int, repeats: int, shortcut: bool = True, kernels: tuple[int, int] = (1, 3)) -> str:
        """A cross-stage block of three 1x1 convolutions."""
        hidden = channels // 2
        y = self.cbs(x, hidden)
        for _ in range(repeats):
            y = self.bottleneck(y, hidden, shortcut, kernels)
        return self.cbs(self.concat([y, self.cbs(x, hidden)]), channels)

    def c2f(self, x: str, channels: int, repeats: int, shortcut: bool, kind: str = "", ratio: float = 0.5) -> str:
        """A cross-stage block that keeps every step; `kind` of the steps: "", "half", "c3k", "inverted", "large"."""
        hidden = int(channels * ratio)
        parts = self.split(self.cbs(x, 2 * hidden), [hidden, hidden])
        for _ in range(repeats):
            y = parts[-1]
            if kind == "c3k":
                y = self.c3(y, hidden, 2, shortcut, (3, 3))
            elif kind in ("inverted", "large"):
                y = self.inverted(y, shortcut, kind == "large")
            else:
                y = self.bottleneck(y, hidden, shortcut, (3, 3), 0.5 if kind == "half" else 1.0)
            parts.append(y)
        return self.cbs(self.concat(parts), channels)

    def inverted(self, x: str, shortcut: bool, large: bool) -> str:
        """YOLOv10's block of depthwise convolutions, one of 7x7 (its 3x3 branch merged) where `large`."""
        channels = self.channels(x)
        y = self.cbs(self.cbs(x, channels, 3, groups=channels), 2 * channels)
        y = self.cbs(y, 2 * channels, 7 if large else 3, groups=2 * channels)
        y = self.cbs(y, channels)
        y = self.cbs(y, channels, 3, groups=channels)
        return self.add(x, y) if shortcut else y

    def sppf(self, x: str, channels: int) -> str:
        """Three pools in a row, concatenated."""
        parts = [self.cbs(x, self.channels(x) // 2)]
        for _ in range(3):
            parts.append(self.max_pool(parts[-1], 5, 1, padding=2))
        return self.cbs(self.concat(parts), channels)

    def scdown(self, x: str, channels: int) -> str:
        """YOLOv10: channels by a 1x1, then the stride by a depthwise."""
        return self.cbs(self.cbs(x, channels), channels, 3, 2, groups=channels, act=False)

    def attention(self, x: str) -> str:
        """Attention over the positions of a map, keys of half the values' width, with a depthwise for the place."""
        batch, channels, height, width = self.shapes[x]
        heads = max(self.channels(x) // 64, 1)
        size, key = self.channels(x) // heads, self.channels(x) // heads // 2
        positions = self.size(x, 2) * self.size(x, 3)
        mixed = self.cbs(x, self.channels(x) + 2 * key * heads, act=False)
        mixed = self.reshape(mixed, (batch, heads, 2 * key + size, positions))
        queries, keys, values = self.split(mixed, [key, key, size], axis=2)
        scores = self.matmul(self.transpose(queries, 0, 1, 3, 2), keys)
        weights = self.softmax(self.mul(scores, self.constant(key**-0.5)))
        y = self.reshape(self.matmul(values, self.transpose(weights, 0, 1, 3, 2)), (batch, channels, height, width))
        place = self.reshape(values, (batch, channels, height, width))
        y = self.add(y, self.cbs(place, self.channels(x), 3, groups=self.channels(x), act=False))
        return self.cbs(y, self.channels(x), act=False)

    def psa(self, x: str, repeats: int = 1) -> str:
        """Half the channels through attention and a feed-forward."""
        channels = self.channels(x)
        half = channels // 2
        kept, y = self.split(self.cbs(x, channels), [half, half])
        for _ in range(repeats):
            y = self.add(y, self.attention(y))
            y = self.add(y, self.cbs(self.cbs(y, 2 * half), half, act=False))
        return self.cbs(self.concat([kept, y]), channels)

    def prototypes(self, x: str, channels: int, transposed: bool) -> str:
        """The masks of which instances are mixed."""
        y = self.cbs(x, channels, 3)
        y = self.conv_transpose(y, channels) if transposed else self.upsample(y)
        return self.cbs(self.cbs(y, channels, 3), MASKS)

    def conv_transpose(self, x: str, channels: int) -> str:
        """A 2x2 transposed convolution of stride two."""
        weight = self.parameter("ConvTranspose.weight", (self.channels(x), channels, 2, 2), fan_in=self.channels(x))
        bias = self.parameter("ConvTranspose.bias", (channels,), "bias")
        shape = (self.shapes[x][0], channels, 2 * self.size(x, 2), 2 * self.size(x, 3))
        return self.op("ConvTranspose", [x, weight, bias], shape, kernel_shape=[2, 2], strides=[2, 2])

    def heads(self, maps: Sequence[str], light: bool, task: Task, classes: int) -> list[str]:
        """The decoupled head of v8 on: boxes as distributions, classes (by depthwise where `light`), and the task's."""
        first = self.channels(maps[0])
        boxes, scores = max(16, first // 4, 4 * BINS), max(first, min(classes, 100))
        outputs = []
        for number, x in enumerate(maps):
            self.at(f"head.{number}")
            y = self.cbs(self.cbs(x, boxes, 3), boxes, 3)
            outputs.append(self.conv(y, 4 * BINS, 1, bias=True))
            if light:
                y = self.cbs(self.cbs(x, self.channels(x), 3, groups=self.channels(x)), scores)
                y = self.cbs(self.cbs(y, scores, 3, groups=scores), scores)
            else:
                y = self.cbs(self.cbs(x, scores, 3), scores, 3)
            outputs.append(self.conv(y, classes, 1, bias=True))
            if task != "detect":
                count = MASKS if task == "segment" else KEYPOINTS
                hidden = max(first // 4, count)
                outputs.append(self.conv(self.cbs(self.cbs(x, hidden, 3), hidden, 3), count, 1, bias=True))
        if task == "segment":
            outputs.append(self.prototypes(maps[0], self.c(256), True))
        return outputs


def _builder(version: int, size: str, task: Task, options: Options) -> YoloBuilder:
    b = YoloBuilder(f"yolo_v{version}{size}" + ("" if task == "detect" else f"_{task}"), **options)
    b.depth, b.width, b.most = SCALES[version][size]
    return b


def yolo_v5(size: str = "s", task: Task = "detect", **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv5 release 6 and 7 at 640x640: cross-stage blocks C3, one map of boxes and classes a level."""
    b = _builder(5, size, task, options)
    x = b.silu(b.conv_bn(b.input("images", (3, 640, 640)), b.c(64), 6, stride=2, padding=2))
    levels = []
    for channels, repeats in ((128, 3), (256, 6), (512, 9), (1024, 3)):
        b.at(f"backbone.{channels}")
        x = b.c3(b.cbs(x, b.c(channels), 3, 2), b.c(channels), b.n(repeats))
        levels.append(x)
    x = b.sppf(x, b.c(1024))
    upper = []
    for channels in (512, 256):
        b.at(f"up.{channels}")
        upper.append(b.cbs(x, b.c(channels)))
        joined = b.concat([b.upsample(upper[-1]), levels[channels // 256]])
        x = b.c3(joined, b.c(channels), b.n(3), False)
    maps = [x]
    for channels, side in ((512, upper[1]), (1024, upper[0])):
        b.at(f"down.{channels}")
        x = b.c3(b.concat([b.cbs(x, b.c(channels // 2), 3, 2), side]), b.c(channels), b.n(3), False)
        maps.append(x)
    b.at("head")
    width = 3 * (5 + CLASSES + (MASKS if task == "segment" else 0))
    outputs = [b.conv(y, width, 1, bias=True) for y in maps]
    if task == "segment":
        outputs.append(b.prototypes(maps[0], b.c(256), False))
    return b.finish(*outputs)


def yolo_v8(size: str = "s", task: Task = "detect", **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv8 at 640x640: cross-stage blocks that keep every step, decoupled heads."""
    b = _builder(8, size, task, options)
    return _modern(b, 8, size, task)


def yolo_v10(size: str = "s", **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv10 (arXiv 2405.14458) at 640x640: v8 with lighter downsampling and heads, inverted blocks where they pay."""
    return _modern(_builder(10, size, "detect", options), 10, size, "detect")


def yolo_v11(size: str = "s", task: Task = "detect", **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLO11 at 640x640: v8 with finer blocks, attention at the end of the backbone and depthwise heads."""
    return _modern(_builder(11, size, task, options), 11, size, task)


def _modern(b: YoloBuilder, version: int, size: str, task: Task) -> onnx.ModelProto:
    inverted = INVERTED[size] if version == 10 else (0,) * 5

    def block(x: str, channels: int, repeats: int, shortcut: bool, deep: bool, place: int | None = None) -> str:
        if version == 11:
            thin = 0.25 if channels < 1024 and not deep and shortcut else 0.5
            kind = "c3k" if deep or size in ("m", "l", "x") else "half"
            return b.c2f(x, b.c(channels), b.n(2), True, kind, thin)
        if place is not None and inverted[place]:
            kind = "large" if size in ("n", "s") else "inverted"
            return b.c2f(x, b.c(channels), b.n(repeats), True, kind)
        return b.c2f(x, b.c(channels), b.n(repeats), shortcut)

    def down(x: str, channels: int, light: bool) -> str:
        return b.scdown(x, b.c(channels)) if light and version == 10 else b.cbs(x, b.c(channels), 3, 2)

    x = b.cbs(b.input("images", (3, 640, 640)), b.c(64), 3, 2)
    levels = []
    for stage, (channels, repeats) in enumerate(((128, 3), (256, 6), (512, 6), (1024, 3))):
        b.at(f"backbone.{stage}")
        x = down(x, channels, stage > 1)
        wide = 2 * channels if version == 11 and stage < 2 else channels
        x = block(x, wide, repeats, True, stage > 1, stage - 2 if stage > 1 else None)
        levels.append(x)
    x = b.sppf(x, b.c(1024))
    x = x if version == 8 else b.psa(x, b.n(2) if version == 11 else 1)
    levels[3] = x
    b.at("up.512")
    middle = block(b.concat([b.upsample(x), levels[2]]), 512, 3, False, False, 2)
    b.at("up.256")
    x = block(b.concat([b.upsample(middle), levels[1]]), 256, 3, False, False)
    maps = [x]
    for place, (channels, side) in enumerate(((512, middle), (1024, levels[3]))):
        b.at(f"down.{channels}")
        x = b.concat([down(x, channels // 2, place == 1), side])
        x = block(x, channels, 3, False, place == 1, 3 + place)
        maps.append(x)
    classes = 1 if task == "pose" else CLASSES
    return b.finish(*b.heads(maps, version > 8, task, classes))
