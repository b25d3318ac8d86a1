"""ResNet (arXiv 1512.03385), SE-ResNet (arXiv 1709.01507) and CSPResNet (arXiv 1911.11929)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def resnet(depth: int = 50, squeeze: int = 0, **options: Unpack[Options]) -> onnx.ModelProto:
    """ResNet, the stride in the 3x3 of a bottleneck as torchvision has it; `squeeze` divides channels for SENet."""
    b = NetworkBuilder(f"{'se_' if squeeze else ''}resnet{depth}", **options)
    x = b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 64, 7, stride=2))
    x = b.max_pool(x, 3, 2, padding=1)
    for stage, repeats in enumerate(DEPTHS[depth]):
        for unit in range(repeats):
            b.at(f"layer{stage + 1}.{unit}")
            x = _unit(b, x, 64 << stage, 2 if unit == 0 < stage else 1, depth >= 50, squeeze)
    b.at("")
    return b.finish(b.classifier(x))


def _unit(b: NetworkBuilder, x: str, width: int, stride: int, bottleneck: bool, squeeze: int) -> str:
    channels = width * 4 if bottleneck else width
    if bottleneck:
        y = b.relu(b.conv_bn(x, width, 1))
        y = b.relu(b.conv_bn(y, width, 3, stride=stride))
        y = b.conv_bn(y, channels, 1)
    else:
        y = b.relu(b.conv_bn(x, width, 3, stride=stride))
        y = b.conv_bn(y, channels, 3)
    if squeeze:
        y = b.squeeze_excite(y, channels // squeeze)
    if stride != 1 or b.channels(x) != channels:
        x = b.conv_bn(x, channels, 1, stride=stride)
    return b.relu(b.add(y, x))


def cspresnet50(**options: Unpack[Options]) -> onnx.ModelProto:
    """CSPResNet-50 at 256x256: half of each stage's channels bypasses its bottlenecks and is concatenated after."""
    b = NetworkBuilder("cspresnet50", **options)
    x = b.leaky_relu(b.conv_bn(b.input("input", (3, 256, 256)), 64, 7, stride=2))
    x = b.max_pool(x, 3, 2, padding=1)
    for stage, depth in enumerate((3, 3, 5, 2)):
        b.at(f"stages.{stage}")
        channels = 128 << stage
        if stage:
            x = b.leaky_relu(b.conv_bn(x, b.channels(x), 3, stride=2))
        bypass, x = b.split(b.conv_bn(x, 2 * channels, 1), [channels, channels])
        for unit in range(depth):
            b.at(f"stages.{stage}.blocks.{unit}")
            y = b.leaky_relu(b.conv_bn(x, channels // 2, 1))
            y = b.leaky_relu(b.conv_bn(y, channels // 2, 3))
            x = b.leaky_relu(b.add(b.conv_bn(y, channels, 1), x))
        b.at(f"stages.{stage}.transition")
        x = b.leaky_relu(b.conv_bn(x, channels, 1))
        x = b.leaky_relu(b.conv_bn(b.concat([bypass, x]), channels, 1))
    b.at("")
    return b.finish(b.classifier(x))
