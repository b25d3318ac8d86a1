"""EfficientNet (arXiv 1905.11946) and FBNet (arXiv 1812.03443)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options

#: kernel, expansion, channels, repeats, stride (EfficientNet paper, table 1)
B0_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)
#: kernel, expansion, channels, repeats, stride (FBNet paper, FBNet-C)
FBNET_C = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 1, 2),
    (3, 1, 24, 2, 1),
    (5, 6, 32, 1, 2),
    (5, 3, 32, 1, 1),
    (5, 6, 32, 1, 1),
    (3, 6, 32, 1, 1),
    (5, 6, 64, 1, 2),
    (5, 3, 64, 1, 1),
    (5, 6, 64, 2, 1),
    (5, 6, 112, 3, 1),
    (5, 3, 112, 1, 1),
    (5, 6, 184, 4, 2),
    (3, 6, 352, 1, 1),
)


def efficientnet_b0(**options: Unpack[Options]) -> onnx.ModelProto:
    """EfficientNet-B0: inverted residuals with SiLU and squeeze-excite in every unit."""
    b = NetworkBuilder("efficientnet_b0", **options)
    x = b.silu(b.conv_bn(b.input("input", (3, 224, 224)), 32, 3, stride=2))
    for stage, (kernel, expansion, channels, repeats, first) in enumerate(B0_STAGES):
        for unit in range(repeats):
            b.at(f"blocks.{stage}.{unit}")
            inside, stride = b.channels(x), first if unit == 0 else 1
            y = b.silu(b.conv_bn(x, inside * expansion, 1)) if expansion != 1 else x
            y = b.silu(b.depthwise_bn(y, kernel, stride=stride))
            mean = b.reduce_mean(y, [2, 3])
            hidden = b.silu(b.conv(mean, max(1, inside // 4), 1, bias=True))
            y = b.mul(y, b.sigmoid(b.conv(hidden, b.channels(y), 1, bias=True)))
            y = b.conv_bn(y, channels, 1)
            x = b.add(y, x) if stride == 1 and inside == channels else y
    b.at("head")
    return b.finish(b.classifier(b.silu(b.conv_bn(x, 1280, 1))))


def fbnet_c(**options: Unpack[Options]) -> onnx.ModelProto:
    """FBNet-C: searched inverted residuals with ReLU; units of expansion one keep their 1x1."""
    b = NetworkBuilder("fbnet_c", **options)
    x = b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 16, 3, stride=2))
    for stage, (kernel, expansion, channels, repeats, first) in enumerate(FBNET_C):
        for unit in range(repeats):
            b.at(f"blocks.{stage}.{unit}")
            inside, stride = b.channels(x), first if unit == 0 else 1
            y = b.relu(b.conv_bn(x, inside * expansion, 1))
            y = b.relu(b.depthwise_bn(y, kernel, stride=stride))
            y = b.conv_bn(y, channels, 1)
            x = b.add(y, x) if stride == 1 and inside == channels else y
    b.at("head")
    return b.finish(b.classifier(b.relu(b.conv_bn(x, 1984, 1))))
