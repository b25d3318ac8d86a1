"""GhostNet (arXiv 1911.11907)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder, make_divisible
from .graph import Options

#: kernel, expanded, channels, squeeze-excite, stride (paper, table 1)
UNITS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)


def ghost_module(b: NetworkBuilder, x: str, channels: int, *, activate: bool) -> str:
    """Half the channels by a 1x1 convolution, the other half by a cheap depthwise 3x3 over those."""
    primary = b.conv_bn(x, channels // 2, 1)
    primary = b.relu(primary) if activate else primary
    cheap = b.depthwise_bn(primary, 3)
    cheap = b.relu(cheap) if activate else cheap
    # the reference cuts the concatenation to the wanted channels, which the exporter keeps as a full Slice
    return b.slice(b.concat([primary, cheap]), 1, 0, channels)


def ghostnet(**options: Unpack[Options]) -> onnx.ModelProto:
    """GhostNet 1.0x: bottlenecks of two ghost modules."""
    b = NetworkBuilder("ghostnet", **options)
    x = b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 16, 3, stride=2))
    for number, (kernel, expanded, channels, attends, stride) in enumerate(UNITS):
        b.at(f"blocks.{number}")
        y = ghost_module(b, x, expanded, activate=True)
        if stride > 1:
            y = b.depthwise_bn(y, kernel, stride=stride)
        if attends:
            y = b.squeeze_excite(y, make_divisible(expanded / 4, 4), "hardsigmoid")
        y = ghost_module(b, y, channels, activate=False)
        if stride != 1 or b.channels(x) != channels:
            x = b.conv_bn(b.depthwise_bn(x, kernel, stride=stride), channels, 1)
        x = b.add(y, x)
    b.at("head")
    x = b.relu(b.conv_bn(x, 960, 1))
    x = b.relu(b.conv(b.global_average_pool(x), 1280, 1, bias=True))
    return b.finish(b.linear(b.flatten(x), 1000))
