"""MobileNet V1 (arXiv 1704.04861), V2 (arXiv 1801.04381) and V3 (arXiv 1905.02244)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder, make_divisible
from .graph import Options

V1_UNITS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
#: expansion, channels, repeats, stride (V2 paper, table 2)
V2_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
#: kernel, expanded, channels, squeeze-excite, hard-swish, stride (V3 paper, tables 1 and 2)
V3_LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
V3_SMALL = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


def mobilenet_v1(**options: Unpack[Options]) -> onnx.ModelProto:
    """MobileNet V1 1.0: thirteen depthwise separable convolutions."""
    b = NetworkBuilder("mobilenet_v1", **options)
    x = b.relu6(b.conv_bn(b.input("input", (3, 224, 224)), 32, 3, stride=2))
    for number, (channels, stride) in enumerate(V1_UNITS):
        b.at(f"blocks.{number}")
        x = b.relu6(b.depthwise_bn(x, 3, stride=stride))
        x = b.relu6(b.conv_bn(x, channels, 1))
    b.at("")
    return b.finish(b.classifier(x))


def inverted_residual(
    b: NetworkBuilder, x: str, channels: int, expansion: int, kernel: int = 3, stride: int = 1
) -> str:
    """Inverted residual of MobileNet V2: expand, depthwise, linear projection, sum where the shapes allow."""
    inside = b.channels(x)
    y = b.relu6(b.conv_bn(x, inside * expansion, 1)) if expansion != 1 else x
    y = b.relu6(b.depthwise_bn(y, kernel, stride=stride))
    y = b.conv_bn(y, channels, 1)
    return b.add(x, y) if stride == 1 and inside == channels else y


def mobilenet_v2(width: float = 1.0, **options: Unpack[Options]) -> onnx.ModelProto:
    """MobileNet V2: inverted residuals with linear bottlenecks and ReLU6."""
    b = NetworkBuilder("mobilenet_v2", **options)
    x = b.relu6(b.conv_bn(b.input("input", (3, 224, 224)), make_divisible(32 * width), 3, stride=2))
    for stage, (expansion, channels, repeats, stride) in enumerate(V2_STAGES):
        for unit in range(repeats):
            b.at(f"features.{stage}.{unit}")
            x = inverted_residual(b, x, make_divisible(channels * width), expansion, 3, stride if unit == 0 else 1)
    b.at("")
    x = b.relu6(b.conv_bn(x, make_divisible(1280 * max(1.0, width)), 1))
    return b.finish(b.classifier(x))


def mobilenet_v3(size: str = "large", **options: Unpack[Options]) -> onnx.ModelProto:
    """MobileNet V3: inverted residuals with squeeze-excite and hard-swish."""
    units, hidden = (V3_LARGE, 1280) if size == "large" else (V3_SMALL, 1024)
    b = NetworkBuilder(f"mobilenet_v3_{size}", **options)
    x = b.hardswish(b.conv_bn(b.input("input", (3, 224, 224)), 16, 3, stride=2))
    for number, (kernel, expanded, channels, attends, swish, stride) in enumerate(units):
        b.at(f"features.{number + 1}")
        activation = b.hardswish if swish else b.relu
        y = activation(b.conv_bn(x, expanded, 1)) if expanded != b.channels(x) else x
        y = activation(b.depthwise_bn(y, kernel, stride=stride))
        if attends:
            y = b.squeeze_excite(y, make_divisible(expanded / 4), "hardsigmoid")
        y = b.conv_bn(y, channels, 1)
        x = b.add(x, y) if stride == 1 and b.channels(x) == channels else y
    b.at("classifier")
    x = b.hardswish(b.conv_bn(x, 6 * b.channels(x), 1))
    x = b.hardswish(b.linear(b.flatten(b.global_average_pool(x)), hidden))
    return b.finish(b.linear(x, 1000))
