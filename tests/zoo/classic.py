"""AlexNet (Krizhevsky et al., NIPS 2012), VGG (arXiv 1409.1556) and SqueezeNet (arXiv 1602.07360)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options

VGG_DEPTHS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)


def alexnet(**options: Unpack[Options]) -> onnx.ModelProto:
    """AlexNet at 227x227 with the two groups of the paper's two GPUs and local response normalization."""
    b = NetworkBuilder("alexnet", **options)
    x = b.relu(b.conv(b.input("input", (3, 227, 227)), 96, 11, stride=4, padding=0, bias=True))
    x = b.max_pool(b.unary("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=2.0), 3, 2)
    x = b.relu(b.conv(x, 256, 5, groups=2, bias=True))
    x = b.max_pool(b.unary("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=2.0), 3, 2)
    x = b.relu(b.conv(x, 384, 3, bias=True))
    x = b.relu(b.conv(x, 384, 3, groups=2, bias=True))
    x = b.relu(b.conv(x, 256, 3, groups=2, bias=True))
    return b.finish(_head(b, b.max_pool(x, 3, 2)))


def vgg(depth: int = 16, **options: Unpack[Options]) -> onnx.ModelProto:
    """VGG: stages of 3x3 convolutions with bias, five max pools, three linear layers."""
    b = NetworkBuilder(f"vgg{depth}", **options)
    x = b.input("input", (3, 224, 224))
    for stage, repeats in enumerate(VGG_DEPTHS[depth]):
        for _ in range(repeats):
            x = b.relu(b.conv(x, min(64 << stage, 512), 3, bias=True))
        x = b.max_pool(x, 2, 2)
    return b.finish(_head(b, x))


def _head(b: NetworkBuilder, x: str) -> str:
    x = b.relu(b.linear(b.flatten(x), 4096))
    return b.linear(b.relu(b.linear(x, 4096)), 1000)


def squeezenet(version: str = "1.0", **options: Unpack[Options]) -> onnx.ModelProto:
    """SqueezeNet: eight fire modules (squeeze 1x1, expand 1x1 and 3x3 side by side) and a convolutional classifier."""
    b = NetworkBuilder(f"squeezenet_{version}", **options)
    stem, kernel, pools = (96, 7, (3, 7)) if version == "1.0" else (64, 3, (2, 4))
    x = b.relu(b.conv(b.input("input", (3, 224, 224)), stem, kernel, stride=2, padding=0, bias=True))
    x = b.max_pool(x, 3, 2, ceil=True)
    for number, squeezed in enumerate(SQUEEZE):
        if number in pools:
            x = b.max_pool(x, 3, 2, ceil=True)
        b.at(f"fire{number + 2}")
        squeezed_x = b.relu(b.conv(x, squeezed, 1, bias=True))
        expanded = [b.relu(b.conv(squeezed_x, squeezed * 4, k, bias=True)) for k in (1, 3)]
        x = b.concat(expanded)
    b.at("")
    x = b.relu(b.conv(x, 1000, 1, bias=True))
    return b.finish(b.flatten(b.global_average_pool(x)))
