"""RepVGG (arXiv 2101.03697): the trained form with three branches and the deployed form with one convolution."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options


def repvgg_a0(deploy: bool = False, **options: Unpack[Options]) -> onnx.ModelProto:
    """RepVGG-A0: per unit 3x3, 1x1 and (where the shapes allow) identity, each with BatchNorm, or one 3x3."""
    options.setdefault("fold_batchnorm", deploy)
    b = NetworkBuilder(f"repvgg_a0_{'deploy' if deploy else 'train'}", **options)
    x = _unit(b, b.input("input", (3, 224, 224)), 48, 2, deploy)
    for stage, (channels, repeats) in enumerate(((48, 2), (96, 4), (192, 14), (1280, 1))):
        for unit in range(repeats):
            b.at(f"stages.{stage}.{unit}")
            x = _unit(b, x, channels, 2 if unit == 0 else 1, deploy)
    b.at("")
    return b.finish(b.classifier(x))


def _unit(b: NetworkBuilder, x: str, channels: int, stride: int, deploy: bool) -> str:
    if deploy:
        return b.relu(b.conv(x, channels, 3, stride=stride, bias=True))
    y = b.add(b.conv_bn(x, channels, 3, stride=stride), b.conv_bn(x, channels, 1, stride=stride))
    if stride == 1 and b.channels(x) == channels:
        y = b.add(y, b.batchnorm(x))
    return b.relu(y)
