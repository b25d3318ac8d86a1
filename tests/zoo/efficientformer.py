"""EfficientFormer-L1 (arXiv 2206.01191)."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import onnx

from .attention import merge_heads, mlp
from .builder import NetworkBuilder
from .graph import Options


def _scaled(b: NetworkBuilder, x: str) -> str:
    """A learned factor per channel, of images or of tokens."""
    image = len(b.shapes[x]) == 4
    shape = (1, b.channels(x), 1, 1) if image else (b.size(x, -1),)
    return b.mul(x, b.parameter("layer_scale", shape, "scale"))


def _pool_block(b: NetworkBuilder, x: str) -> str:
    """Mean pool less the input as token mixer, then a convolutional MLP; both scaled per channel."""
    channels = b.channels(x)
    mixed = b.sub(b.average_pool(x, 3, 1, padding=1, count_include_pad=False), x)
    x = b.add(x, _scaled(b, mixed))
    y = b.gelu(b.conv_bn(x, 4 * channels, 1, bias=True))
    return b.add(x, _scaled(b, b.conv_bn(y, channels, 1, bias=True)))


def _attention(b: NetworkBuilder, x: str, heads: int = 8, key: int = 32, value: int = 128, side: int = 7) -> str:
    """Attention with values wider than keys and a learned bias per head and distance."""
    batch, tokens, features = b.shapes[x][0], b.size(x, 1), b.size(x, 2)
    qkv = b.matmul_linear(x, heads * (2 * key + value))
    qkv = b.transpose(b.reshape(qkv, (batch, tokens, heads, 2 * key + value)), 0, 2, 1, 3)
    q, k, v = b.split(qkv, [key, key, value], axis=3)
    scores = b.mul(b.matmul(q, b.transpose(k, 0, 1, 3, 2)), b.constant(key**-0.5))
    rows, columns = np.divmod(np.arange(tokens), side)
    distance = abs(rows[:, None] - rows) * side + abs(columns[:, None] - columns)
    biases = b.parameter("attention_biases", (heads, tokens), "bias")
    bias = b.op("Gather", [biases, b.constant(distance, np.int64)], (heads, tokens, tokens), axis=1)
    return b.matmul_linear(merge_heads(b, b.matmul(b.softmax(b.add(scores, bias)), v)), features)


def efficientformer_l1(**options: Unpack[Options]) -> onnx.ModelProto:
    """EfficientFormer-L1: pooling blocks on images, one attention block on tokens, two heads averaged."""
    b = NetworkBuilder("efficientformer_l1", **options)
    x = b.input("input", (3, 224, 224))
    for channels in (24, 48):
        x = b.relu(b.conv_bn(x, channels, 3, stride=2, bias=True))
    for stage, (channels, depth) in enumerate(((48, 3), (96, 2), (224, 6), (448, 3))):
        if stage:
            b.at(f"stages.{stage}.downsample")
            x = b.conv_bn(x, channels, 3, stride=2, bias=True)
        for block in range(depth):
            b.at(f"stages.{stage}.{block}")
            x = _pool_block(b, x)
    b.at("stages.3.3")
    x = b.transpose(b.reshape(x, (b.shapes[x][0], 448, 49)), 0, 2, 1)
    x = b.add(x, _scaled(b, _attention(b, b.layer_norm(x))))
    x = b.add(x, _scaled(b, mlp(b, b.layer_norm(x), 4 * 448)))
    b.at("head")
    x = b.reduce_mean(b.layer_norm(x), [1], keepdims=False)
    return b.finish(b.div(b.add(b.linear(x, 1000), b.linear(x, 1000)), b.constant(2.0)))
