"""ViT (arXiv 2010.11929) and DeiT (arXiv 2012.12877) tiny, patches of 16, and MobileViT (arXiv 2110.02178)."""

from __future__ import annotations

from typing import Unpack

import onnx

from .attention import Packing, pre_norm_block
from .builder import NetworkBuilder
from .graph import Options

#: channels, transformer width, transformer depth of the three MobileViT stages, and the last 1x1
MOBILEVIT = {
    "xs": ((16, 32, 48), ((64, 96, 2), (80, 120, 4), (96, 144, 3)), 384),
    "s": ((16, 32, 64), ((96, 144, 2), (128, 192, 4), (160, 240, 3)), 640),
}


def vit_tiny(depth: int = 12, packing: Packing = "split", **options: Unpack[Options]) -> onnx.ModelProto:
    """ViT-tiny, which is DeiT-tiny without distillation: 12 blocks of width 192, 3 heads."""
    b = NetworkBuilder("vit_tiny", **options)
    b.at("patch_embed")
    x = b.conv(b.input("input", (3, 224, 224)), 192, 16, stride=16, padding=0, bias=True)
    batch, patches = b.shapes[x][0], b.size(x, 2) * b.size(x, 3)
    x = b.transpose(b.reshape(x, (batch, 192, patches)), 0, 2, 1)
    b.at("")
    token = b.parameter("cls_token", (1, 1, 192), "bias")
    if batch != 1:
        rows = b.op("Shape", [x], (1,), end=1) if isinstance(batch, str) else b.integers([batch])
        sizes = b.op("Concat", [rows, b.integers([1, 192])], (3,), axis=0)
        token = b.op("Expand", [token, sizes], (batch, 1, 192))
    x = b.add(b.concat([token, x], axis=1), b.parameter("pos_embed", (1, patches + 1, 192), "bias"))
    for number in range(depth):
        b.at(f"blocks.{number}")
        x = pre_norm_block(b, x, heads=3, packing=packing)
    b.at("head")
    return b.finish(b.linear(b.gather(b.layer_norm(x, 1e-6), 0, axis=1), 1000))


def _inverted_residual(b: NetworkBuilder, x: str, channels: int, stride: int) -> str:
    inside = b.channels(x)
    y = b.silu(b.conv_bn(x, 4 * inside, 1))
    y = b.conv_bn(b.silu(b.depthwise_bn(y, 3, stride=stride)), channels, 1)
    return b.add(y, x) if stride == 1 and inside == channels else y


def _mobilevit_block(b: NetworkBuilder, x: str, width: int, depth: int, patch: int = 2) -> str:
    """Convolutions, unfold into patches, transformer over pixels at equal place in their patch, fold, fusion."""
    channels, (rows, columns) = b.channels(x), (b.size(x, 2) // patch, b.size(x, 3) // patch)
    y = b.conv(b.silu(b.conv_bn(x, channels, 3)), width, 1)
    batch = b.shapes[y][0]
    strips: int | str = batch * width * rows if isinstance(batch, int) else f"{batch}*{width * rows}"
    stacked: int | str = batch * patch**2 if isinstance(batch, int) else f"{batch}*{patch**2}"
    y = b.transpose(b.reshape(y, (strips, patch, columns, patch)), 0, 2, 1, 3)
    y = b.transpose(b.reshape(y, (batch, width, rows * columns, patch**2)), 0, 3, 2, 1)
    y = b.reshape(y, (stacked, rows * columns, width))
    for _ in range(depth):
        y = pre_norm_block(b, y, heads=4, ratio=2, activation="silu", epsilon=1e-5)
    y = b.reshape(b.layer_norm(y), (batch, patch**2, rows * columns, width))
    y = b.reshape(b.transpose(y, 0, 3, 2, 1), (strips, columns, patch, patch))
    y = b.reshape(b.transpose(y, 0, 2, 1, 3), (batch, width, rows * patch, columns * patch))
    y = b.silu(b.conv_bn(y, channels, 1))
    return b.silu(b.conv_bn(b.concat([x, y]), channels, 3))


def mobilevit(size: str = "s", **options: Unpack[Options]) -> onnx.ModelProto:
    """MobileViT at 256x256: inverted residuals, then three stages with a transformer over unfolded patches."""
    (stem, first, second), stages, last = MOBILEVIT[size]
    b = NetworkBuilder(f"mobilevit_{size}", **options)
    x = b.silu(b.conv_bn(b.input("input", (3, 256, 256)), stem, 3, stride=2))
    b.at("stages.0")
    x = _inverted_residual(b, x, first, 1)
    b.at("stages.1")
    for unit in range(3):
        x = _inverted_residual(b, x, second, 2 if unit == 0 else 1)
    for number, (channels, width, depth) in enumerate(stages):
        b.at(f"stages.{number + 2}")
        x = _mobilevit_block(b, _inverted_residual(b, x, channels, 2), width, depth)
    b.at("")
    return b.finish(b.classifier(b.silu(b.conv_bn(x, last, 1))))
