"""Mobile-Former 294M (arXiv 2108.05895): a MobileNet and a transformer of six tokens side by side, with two bridges."""

from __future__ import annotations

from typing import Unpack

import onnx

from .attention import merge_heads
from .builder import NetworkBuilder
from .graph import Options

TOKENS = 6
WIDTH = 192
#: strided, expansion, channels, second expansion of strided blocks (paper, appendix)
BLOCKS = (
    (True, 6, 24, 4),
    (False, 4, 24, 0),
    (True, 6, 48, 4),
    (False, 4, 48, 0),
    (True, 6, 96, 4),
    (False, 4, 96, 0),
    (False, 6, 128, 0),
    (False, 6, 128, 0),
    (True, 6, 192, 4),
    (False, 6, 192, 0),
    (False, 6, 192, 0),
)


def _heads(b: NetworkBuilder, tokens: str, heads: int) -> str:
    batch, count, features = b.shapes[tokens][0], b.size(tokens, 1), b.size(tokens, 2)
    return b.transpose(b.reshape(tokens, (batch, count, heads, features // heads)), 0, 2, 1, 3)


def _pixels(b: NetworkBuilder, x: str, heads: int) -> str:
    """An image as (batch, heads, features, pixels), without a projection."""
    batch, channels = b.shapes[x][0], b.channels(x)
    return b.reshape(x, (batch, heads, channels // heads, b.size(x, 2) * b.size(x, 3)))


def _attend(b: NetworkBuilder, query: str, key: str, value: str) -> str:
    """Attention, keys given transposed."""
    scores = b.mul(b.matmul(query, key), b.constant(b.size(query, 3) ** -0.5))
    return b.matmul(b.softmax(scores), value)


def to_former(b: NetworkBuilder, x: str, tokens: str, heads: int = 2) -> str:
    """Bridge from the image to the tokens: tokens ask, pixels answer unprojected, a gate per channel."""
    channels = b.channels(x)
    key = _pixels(b, x, heads)
    query = _heads(b, b.matmul_linear(tokens, channels), heads)
    found = merge_heads(b, _attend(b, query, key, b.transpose(key, 0, 1, 3, 2)))
    gate = b.mul(b.hardsigmoid(b.matmul_linear(tokens, channels)), b.constant(2.0))
    return b.layer_norm(b.add(tokens, b.matmul_linear(b.mul(found, gate), WIDTH)))


def former(b: NetworkBuilder, tokens: str, heads: int = 4) -> str:
    """Self-attention of the tokens, keys and values unprojected, and a feed-forward network."""
    query = _heads(b, b.matmul_linear(tokens, WIDTH), heads)
    value = _heads(b, tokens, heads)
    mixed = merge_heads(b, _attend(b, query, b.transpose(value, 0, 1, 3, 2), value))
    tokens = b.layer_norm(b.add(tokens, b.matmul_linear(mixed, WIDTH)))
    hidden = b.gelu(b.matmul_linear(tokens, 2 * WIDTH))
    return b.layer_norm(b.add(tokens, b.matmul_linear(hidden, WIDTH)))


def to_mobile(b: NetworkBuilder, x: str, tokens: str, heads: int = 2) -> str:
    """Bridge from the tokens to the image: pixels ask unprojected, tokens answer."""
    channels = b.channels(x)
    value = _heads(b, b.matmul_linear(tokens, channels), heads)
    key = _heads(b, b.matmul_linear(tokens, channels), heads)
    query = b.transpose(_pixels(b, x, heads), 0, 1, 3, 2)
    found = _attend(b, query, b.transpose(key, 0, 1, 3, 2), value)
    return b.add(x, b.reshape(b.transpose(found, 0, 1, 3, 2), b.shapes[x]))


def dynamic_relu(b: NetworkBuilder, x: str, tokens: str) -> str:
    """Dynamic ReLU (arXiv 2003.10027): the larger of two multiples of x, both from the first token."""
    channels = b.channels(x)
    hidden = b.relu(b.linear(b.gather(tokens, 0, axis=1), WIDTH // 4))
    slopes = b.unsqueeze(b.hardsigmoid(b.linear(hidden, 2 * channels)), 2, 3)
    centred = b.mul(b.sub(slopes, b.constant(0.5)), b.constant(2.0))
    first, second = b.split(centred, [channels, channels])
    return b.maximum(b.mul(x, b.add(first, b.constant(1.0))), b.mul(x, second))


def _expanding_depthwise(b: NetworkBuilder, x: str, tokens: str, expansion: int, channels: int, stride: int) -> str:
    y = b.conv_bn(x, b.channels(x) * expansion, 3, stride=stride, groups=b.channels(x))
    return b.conv_bn(dynamic_relu(b, y, tokens), channels, 1)


def _block(b: NetworkBuilder, x: str, tokens: str, block: tuple[bool, int, int, int]) -> tuple[str, str]:
    strided, expansion, channels, again = block
    tokens = former(b, to_former(b, x, tokens))
    if strided:
        y = _expanding_depthwise(b, x, tokens, expansion, channels, 2)
        y = b.add(_expanding_depthwise(b, y, tokens, again, channels, 1), y)
    else:
        y = dynamic_relu(b, b.conv_bn(x, b.channels(x) * expansion, 1), tokens)
        y = b.conv_bn(dynamic_relu(b, b.depthwise_bn(y, 3), tokens), channels, 1)
        y = b.add(y, x) if b.channels(x) == channels else y
    return to_mobile(b, y, tokens), tokens


def mobileformer_294m(**options: Unpack[Options]) -> onnx.ModelProto:
    """Mobile-Former 294M: stem, one plain block, eleven pairs of mobile and former blocks, a head over both."""
    b = NetworkBuilder("mobileformer_294m", **options)
    tokens = b.parameter("tokens", (1, TOKENS, WIDTH), "bias")
    x = b.relu6(b.conv_bn(b.input("input", (3, 224, 224)), 16, 3, stride=2))
    b.at("blocks.0")
    y = b.relu6(b.conv_bn(x, 32, 3, groups=16))
    x = b.add(b.conv_bn(y, 16, 1), x)
    for number, block in enumerate(BLOCKS):
        b.at(f"blocks.{number + 1}")
        x, tokens = _block(b, x, tokens, block)
    b.at("head")
    tokens = to_former(b, x, tokens)
    x = b.relu6(b.conv_bn(x, 6 * b.channels(x), 1))
    x = b.hardswish(b.flatten(b.global_average_pool(x)))
    x = b.linear(b.concat([x, b.gather(tokens, 0, axis=1)]), 1920)
    return b.finish(b.linear(b.hardswish(b.batchnorm(x)), 1000))
