"""ESPNet encoder, ESPNet-C (arXiv 1803.06815): semantic segmentation at 1024x512."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options

DILATIONS = (1, 2, 4, 8, 16)
EPSILON = 1e-3


def esp_module(b: NetworkBuilder, x: str, channels: int, *, downsample: bool) -> str:
    """Reduce, split into dilated convolutions, fuse hierarchically (partial sums against gridding), merge."""
    branch = channels // len(DILATIONS)
    reduced = b.conv(x, branch, 3, stride=2) if downsample else b.conv(x, branch, 1)
    first = channels - branch * (len(DILATIONS) - 1)
    branches = [b.conv(reduced, first if d == 1 else branch, 3, dilation=d) for d in DILATIONS]
    fused = [branches[0], branches[1]]
    for y in branches[2:]:
        fused.append(b.add(fused[-1], y))
    merged = b.concat(fused)
    return b.prelu(b.batchnorm(merged if downsample else b.add(x, merged), EPSILON))


def espnet_c(alpha2: int = 2, alpha3: int = 8, classes: int = 20, **options: Unpack[Options]) -> onnx.ModelProto:
    """ESPNet-C: three levels of ESP modules, the image reinforced into each by average pools."""
    b = NetworkBuilder("espnet_c", **options)
    image = b.input("input", (3, 512, 1024))
    half = b.average_pool(image, 3, 2, padding=1)
    quarter = b.average_pool(b.average_pool(image, 3, 2, padding=1), 3, 2, padding=1)
    b.at("level1")
    x = b.prelu(b.conv_bn(image, 16, 3, stride=2))
    x = b.prelu(b.batchnorm(b.concat([x, half]), EPSILON))
    b.at("level2.0")
    down = x = esp_module(b, x, 64, downsample=True)
    for number in range(alpha2):
        b.at(f"level2.{number + 1}")
        x = esp_module(b, x, 64, downsample=False)
    x = b.prelu(b.batchnorm(b.concat([x, down, quarter]), EPSILON))
    b.at("level3.0")
    down = x = esp_module(b, x, 128, downsample=True)
    for number in range(alpha3):
        b.at(f"level3.{number + 1}")
        x = esp_module(b, x, 128, downsample=False)
    x = b.prelu(b.batchnorm(b.concat([down, x]), EPSILON))
    b.at("classifier")
    return b.finish(b.conv(x, classes, 1))
