"""Parallel linear branches that are summed: together they are one convolution.

## What it does
Finds sums whose branches all come from one value and are linear in it: convolutions of the same stride and groups, with
BatchNormalization behind them or not, a BatchNormalization alone, the value itself. RepVGG and MobileOne blocks look
like this as long as they are in their training form.

## Why it costs
Every branch reads the whole map, writes one, and the sum reads them all again. RepVGG (arXiv 2101.03697, section 3.1)
gives speed and memory as the two reasons against branches: their results are kept until they are added, and each is a
launch of its own. Its blocks train with three branches and run as one 3x3 convolution.

## How to fix
Merge the branches before the export: a smaller kernel is padded with zeros to the largest, the identity is a kernel
with a single 1 a channel, BatchNormalization scales the kernel and its bias, then kernels and biases are added up. The
outputs stay the same up to rounding. RepVGG calls it `switch_to_deploy`, timm `reparameterize_model`.

## Where it is silent
On residual blocks with an activation inside, on branches with other strides or dilations, and where the largest kernel
does not hold the others (its padding is smaller).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.patterns.parallel import Merge, merges
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="STR001", name="reparameterizable-branches", severity="warning")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all sums that are one convolution each."""
    found = [merge for merge in merges(ctx.graph) if len(merge.nodes) > 1]
    if not found:
        return
    edits = tuple(edit for merge in found for edit in merge.edits(ctx.graph, RULE.code))
    nodes = [node for merge in found for node in merge.nodes]
    kernels = {ctx.analysis.kernel_of[node.key] for node in nodes if node.key in ctx.analysis.kernel_of}
    fix = Fix(f"one convolution in place of the branches in {plural(len(found), 'place')}", "exact", edits)
    runs = ctx.runs(edits)
    is_one = len(found) == 1
    yield Finding(
        message=f"{'a sum' if is_one else f'{len(found)} sums'} of parallel linear branches: "
        f"{len(kernels)} kernels where {'one convolution does' if is_one else f'{len(found)} convolutions do'}",
        suggestion=f"Merge the weights before the export (re-parameterise), {_sizes(ctx, found)}.\n"
        "Exact: the outputs stay the same, no retraining.",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(fix,) if runs else (),
        details=tuple(
            f"{count}x one convolution of {shape}"
            for shape, count in Counter(_shape(ctx, merge) for merge in found).most_common()
        ),
    )


def _shape(ctx: Context, merge: Merge) -> str:
    return "x".join(str(size) for size in ctx.graph.type_of(merge.main.inputs[1]).dims)


def _sizes(ctx: Context, found: list[Merge]) -> str:
    shape, count = Counter(_shape(ctx, merge) for merge in found).most_common(1)[0]
    return f"most often to a {shape} weight ({count} of {len(found)})" if len(found) > 1 else f"to a {shape} weight"


_TEXT = """block (float[1,64,28,28] x) => (float[1,64,28,28] y)
<float[64,64,3,3] w, float[64] b, float[64,64,1,1] v, float[64] c, float[64] s, float[64] t, float[64] m, float[64] u> {
    large = Conv <pads = [1,1,1,1]> (x, w, b)
    small = Conv (x, v, c)
    same = BatchNormalization (x, s, t, m, u)
    two = Add (large, small)
    sum = Add (two, same)
    y = Relu (sum)
}"""

VALID = [
    # a residual block: an activation stands inside the branch
    Valid(
        """residual (float[1,64,28,28] x) => (float[1,64,28,28] y) <float[64,64,3,3] w, float[64,64,3,3] v> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Relu (a)
            c = Conv <pads = [1,1,1,1]> (b, v)
            d = Add (c, x)
            y = Relu (d)
        }"""
    ),
]
INVALID = [
    Invalid(_TEXT, device="t4", severity="warning"),
    Invalid(_TEXT, device="hi3519", severity="warning"),
    Invalid(_TEXT, device="cortex-a76", severity="warning"),
]
