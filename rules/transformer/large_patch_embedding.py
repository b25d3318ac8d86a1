"""Patch embeddings: one convolution of the image with a large kernel and a large stride.

## What it does
Finds convolutions of an input image whose stride is 4 or more and whose kernel spans no more than two strides (ViT's
16x16, Swin's and ConvNeXt's 4x4), and prices a stem of 3x3 convolutions of stride 2 with the same result's shape; and,
where the kernel or stride lies outside the device's limits, the same convolution in forms that it runs.

## Why it costs
EfficientFormer (arXiv 2206.01191, observation 1): patch embedding with large kernel and stride is a speed bottleneck
on mobile devices, since compilers rarely support it well and it can't use fast algorithms such as Winograd's; a stem
of 3x3 convolutions of stride 2 is faster there. Horizon X3 has kernels up to 7x7, RK3588 strides up to 7: there a
ViT's 16x16 patches leave the chip, and the whole image crosses for them.

## How to fix
As many 3x3 convolutions of stride 2 as the stride has halvings, the channels doubling up to the embedding's (LeViT,
EfficientFormer). It needs retraining. Exact are, where the device runs them: SpaceToDepth by 2 until the kernel fits
(16x16 becomes 4x4 on 48 channels, weights reordered); the stride in two steps; tiles of the kernel and their sum; or
patches cut in preprocessing. What would cost more than now is left out.

## Where it is silent
Where the stem would not be faster: it has more multiply-accumulates, and wide machines run the patches as one product.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.gains import bearable, gain
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.legal_forms import legal_forms, told
from onnxlint.patterns.patch_embedding import PatchEmbedding, patch_embeddings, stem
from onnxlint.patterns.placement import cause
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="TRF001", name="large-patch-embedding", severity="warning")

_LEAST_GAIN = 0.005


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each patch embedding that leaves the device, or that the stem outruns."""
    for one in patch_embeddings(ctx.graph):
        node, edits = one.conv.node, stem(ctx.graph, one, RULE.code)
        fix = Fix(f"{len(one.widths) - 1} 3x3 convolutions of stride 2", "lossy", edits)
        words = f"a stem of {fix.title}, channels {' -> '.join(map(str, one.widths))}"
        saved = gain(ctx.analysis, fix) if edits and ctx.runs(edits) else -1.0
        if cause(ctx.graph, ctx.analysis.target.table, node, ctx.support(node)) == "window":
            yield _leaving(ctx, one, [(fix, words)] if saved >= 0 else [])
        elif node.key not in ctx.analysis.placement.on_host and saved > _LEAST_GAIN * ctx.total_s:
            yield Finding(
                message=f"{_named(one)}: {100 * ctx.share([node]):.0f} % of the time",
                suggestion=f"When retraining: {words}.",
                nodes=(node.key,),
                fixes=(fix,),
            )


def _leaving(ctx: Context, one: PatchEmbedding, stems: list[tuple[Fix, str]]) -> Finding:
    """The kernel or stride lies outside the device's limits."""
    node, limits = one.conv.node, ctx.device.operators.conditional
    forms = [*legal_forms(ctx.graph, limits, [node], ctx.runs), *stems]
    forms = [(fix, words) for fix, words in forms if bearable(ctx.analysis, [fix])]
    none = f"No window of {ctx.device.name} does the same for less; choose one within the limit."
    return Finding(
        message=leaves(ctx.analysis, _named(one), 1, [node]),
        suggestion=told(ctx.graph, node, forms) or none,
        nodes=(node.key,),
        fixes=tuple(fix for fix, _ in forms),
        severity=severity_of_leaving(ctx.analysis, [node]),
        details=(ctx.support(node).reason, *cost_of_leaving(ctx.analysis, [node])),
    )


def _named(one: PatchEmbedding) -> str:
    return f"patch embedding by one {'x'.join(map(str, one.conv.kernel))} convolution of stride {one.stride}"


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
INVALID = [Invalid(_EMBEDDING.format(c=192, k=16, s=14), device="x3", severity="error")]
