"""MobileDet (arXiv 2004.14525): SSDLite detectors at 320x320 with regular convolutions searched into the backbone.

The backbones and the SSDLite head follow the TensorFlow Object Detection API, whose configurations print the counts.
"""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder, Size
from .graph import Options

#: kind, channels, kernel, expansion (or ranks), stride, residual
Unit = tuple[str, int, int, tuple[float, ...], int, bool]


def _fused(channels: int, expansion: int, stride: int = 1, kernel: int = 3) -> Unit:
    return "fused", channels, kernel, (expansion,), stride, stride == 1


def _ibn(channels: int, expansion: int, stride: int = 1, kernel: int = 3, residual: bool | None = None) -> Unit:
    return "ibn", channels, kernel, (expansion,), stride, stride == 1 if residual is None else residual


def _tucker(channels: int, into: float, outof: float, residual: bool = True) -> Unit:
    return "tucker", channels, 3, (into, outof), 1, residual


#: the units of each backbone; None marks the feature maps C4 and C5
EDGETPU: tuple[Unit | None, ...] = (
    _tucker(16, 0.25, 0.75, residual=False),
    *(_fused(16, 8, 2), _fused(16, 4), _fused(16, 8), _fused(16, 4)),
    *(_fused(40, 8, 2, kernel=5), _fused(40, 4), _fused(40, 4), _fused(40, 4)),
    *(_ibn(72, 8, 2), _ibn(72, 8), _fused(72, 4), _fused(72, 4)),
    *(_ibn(96, 8, kernel=5, residual=False), _ibn(96, 8, kernel=5), _ibn(96, 8), _ibn(96, 8), None),
    *(_ibn(120, 8, 2, kernel=5), _ibn(120, 8), _ibn(120, 4, kernel=5), _ibn(120, 8)),
    *(_ibn(384, 8, kernel=5, residual=False), None),
)
DSP: tuple[Unit | None, ...] = (
    ("plain", 24, 3, (), 1, False),
    *(_fused(32, 4, 2), _fused(32, 4), _ibn(32, 4), _tucker(32, 0.25, 0.75)),
    *(_fused(64, 8, 2), _ibn(64, 4), _fused(64, 4), _fused(64, 4)),
    *(_fused(120, 8, 2), _ibn(120, 4), _ibn(120, 8), _ibn(120, 8)),
    *(("fused", 144, 3, (8,), 1, False), _ibn(144, 8), _ibn(144, 8), _ibn(144, 8), None),
    *(_ibn(160, 4, 2), _ibn(160, 4), _fused(160, 4), _tucker(160, 0.75, 0.75)),
    *(_ibn(240, 8, residual=False), None),
)
BACKBONES = {"edgetpu": EDGETPU, "dsp": DSP}
EXTRA_DEPTHS = (512, 256, 256, 128)


def _scaled(channels: int, ratio: float) -> int:
    return max(8, int(int(channels) * ratio / 8 + 0.5) * 8)


def _conv6(b: NetworkBuilder, x: str, channels: int, kernel: Size, stride: int = 1) -> str:
    return b.relu6(b.conv_bn(x, channels, kernel, stride=stride, padding="same"))


def _unit(b: NetworkBuilder, x: str, unit: Unit) -> str:
    kind, channels, kernel, ratios, stride, residual = unit
    inside = b.channels(x)
    if kind == "tucker":
        y = _conv6(b, x, _scaled(inside, ratios[0]), 1)
        y = _conv6(b, y, _scaled(channels, ratios[1]), kernel, stride)
    elif kind == "fused":
        y = _conv6(b, x, int(inside * ratios[0]), kernel, stride)
    else:
        y = _conv6(b, x, int(inside * ratios[0]), 1) if kind == "ibn" else x
        y = b.relu6(b.depthwise_bn(y, kernel, stride=stride, padding="same"))
    y = b.conv_bn(y, channels, 1)
    return b.add(y, x) if residual else y


def mobiledet(target: str = "edgetpu", classes: int = 90, **options: Unpack[Options]) -> onnx.ModelProto:
    """MobileDet for EdgeTPU or DSP with its SSDLite head; outputs box codes and class scores of all anchors."""
    b = NetworkBuilder(f"mobiledet_{target}", **options)
    x = _conv6(b, b.input("input", (3, 320, 320)), 32, 3, 2)
    maps = []
    for number, unit in enumerate(BACKBONES[target]):
        b.at(f"backbone.{number}")
        if unit is None:
            maps.append(x)
        else:
            x = _unit(b, x, unit)
    for number, depth in enumerate(EXTRA_DEPTHS):
        b.at(f"extra.{number}")
        x = _conv6(b, x, depth // 2, 1)
        x = b.relu6(b.depthwise_bn(x, 3, stride=2, padding="same"))
        x = _conv6(b, x, depth, 1)
        maps.append(x)
    boxes, scores = [], []
    for number, feature in enumerate(maps):
        b.at(f"head.{number}")
        anchors = 3 if number == 0 else 6
        boxes.append(_predict(b, feature, anchors, 4))
        scores.append(_predict(b, feature, anchors, classes + 1))
    b.at("")
    return b.finish(b.concat(boxes), b.sigmoid(b.concat(scores)))


def _predict(b: NetworkBuilder, x: str, anchors: int, values: int) -> str:
    y = b.relu6(b.depthwise_bn(x, 3))
    y = b.transpose(b.conv(y, anchors * values, 1, bias=True), 0, 2, 3, 1)
    cells = b.size(y, 1) * b.size(y, 2)
    return b.reshape(y, (b.shapes[y][0], cells * anchors, values))
