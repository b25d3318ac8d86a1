"""Normalizations that are computed at every run, where a BatchNorm would fold into the weights.

## What it does
Finds LayerNorm, RMSNorm and GroupNorm in networks of images, as one operator or spelled out from their means, by what
they take on this device. All are one finding; those whose operator the device lacks are another, an error: each cuts
the network.

## Why it costs
EfficientFormer (arXiv 2206.01191, observation 3): Conv-BN is better for latency than LN-linear, and what it costs in
accuracy is generally acceptable. BatchNorm folds into the layer before it, while LayerNorm collects its statistics at
every run. Spelled out, each one is nine passes over the map. Many NPUs have no such operator at all.

## How to fix
Spelled out: one LayerNormalization operator, where the device has it; exact, a matter of the export (opset 17 on).
Otherwise train with BatchNorm behind the convolution or linear layer, which costs nothing at run time. The price is of
the model without the normalizations.

## Where it is silent
On networks without images (a BatchNorm does not stand in for a LayerNorm over words), and where they cost less than is
shown. On CPUs and GPUs it is an info: retraining for it is a choice, not a need.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix, Reconnect, Remove
from onnxlint.gains import bearable
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.rewrites import rewrites
from onnxlint.patterns.spelled_norms import Normalization, is_of_images, leaving_norms, normalizations
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="TRF003", name="layernorm-where-batchnorm-folds", severity="warning")

_ACCELERATORS = ("npu", "dsp")
_NORM = "Normalization"


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the normalizations that leave the device, one for all others."""
    found = normalizations(ctx.graph)
    if not found or not is_of_images(ctx.graph):
        return
    gone = frozenset(one.output for one in leaving_norms(ctx.graph, ctx.analysis.target.table))
    staying = tuple(one for one in found if one.output not in gone)
    if staying:
        yield _unfolded(ctx, staying)
    if gone:
        yield _leaving(ctx, tuple(one for one in found if one.output in gone))


def _unfolded(ctx: Context, found: tuple[Normalization, ...]) -> Finding:
    nodes = [node for one in found for node in one.nodes]
    spelled = [one for one in found if not one.is_fused]
    fused = tuple(edit for one in spelled for edit in one.fused(ctx.graph))
    fixes = [Fix(f"one LayerNormalization in place of {plural(len(spelled), 'spelled-out norm')}", "exact", fused)]
    fixes = fixes if fused and ctx.runs(fused) else []
    counted = f"{len(spelled)} of them spelled out, " if spelled else ""
    return Finding(
        message=f"{len(found)} {_kinds(found)} that nothing folds away: {counted}{100 * ctx.share(nodes):.0f} % of the "
        "time",
        suggestion=("Export them as one operator each (opset 17 or later): same outputs.\n" if fixes else "")
        + "A BatchNorm behind the convolution or linear layer folds into its weights. It needs retraining.",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(*fixes, _folding(found)),
        severity=None if ctx.device.kind in _ACCELERATORS else "info",
    )


def _leaving(ctx: Context, found: tuple[Normalization, ...]) -> Finding:
    """An error where they alone cut the network, or take a share that shows."""
    nodes = [node for one in found for node in one.nodes]
    told = [rewrite for node in nodes if node.op_type.endswith(_NORM) for rewrite in rewrites(ctx.graph, node)]
    exact = tuple(edit for rewrite in told for edit in rewrite.edits)
    spelled = [Fix(told[0].title, told[0].safety, exact)] if exact and ctx.runs(exact) else []
    fixes = bearable(ctx.analysis, spelled)
    return Finding(
        message=leaves(ctx.analysis, _kinds(found), len(found), nodes),
        suggestion="".join(f"Exact: {fix.title}.\n" for fix in fixes)
        + "When retraining: a BatchNorm behind the convolution or linear layer, which folds into its weights.",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(*fixes, _folding(found)),
        severity=severity_of_leaving(ctx.analysis, nodes),
        details=tuple(cost_of_leaving(ctx.analysis, nodes)),
    )


def _kinds(found: tuple[Normalization, ...]) -> str:
    return " and ".join(dict.fromkeys(one.kind for one in found))


def _folding(found: tuple[Normalization, ...]) -> Fix:
    return Fix(f"BatchNorm, which folds, in place of {len(found)} {_kinds(found)}", "lossy", _without(found))


def _without(found: tuple[Normalization, ...]) -> tuple[Remove | Reconnect, ...]:
    removed = [Remove(node.key) for one in found for node in one.nodes]
    return (*removed, *(Reconnect(one.output, one.source) for one in found))


_BLOCK = """block (float[1,3,224,224] x) => (float[1,196,192] y)
<float[192,3,16,16] p, int64[3] s = {1,192,196}, float[192] g, float[192] b, float[192,192] w> {
    a = Conv <strides = [16,16]> (x, p)
    r = Reshape (a, s)
    t = Transpose <perm = [0,2,1]> (r)
    n = LayerNormalization (t, g, b)
    m = MatMul (n, w)
    y = Add (m, t)
}"""

VALID = [
    # BatchNorm folds
    Valid("""folded (float[1,3,32,32] x) => (float[1,8,32,32] y)
        <float[8,3,3,3] w, float[8] s, float[8] b, float[8] m, float[8] v> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            y = BatchNormalization (a, s, b, m, v)
        }"""),
    # words
    Valid(
        """words (float[1,128,312] x) => (float[1,128,312] y) <float[312] s, float[312] b> {
        y = LayerNormalization (x, s, b)
    }""",
        device="rk3588",
    ),
]
INVALID = [Invalid(_BLOCK, device="rk3588"), Invalid(_BLOCK, device="t4", severity="info")]
