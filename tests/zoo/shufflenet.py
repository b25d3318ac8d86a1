"""ShuffleNet V1 (arXiv 1707.01083) and ShuffleNet V2 (arXiv 1807.11164)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options

#: channels of stage 2 of ShuffleNet V1 1x by number of groups (paper, table 1); they double per stage
V1_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
V2_CHANNELS = {
    0.5: (24, 48, 96, 192, 1024),
    1.0: (24, 116, 232, 464, 1024),
    1.5: (24, 176, 352, 704, 1024),
    2.0: (24, 244, 488, 976, 2048),
}


def shufflenet_v1(groups: int = 3, **options: Unpack[Options]) -> onnx.ModelProto:
    """ShuffleNet V1 1x: grouped 1x1, shuffle, depthwise 3x3, grouped 1x1; strided units concatenate a mean pool."""
    b = NetworkBuilder(f"shufflenet_v1_g{groups}", **options)
    x = b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 24, 3, stride=2))
    x = b.max_pool(x, 3, 2, padding=1)
    for stage, repeats in enumerate((4, 8, 4)):
        channels = V1_CHANNELS[groups] << stage
        for unit in range(repeats):
            b.at(f"stage{stage + 2}.{unit}")
            x = _v1_unit(b, x, channels, groups, strided=unit == 0, first=stage == unit == 0)
    b.at("")
    return b.finish(b.classifier(x))


def _v1_unit(b: NetworkBuilder, x: str, channels: int, groups: int, *, strided: bool, first: bool) -> str:
    outside = channels - b.channels(x) if strided else channels
    y = b.relu(b.conv_bn(x, channels // 4, 1, groups=1 if first else groups))
    y = b.channel_shuffle(y, groups)
    y = b.depthwise_bn(y, 3, stride=2 if strided else 1)
    y = b.conv_bn(y, outside, 1, groups=groups)
    if strided:
        return b.relu(b.concat([b.average_pool(x, 3, 2, padding=1), y]))
    return b.relu(b.add(x, y))


def shufflenet_v2(width: float = 1.0, **options: Unpack[Options]) -> onnx.ModelProto:
    """ShuffleNet V2: split, three convolutions on one half, concatenate, shuffle of two groups."""
    stem, *stages, last = V2_CHANNELS[width]
    b = NetworkBuilder(f"shufflenet_v2_x{width}", **options)
    b.at("conv1")
    x = b.relu(b.conv_bn(b.input("input", (3, 224, 224)), stem, 3, stride=2))
    x = b.max_pool(x, 3, 2, padding=1)
    for stage, (channels, repeats) in enumerate(zip(stages, (4, 8, 4), strict=True)):
        for unit in range(repeats):
            b.at(f"stage{stage + 2}.{unit}")
            x = _v2_unit(b, x, channels // 2, strided=unit == 0)
    b.at("conv5")
    x = b.relu(b.conv_bn(x, last, 1))
    b.at("fc")
    return b.finish(b.linear(b.reduce_mean(x, [2, 3], keepdims=False), 1000))


def _v2_unit(b: NetworkBuilder, x: str, half: int, *, strided: bool) -> str:
    if strided:
        left = b.relu(b.conv_bn(b.depthwise_bn(x, 3, stride=2), half, 1))
        right = x
    else:
        left, right = b.split(x, [half, half])
    right = b.relu(b.conv_bn(right, half, 1))
    right = b.depthwise_bn(right, 3, stride=2 if strided else 1)
    right = b.relu(b.conv_bn(right, half, 1))
    return b.channel_shuffle(b.concat([left, right]), 2)
