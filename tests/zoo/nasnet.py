"""NASNet-A mobile, 4 @ 1056 (arXiv 1707.07012), with the layer details of its Keras and PyTorch versions."""

from __future__ import annotations

from typing import Unpack

import onnx

from .builder import NetworkBuilder
from .graph import Options


def _separable(b: NetworkBuilder, x: str, channels: int, kernel: int, stride: int = 1) -> str:
    """ReLU, depthwise, 1x1, BatchNorm; twice, the second time at stride one."""
    for step in (stride, 1):
        x = b.conv(b.relu(x), b.channels(x), kernel, stride=step, padding="same", groups=b.channels(x))
        x = b.conv_bn(x, channels, 1)
    return x


def _projected(b: NetworkBuilder, x: str, channels: int) -> str:
    return b.conv_bn(b.relu(x), channels, 1)


def _adjusted(b: NetworkBuilder, previous: str, x: str, channels: int) -> str:
    """Bring the output of the cell before last to this cell's size: factorized reduction or 1x1.

    The first cell has no cell before last and reads its own input twice, without a projection.
    """
    if b.size(previous, 2) != b.size(x, 2):
        y = b.relu(previous)
        shifted = b.pad(b.pad(y, (0, 0, 0, 0, 0, 0, 1, 1)), (0, 0, -1, -1, 0, 0, 0, 0))
        paths = [b.conv(b.average_pool(path, 1, 2), channels // 2, 1) for path in (y, shifted)]
        return b.batchnorm(b.concat(paths))
    return previous if previous == x or b.channels(previous) == channels else _projected(b, previous, channels)


def _mean(b: NetworkBuilder, x: str, stride: int = 1) -> str:
    return b.average_pool(x, 3, stride, padding="same", count_include_pad=False)


def _normal_cell(b: NetworkBuilder, x: str, previous: str, channels: int) -> str:
    p, h = _adjusted(b, previous, x, channels), _projected(b, x, channels)
    parts = [
        p,
        b.add(_separable(b, h, channels, 5), _separable(b, p, channels, 3)),
        b.add(_separable(b, p, channels, 5), _separable(b, p, channels, 3)),
        b.add(_mean(b, h), p),
        b.add(_mean(b, p), _mean(b, p)),
        b.add(_separable(b, h, channels, 3), h),
    ]
    return b.concat(parts)


def _reduction_cell(b: NetworkBuilder, x: str, previous: str, channels: int) -> str:
    p, h = _adjusted(b, previous, x, channels), _projected(b, x, channels)
    first = b.add(_separable(b, h, channels, 5, 2), _separable(b, p, channels, 7, 2))
    second = b.add(b.max_pool(h, 3, 2, padding="same"), _separable(b, p, channels, 7, 2))
    third = b.add(_mean(b, h, 2), _separable(b, p, channels, 5, 2))
    fourth = b.add(_mean(b, first), second)
    fifth = b.add(_separable(b, first, channels, 3), b.max_pool(h, 3, 2, padding="same"))
    return b.concat([second, third, fourth, fifth])


def nasnet_mobile(**options: Unpack[Options]) -> onnx.ModelProto:
    """NASNet-A mobile: a stem of two reduction cells, then three runs of four normal cells; many small branches."""
    b = NetworkBuilder("nasnet_mobile", **options)
    x = previous = b.conv_bn(b.input("input", (3, 224, 224)), 32, 3, stride=2, padding=0)
    for number, channels in enumerate((11, 22)):
        b.at(f"stem.{number}")
        x, previous = _reduction_cell(b, x, previous, channels), x
    for run, channels in enumerate((44, 88, 176)):
        if run:
            b.at(f"reduction.{run}")
            x, previous = _reduction_cell(b, x, previous, channels), x
        for cell in range(4):
            b.at(f"cells.{run}.{cell}")
            x, previous = _normal_cell(b, x, previous, channels), x
    b.at("")
    return b.finish(b.classifier(b.relu(x)))
