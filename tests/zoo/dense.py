"""DenseNet (arXiv 1608.06993) and VoVNet (arXiv 1904.09730)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options


def densenet121(growth: int = 32, **options: Unpack[Options]) -> onnx.ModelProto:
    """DenseNet-121: every layer reads the concatenation of all before it; BatchNorm before the convolutions."""
    b = NetworkBuilder("densenet121", **options)
    x = b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 2 * growth, 7, stride=2))
    x = b.max_pool(x, 3, 2, padding=1)
    for block, layers in enumerate((6, 12, 24, 16)):
        if block:
            b.at(f"transition{block}")
            x = b.conv(b.relu(b.batchnorm(x)), b.channels(x) // 2, 1)
            x = b.average_pool(x, 2, 2)
        features = [x]
        for layer in range(layers):
            b.at(f"denseblock{block + 1}.{layer}")
            y = b.concat(features) if layer else x
            y = b.relu(b.conv_bn(b.relu(b.batchnorm(y)), 4 * growth, 1))
            features.append(b.conv(y, growth, 3))
        x = b.concat(features)
    b.at("")
    return b.finish(b.classifier(b.relu(b.batchnorm(x))))


def vovnet39(**options: Unpack[Options]) -> onnx.ModelProto:
    """VoVNet-39: one-shot aggregation modules, five 3x3 convolutions concatenated once with their input."""
    b = NetworkBuilder("vovnet39", **options)
    x = b.input("input", (3, 224, 224))
    for channels, stride in ((64, 2), (64, 1), (128, 2)):
        x = b.relu(b.conv_bn(x, channels, 3, stride=stride))
    stages = ((128, 256, 1), (160, 512, 1), (192, 768, 2), (224, 1024, 2))
    for stage, (inside, outside, blocks) in enumerate(stages):
        if stage:
            x = b.max_pool(x, 3, 2, ceil=True)
        for block in range(blocks):
            b.at(f"stages.{stage}.{block}")
            features = [x]
            for _ in range(5):
                features.append(b.relu(b.conv_bn(features[-1], inside, 3)))
            x = b.relu(b.conv_bn(b.concat(features), outside, 1))
    b.at("")
    return b.finish(b.classifier(x))
