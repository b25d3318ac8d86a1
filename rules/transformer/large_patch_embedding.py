"""Patch embeddings: one convolution of the image with a large kernel and a large stride.

## What it does
Finds convolutions of an input image whose stride is 4 or more and whose kernel spans no more than two strides (ViT's
16x16, Swin's and ConvNeXt's 4x4), and prices a stem of 3x3 convolutions of stride 2 with the same result's shape.

## Why it costs
EfficientFormer (arXiv 2206.01191, observation 1): patch embedding with large kernel and stride is a speed bottleneck
on mobile devices, since compilers rarely support it well and it can't use fast algorithms such as Winograd's; a stem
of 3x3 convolutions of stride 2 is faster there. Where the kernel lies outside the device's limits, the layer leaves
the chip besides.

## How to fix
As many 3x3 convolutions of stride 2 as the stride has halvings, the channels doubling up to the embedding's (LeViT,
EfficientFormer). It needs retraining.

## Where it is silent
Where the stem would not be faster: it has more multiply-accumulates, and wide machines run the patches as one product.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.patterns.convolutions import ConvSizes
from onnxlint.patterns.patch_embedding import PatchEmbedding, patch_embeddings
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.whatif import EditError, saving

RULE = Rule(code="TRF001", name="large-patch-embedding", severity="warning")

_LEAST_GAIN = 0.005


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each patch embedding that the stem outruns."""
    for one in patch_embeddings(ctx.graph):
        if one.stride & (one.stride - 1) or not ctx.total_s:
            continue
        edits = tuple(_stem(ctx, one))
        try:
            gain = float(saving(ctx.analysis, edits).mean()) if ctx.runs(edits) else 0.0
        except EditError:
            continue
        if gain < _LEAST_GAIN * ctx.total_s:
            continue
        window = "x".join(map(str, one.conv.kernel))
        steps = " -> ".join(map(str, _widths(one)))
        yield Finding(
            message=f"patch embedding by one {window} convolution of stride {one.stride}: "
            f"{100 * ctx.share([one.conv.node]):.0f} % of the time",
            suggestion=f"A stem of {len(_widths(one)) - 1} 3x3 convolutions of stride 2, channels {steps}.\n"
            "It needs retraining.",
            nodes=(one.conv.node.key,),
            fixes=(Fix(f"{len(_widths(one)) - 1} 3x3 convolutions of stride 2", "lossy", edits),),
        )


def _widths(one: PatchEmbedding) -> list[int]:
    steps = int(math.log2(one.stride))
    return [one.conv.in_channels, *(max(8, one.conv.out_channels >> (steps - 1 - i)) for i in range(steps))]


def _stem(ctx: Context, one: PatchEmbedding) -> Iterator[Edit]:
    conv: ConvSizes = one.conv
    out = ctx.graph.type_of(conv.node.outputs[0])
    source, widths = conv.node.inputs[0], _widths(one)
    yield Remove(conv.node.key)
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        rest = one.stride >> (index + 1)
        name = conv.node.outputs[0] if rest == 1 else f"{conv.node.outputs[0]}~{RULE.code}.{index}"
        weight, linear = f"{name}~{RULE.code}.weight", f"{name}~{RULE.code}.linear"
        kind = TensorType(
            out.dtype, (out.dims[0], out.dims[1] if rest == 1 else after, *(d * rest for d in out.dims[2:]))
        )
        yield Declare(weight, TensorType(out.dtype, (kind.dims[1], before, 3, 3)), is_weight=True)
        yield Declare(name, kind)
        target = name if rest == 1 else linear
        yield Declare(target, kind)
        yield Insert("Conv", (source, weight), (target,), (("pads", [1] * 4), ("strides", [2, 2])))
        if rest > 1:
            yield Insert("Relu", (linear,), (name,))
        source = name


_EMBEDDING = """embed (float[1,3,224,224] x) => (float[1,{c},{s},{s}] y) <float[{c},3,{k},{k}] w> {{
    y = Conv <strides = [{k},{k}]> (x, w)
}}"""

VALID = [
    # a GPU runs the patches as one product
    Valid(_EMBEDDING.format(c=192, k=16, s=14), device="t4"),
    # a stem of small strides
    Valid(
        "stem (float[1,3,224,224] x) => (float[1,32,112,112] y) <float[32,3,3,3] w> {"
        " y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w) }",
        device="x3",
    ),
]
INVALID = [Invalid(_EMBEDDING.format(c=192, k=16, s=14), device="x3")]
