"""YOLO v3, v4 tiny, v5 release 2, v6, v7 and YOLOX, SSD of MobileNet: detectors as deployed, up to the heads' maps."""

from __future__ import annotations

from typing import Unpack

import onnx

from .graph import Options
from .mobilenet import V1_UNITS
from .yolo import YoloBuilder

ANCHORED = 3 * (5 + 80)
DEPTH_AND_WIDTH = {"tiny": (0.33, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}


def _sized(name: str, depth: float, width: float, options: Options) -> YoloBuilder:
    b = YoloBuilder(name, **options)
    b.depth, b.width = depth, width
    return b


def _leaky(b: YoloBuilder, x: str, channels: int, kernel: int = 1, stride: int = 1) -> str:
    return b.leaky_relu(b.conv_bn(x, channels, kernel, stride=stride), 0.1)


def _focus(b: YoloBuilder, pixels: int) -> str:
    """Every second pixel, four times, into the channels."""
    x = b.input("images", (3, pixels, pixels))
    batch = b.shapes[x][0]
    parts = []
    for right in (0, 1):
        for down in (0, 1):
            y = x
            for axis, start in ((2, down), (3, right)):
                bounds = [b.integers([value]) for value in (start, pixels, axis, 2)]
                shape = list(b.shapes[y])
                shape[axis] = pixels // 2
                y = b.op("Slice", [y, *bounds], shape)
            parts.append(y)
    assert b.shapes[parts[0]] == (batch, 3, pixels // 2, pixels // 2)
    return b.concat(parts)


def _spp(b: YoloBuilder, x: str) -> str:
    return b.concat([x, *(b.max_pool(x, k, 1, padding=k // 2) for k in (5, 9, 13))])


def yolo_v3(pixels: int = 608, **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv3 (arXiv 1804.02767): Darknet-53 and three levels."""
    b = YoloBuilder("yolo_v3", **options)
    x = _leaky(b, b.input("images", (3, pixels, pixels)), 32, 3)
    levels = []
    for stage, repeats in enumerate((1, 2, 8, 8, 4)):
        channels = 64 << stage
        x = _leaky(b, x, channels, 3, 2)
        for _ in range(repeats):
            x = b.add(x, _leaky(b, _leaky(b, x, channels // 2), channels, 3))
        levels.append(x)
    outputs = []
    for number, channels in enumerate((512, 256, 128)):
        if number:
            x = b.concat([b.upsample(_leaky(b, x, channels)), levels[4 - number]])
        for step in range(5):
            x = _leaky(b, x, channels * (1 + step % 2), 1 + 2 * (step % 2))
        outputs.append(b.conv(_leaky(b, x, 2 * channels, 3), ANCHORED, 1, bias=True))
    return b.finish(*outputs)


def tiny_yolo_v3(**options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv3 tiny at 416x416: seven convolutions, pools between them, two levels."""
    b = YoloBuilder("tiny_yolo_v3", **options)
    x = b.input("images", (3, 416, 416))
    for number in range(4):
        x = b.max_pool(_leaky(b, x, 16 << number, 3), 2, 2)
    fine = _leaky(b, x, 256, 3)
    x = _leaky(b, b.max_pool(fine, 2, 2), 512, 3)
    x = b.max_pool(x, 2, 1, padding=(0, 0, 1, 1))
    x = _leaky(b, _leaky(b, x, 1024, 3), 256)
    coarse = b.conv(_leaky(b, x, 512, 3), ANCHORED, 1, bias=True)
    y = b.concat([b.upsample(_leaky(b, x, 128)), fine])
    return b.finish(coarse, b.conv(_leaky(b, y, 256, 3), ANCHORED, 1, bias=True))


def tiny_yolo_v4(**options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv4 tiny (arXiv 2011.08036) at 416x416: three cross-stage blocks, two levels."""
    b = YoloBuilder("tiny_yolo_v4", **options)
    x = _leaky(b, _leaky(b, b.input("images", (3, 416, 416)), 32, 3, 2), 64, 3, 2)
    fine = x
    for channels in (64, 128, 256):
        x = _leaky(b, x, channels, 3)
        half = b.split(x, [channels // 2, channels // 2])[1]
        first = _leaky(b, half, channels // 2, 3)
        second = _leaky(b, first, channels // 2, 3)
        fine = _leaky(b, b.concat([second, first]), channels)
        x = b.max_pool(b.concat([x, fine]), 2, 2)
    x = _leaky(b, _leaky(b, x, 512, 3), 256)
    coarse = b.conv(_leaky(b, x, 512, 3), ANCHORED, 1, bias=True)
    y = b.concat([b.upsample(_leaky(b, x, 128)), fine])
    return b.finish(coarse, b.conv(_leaky(b, y, 256, 3), ANCHORED, 1, bias=True))


def yolo_v5_r2(size: str = "s", **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv5 release 2 at 640x640: Focus, BottleneckCSP, leaky ReLU."""
    b = _sized(f"yolo_v5{size}_r2", *DEPTH_AND_WIDTH[size], options)

    def csp(x: str, channels: int, repeats: int, shortcut: bool = True) -> str:
        hidden = channels // 2
        y = _leaky(b, x, hidden)
        for _ in range(b.n(repeats)):
            z = _leaky(b, _leaky(b, y, hidden), hidden, 3)
            y = b.add(y, z) if shortcut else z
        y = b.concat([b.conv(y, hidden, 1), b.conv(x, hidden, 1)])
        return _leaky(b, b.leaky_relu(b.batchnorm(y), 0.1), channels)

    x = _leaky(b, _focus(b, 640), b.c(64), 3)
    levels = []
    for channels, repeats in ((128, 3), (256, 9), (512, 9)):
        x = csp(_leaky(b, x, b.c(channels), 3, 2), b.c(channels), repeats)
        levels.append(x)
    x = _leaky(b, x, b.c(1024), 3, 2)
    x = _leaky(b, _spp(b, _leaky(b, x, b.c(512))), b.c(1024))
    x = csp(x, b.c(1024), 3, False)
    upper = []
    for channels in (512, 256):
        upper.append(_leaky(b, x, b.c(channels)))
        x = csp(b.concat([b.upsample(upper[-1]), levels[channels // 256]]), b.c(channels), 3, False)
    maps = [x]
    for channels, side in ((512, upper[1]), (1024, upper[0])):
        x = csp(b.concat([_leaky(b, x, b.c(channels // 2), 3, 2), side]), b.c(channels), 3, False)
        maps.append(x)
    return b.finish(*(b.conv(y, ANCHORED, 1, bias=True) for y in maps))


def yolo_v6(size: str = "n", **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv6 release 0.2 (arXiv 2209.02976), n or s, at 640x640: plain 3x3 convolutions once merged."""
    b = _sized(f"yolo_v6{size}", 0.33, 0.25 if size == "n" else 0.5, options)

    def rep(x: str, channels: int, stride: int = 1) -> str:
        return b.relu(b.conv(x, channels, 3, stride=stride, bias=True))

    def block(x: str, channels: int, repeats: int) -> str:
        for _ in range(b.n(repeats)):
            x = rep(x, channels)
        return x

    def conv(x: str, channels: int, kernel: int = 1, stride: int = 1) -> str:
        return b.relu(b.conv_bn(x, channels, kernel, stride=stride))

    x = rep(b.input("images", (3, 640, 640)), b.c(64), 2)
    levels = []
    for channels, repeats in ((128, 6), (256, 12), (512, 18), (1024, 6)):
        x = block(rep(x, b.c(channels), 2), b.c(channels), repeats)
        levels.append(x)
    parts = [conv(x, b.c(512))]
    for _ in range(3):
        parts.append(b.max_pool(parts[-1], 5, 1, padding=2))
    x = conv(b.concat(parts), b.c(1024))
    upper = []
    for channels, level in ((256, 2), (128, 1)):
        upper.append(conv(x, b.c(channels)))
        x = block(b.concat([b.conv_transpose(upper[-1], b.c(channels)), levels[level]]), b.c(channels), 12)
    maps = [x]
    for channels, side in ((256, upper[1]), (512, upper[0])):
        x = block(b.concat([conv(x, b.c(channels // 2), 3, 2), side]), b.c(channels), 12)
        maps.append(x)
    outputs = []
    for x in maps:
        y = b.cbs(x, b.channels(x))
        outputs.append(b.conv(b.cbs(y, b.channels(x), 3), 80, 1, bias=True))
        outputs.append(b.conv(b.cbs(y, b.channels(x), 3), 4, 1, bias=True))
    return b.finish(*outputs)


def yolo_v7(**options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv7 (arXiv 2207.02696) at 640x640, its RepConv branches merged."""
    b = YoloBuilder("yolo_v7", **options)

    def elan(x: str, hidden: int, out: int, steps: int = 4) -> str:
        first = b.cbs(x, hidden)
        parts = [first, b.cbs(x, hidden)]
        for _ in range(steps):
            parts.append(b.cbs(parts[-1], hidden, 3))
        return b.cbs(b.concat([parts[-1], parts[-3], parts[-5], first]), out)

    def wide(x: str, hidden: int) -> str:
        parts = [b.cbs(x, hidden), b.cbs(x, hidden)]
        for _ in range(4):
            parts.append(b.cbs(parts[-1], hidden // 2, 3))
        return b.cbs(b.concat(parts), hidden)

    def down(x: str, channels: int) -> list[str]:
        pooled = b.cbs(b.max_pool(x, 2, 2), channels)
        return [b.cbs(b.cbs(x, channels), channels, 3, 2), pooled]

    x = b.cbs(b.cbs(b.input("images", (3, 640, 640)), 32, 3), 64, 3, 2)
    x = elan(b.cbs(b.cbs(x, 64, 3), 128, 3, 2), 64, 256)
    levels = []
    for hidden, out in ((128, 512), (256, 1024), (256, 1024)):
        x = elan(b.concat(down(x, b.channels(x) // 2)), hidden, out)
        levels.append(x)
    y = b.cbs(b.cbs(b.cbs(x, 512), 512, 3), 512)
    y = b.cbs(b.cbs(_spp(b, y), 512), 512, 3)
    x = b.cbs(b.concat([y, b.cbs(x, 512)]), 512)
    upper = [x]
    for channels, level in ((256, 1), (128, 0)):
        x = b.upsample(b.cbs(x, channels))
        x = wide(b.concat([b.cbs(levels[level], channels), x]), channels)
        upper.append(x)
    maps = [x]
    for channels, side in ((128, upper[1]), (256, upper[0])):
        x = wide(b.concat([*down(x, channels), side]), 2 * channels)
        maps.append(x)
    heads = [b.silu(b.conv(y, 2 * b.channels(y), 3, bias=True)) for y in maps]
    return b.finish(*(b.conv(y, ANCHORED, 1, bias=True) for y in heads))


def yolo_v7_tiny(**options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOv7 tiny at 640x640, leaky ReLU."""
    b = YoloBuilder("yolo_v7_tiny", **options)

    def elan(x: str, hidden: int) -> str:
        parts = [_leaky(b, x, hidden), _leaky(b, x, hidden)]
        for _ in range(2):
            parts.append(_leaky(b, parts[-1], hidden, 3))
        return _leaky(b, b.concat(parts), 2 * hidden)

    x = _leaky(b, _leaky(b, b.input("images", (3, 640, 640)), 32, 3, 2), 64, 3, 2)
    x = elan(x, 32)
    levels = []
    for hidden in (64, 128, 256):
        x = elan(b.max_pool(x, 2, 2), hidden)
        levels.append(x)
    y = _leaky(b, _spp(b, _leaky(b, x, 256)), 256)
    x = _leaky(b, b.concat([y, _leaky(b, x, 256)]), 256)
    upper = [x]
    for channels, level in ((128, 1), (64, 0)):
        x = b.concat([_leaky(b, levels[level], channels), b.upsample(_leaky(b, x, channels))])
        x = elan(x, channels // 2)
        upper.append(x)
    maps = [x]
    for channels, side in ((128, upper[1]), (256, upper[0])):
        x = elan(b.concat([_leaky(b, x, channels, 3, 2), side]), channels // 2)
        maps.append(x)
    heads = [_leaky(b, y, 2 * b.channels(y), 3) for y in maps]
    return b.finish(*(b.conv(y, ANCHORED, 1, bias=True) for y in heads))


def yolox(size: str = "s", leaky: bool = False, wide: float = 0.0, **options: Unpack[Options]) -> onnx.ModelProto:
    """YOLOX (arXiv 2107.08430) at 640x640, tiny at 416x416; `leaky` instead of SiLU, `wide` instead of its width."""
    depth, width = DEPTH_AND_WIDTH[size]
    b = _sized(f"yolox_{size}", depth, wide or width, options)
    if leaky:
        b.silu = lambda x: b.leaky_relu(x, 0.1)  # type: ignore[method-assign]

    def csp(x: str, channels: int, repeats: int, shortcut: bool = True) -> str:
        return b.c3(x, b.c(channels), b.n(3) * repeats, shortcut)

    x = b.cbs(_focus(b, 416 if size == "tiny" else 640), b.c(64), 3)
    levels = []
    for channels, repeats in ((128, 1), (256, 3), (512, 3)):
        x = csp(b.cbs(x, b.c(channels), 3, 2), channels, repeats)
        levels.append(x)
    x = b.cbs(x, b.c(1024), 3, 2)
    x = csp(b.cbs(_spp(b, b.cbs(x, b.c(512))), b.c(1024)), 1024, 1, False)
    upper = []
    for channels in (512, 256):
        upper.append(b.cbs(x, b.c(channels)))
        x = csp(b.concat([b.upsample(upper[-1]), levels[channels // 256]]), channels, 1, False)
    maps = [x]
    for channels, side in ((512, upper[1]), (1024, upper[0])):
        x = csp(b.concat([b.cbs(x, b.c(channels // 2), 3, 2), side]), channels, 1, False)
        maps.append(x)
    outputs = []
    for x in maps:
        x = b.cbs(x, b.c(256))
        for outs in ((80,), (4, 1)):
            y = b.cbs(b.cbs(x, b.c(256), 3), b.c(256), 3)
            outputs += [b.conv(y, out, 1, bias=True) for out in outs]
    return b.finish(*outputs)


def ssd_mobilenet_v1(classes: int = 91, **options: Unpack[Options]) -> onnx.ModelProto:
    """SSD of MobileNet V1 at 300x300 (TensorFlow's ssd_mobilenet_v1_coco): six levels, 1x1 predictors."""
    b = YoloBuilder("ssd_mobilenet_v1", **options)
    x = b.relu6(b.conv_bn(b.input("images", (3, 300, 300)), 32, 3, stride=2, padding="same"))
    maps = []
    for number, (channels, stride) in enumerate(V1_UNITS):
        x = b.relu6(b.depthwise_bn(x, 3, stride=stride, padding="same"))
        x = b.relu6(b.conv_bn(x, channels, 1))
        if number in (10, 12):
            maps.append(x)
    for squeezed, channels in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = b.relu6(b.conv_bn(x, squeezed, 1))
        x = b.relu6(b.conv_bn(x, channels, 3, stride=2, padding="same"))
        maps.append(x)
    outputs = []
    for number, x in enumerate(maps):
        anchors = 6 if number else 3
        outputs += [b.conv(x, anchors * width, 1, bias=True) for width in (4, classes)]
    return b.finish(*outputs)
