"""GoogLeNet (arXiv 1409.4842) and Inception-v3 (arXiv 1512.00567), both with BatchNorm as torchvision has them."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder, Padding, Size
from .graph import Options

#: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection (GoogLeNet paper, table 1); None is a max pool
GOOGLENET = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def _conv(b: NetworkBuilder, x: str, channels: int, kernel: Size, stride: int = 1, padding: Padding = None) -> str:
    return b.relu(b.conv_bn(x, channels, kernel, stride=stride, padding=padding))


def _chain(b: NetworkBuilder, x: str, *layers: tuple[int, Size]) -> str:
    for channels, kernel in layers:
        x = _conv(b, x, channels, kernel)
    return x


def googlenet(**options: Unpack[Options]) -> onnx.ModelProto:
    """GoogLeNet without auxiliary heads; the 5x5 of each module is a 3x3, as in torchvision and TensorFlow."""
    b = NetworkBuilder("googlenet", **options)
    x = _conv(b, b.input("input", (3, 224, 224)), 64, 7, 2)
    x = b.max_pool(x, 3, 2, ceil=True)
    x = b.max_pool(_chain(b, x, (64, 1), (192, 3)), 3, 2, ceil=True)
    for number, unit in enumerate(GOOGLENET):
        b.at(f"inception.{number}")
        if unit is None:
            x = b.max_pool(x, 3 if number == 2 else 2, 2, ceil=True)
            continue
        one, reduce3, three, reduce5, five, pool = unit
        branches = [_conv(b, x, one, 1), _chain(b, x, (reduce3, 1), (three, 3)), _chain(b, x, (reduce5, 1), (five, 3))]
        x = b.concat([*branches, _conv(b, b.max_pool(x, 3, 1, padding=1, ceil=True), pool, 1)])
    b.at("")
    return b.finish(b.classifier(x))


def _pooled(b: NetworkBuilder, x: str, channels: int) -> str:
    return _conv(b, b.average_pool(x, 3, 1, padding=1), channels, 1)


def _block_a(b: NetworkBuilder, x: str, pool: int) -> str:
    branches = [_conv(b, x, 64, 1), _chain(b, x, (48, 1), (64, 5)), _chain(b, x, (64, 1), (96, 3), (96, 3))]
    return b.concat([*branches, _pooled(b, x, pool)])


def _block_b(b: NetworkBuilder, x: str) -> str:
    branches = [_conv(b, x, 384, 3, 2, 0), _conv(b, _chain(b, x, (64, 1), (96, 3)), 96, 3, 2, 0)]
    return b.concat([*branches, b.max_pool(x, 3, 2)])


def _block_c(b: NetworkBuilder, x: str, inner: int) -> str:
    single = _conv(b, x, 192, 1)
    short = _chain(b, x, (inner, 1), (inner, (1, 7)), (192, (7, 1)))
    long = _chain(b, x, (inner, 1), (inner, (7, 1)), (inner, (1, 7)), (inner, (7, 1)), (192, (1, 7)))
    return b.concat([single, short, long, _pooled(b, x, 192)])


def _block_d(b: NetworkBuilder, x: str) -> str:
    short = _conv(b, _conv(b, x, 192, 1), 320, 3, 2, 0)
    long = _conv(b, _chain(b, x, (192, 1), (192, (1, 7)), (192, (7, 1))), 192, 3, 2, 0)
    return b.concat([short, long, b.max_pool(x, 3, 2)])


def _fork(b: NetworkBuilder, x: str) -> str:
    return b.concat([_conv(b, x, 384, (1, 3)), _conv(b, x, 384, (3, 1))])


def _block_e(b: NetworkBuilder, x: str) -> str:
    single = _conv(b, x, 320, 1)
    short = _fork(b, _conv(b, x, 384, 1))
    long = _fork(b, _chain(b, x, (448, 1), (384, 3)))
    return b.concat([single, short, long, _pooled(b, x, 192)])


def inception_v3(**options: Unpack[Options]) -> onnx.ModelProto:
    """Inception-v3 at 299x299 without the auxiliary head: asymmetric 1x7 and 7x1 convolutions."""
    b = NetworkBuilder("inception_v3", **options)
    x = _conv(b, b.input("input", (3, 299, 299)), 32, 3, 2, 0)
    x = _conv(b, _conv(b, x, 32, 3, 1, 0), 64, 3)
    x = _conv(b, b.max_pool(x, 3, 2), 80, 1)
    x = b.max_pool(_conv(b, x, 192, 3, 1, 0), 3, 2)
    for number, pool in enumerate((32, 64, 64)):
        b.at(f"mixed_a.{number}")
        x = _block_a(b, x, pool)
    b.at("mixed_b")
    x = _block_b(b, x)
    for number, inner in enumerate((128, 160, 160, 192)):
        b.at(f"mixed_c.{number}")
        x = _block_c(b, x, inner)
    b.at("mixed_d")
    x = _block_d(b, x)
    for number in range(2):
        b.at(f"mixed_e.{number}")
        x = _block_e(b, x)
    b.at("")
    return b.finish(b.classifier(x))
