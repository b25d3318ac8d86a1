"""Cells of many small operators side by side

## What it does
Finds fork-join regions: nodes that lead to one Concat or sum alone and come from one point, or from earlier cells. A
region with at least three branches and four convolutions or pools is a fragmented cell. All cells of the model are
one finding; it says what part of their time is launch overhead or a machine too large for its kernels.

## Why it costs
G3 of ShuffleNetV2 (arXiv 1807.11164): many small operators in place of a few large ones lower the degree of
parallelism and add "kernel launching and synchronization". NASNet-A has 13 convolutions and pools in one block,
ResNet two or three. In its Table 3, ten blocks of four parallel 1x1 convolutions run at 691 batches a second, ten
single ones with the same FLOPs at 2446 (GTX 1080 Ti, 128 channels): 3.5 times slower; on a Snapdragon 810 35.0
against 40.2 images a second.

## How to fix
One or two wide convolutions with the cell's multiply-accumulates and the windows that hold most of them (so that the
price is that of the fragments, not of another kind of convolution), in place of every cell: another architecture, so
advice. Convolutions of one input with the same window and activation whose results the Concat puts
side by side are one convolution with their weights stacked: exact. Depthwise convolutions of several windows over parts
of one map (MixNet, arXiv 1907.09595) are one depthwise convolution of the largest window, the smaller ones padded
with zeros: exact, and offered where launches and copies cost more than the products with zeros.

## Where it is silent
On two branches (residual blocks, squeeze-excite gates, channel splits, dual paths that slice what they join), on
branches that feed one another (DenseNet, one-shot aggregation), on heads side by side, on cells that run on the host,
on sums of linear branches, which are one convolution (STR001), on branches more than 12 convolutions deep: those are
parts of a network and no cell (DDRNet).
An info where less than a tenth of the cells' time is launch overhead or an unfilled machine (there narrow kernels
cost, not their number), and where no form of them is known to be faster.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.cells import Cell, as_wide, cells, idle_share, median_width
from onnxlint.finding import Finding, Fix
from onnxlint.gains import gaining
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import alone

RULE = Rule(code="G3", name="network-fragmentation", severity="warning")

_MIN_IDLE = 0.1
"""The part of the cells' time below which launches and an unfilled machine are not what costs."""
_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding each for cells that are one convolution in parts, for depthwise windows, and for the others."""
    found = cells(ctx.analysis, RULE.code)
    plain = [cell for cell in found if cell.mixed is None]
    for whole in (True, False):
        chosen = [cell for cell in plain if cell.is_whole == whole]
        if chosen:
            yield _fragments(ctx, chosen, whole)
    mixed = [cell for cell in found if cell.mixed is not None]
    if mixed:
        yield _windows(ctx, mixed)


def _fragments(ctx: Context, found: list[Cell], whole: bool) -> Finding:
    worst, idle, kernels = found[0], idle_share(found), sum(cell.kernels for cell in found)
    exact = tuple(edit for cell in found for edit in cell.stacked)
    stacked = Fix("convolutions of one input stacked into one", "exact", exact)
    fixes = gaining(ctx.analysis, [stacked] if whole else [stacked, *as_wide(ctx.graph, found, RULE.code)])
    what = "convolution, its parts' weights stacked" if whole else "or two wide convolutions"
    lost = f"{100 * idle:.0f} % of their time is launch overhead or an unfilled machine ({kernels} kernels)"
    if idle < _MIN_IDLE:
        width = median_width(ctx.graph, found)
        small = f"{kernels} small kernels{'' if width is None else f' ({width} channels in the median)'}"
        lost = f"Little is launch overhead ({100 * idle:.0f} %): {small} run below the rate of wide ones"
    return Finding(
        message=f"{plural(len(found), 'fragmented cell')}, the dearest of {worst.operators} convolutions and pools in "
        f"{worst.branches} branches",
        suggestion=f"{lost}.\n{worst.region.name} first: one {what}, with its {worst.macs / 1e6:.1f} M MACs."
        if fixes
        else f"{lost}; onnxlint has no cheaper form of them.",
        nodes=tuple(node.key for cell in found for node in cell.nodes),
        places=len(found),
        fixes=fixes,
        severity="info" if (idle < _MIN_IDLE and not exact) or not fixes else None,
        details=tuple(map(str, found[:_LISTED])),
    )


def _windows(ctx: Context, found: list[Cell]) -> Finding:
    """Depthwise convolutions of several windows side by side: one of the largest, where that is faster."""
    mixed = [cell.mixed for cell in found if cell.mixed is not None]
    edits = {one.output: one.edits(ctx.graph, RULE.code) for one in mixed}
    trial = alone(ctx.analysis, [edit for some in edits.values() for edit in some])
    paying = [
        (one, edits[one.output], cell)
        for one, cell in zip(mixed, found, strict=True)
        if ctx.runs(edits[one.output]) and float(trial.seconds([trial.kernel_of[one.output]]).mean()) < cell.seconds
    ]
    fix = Fix(
        f"one depthwise convolution of the largest window in {len(paying)} of {plural(len(found), 'place')}",
        "exact",
        tuple(edit for _, some, _ in paying for edit in some),
    )
    fixes = gaining(ctx.analysis, [fix])
    windows = ", ".join("x".join(map(str, window)) for window in mixed[0].windows)
    idle, kernels = idle_share(found), sum(cell.kernels for cell in found)
    lost = f"{100 * idle:.0f} % of their time is launch overhead or an unfilled machine ({kernels} kernels)."
    if fixes:
        best, _, cell = paying[0]
        kernel = "x".join(map(str, best.largest.conv.kernel))
        lost += f"\n{cell.region.name}: one depthwise {kernel}, smaller windows padded with zeros (exact), "
        lost += f"{best.macs / 1e6:.2f} M MACs for {cell.macs / 1e6:.2f} M."
    else:
        lost += "\nOne depthwise convolution of the largest window, the others padded with zeros, pays nowhere here."
    return Finding(
        message=f"{plural(len(found), 'cell')} of depthwise convolutions with several windows ({windows} first)",
        suggestion=lost,
        nodes=tuple(node.key for cell in found for node in cell.nodes),
        places=len(found),
        fixes=fixes,
        severity=None if fixes else "info",
        details=tuple(map(str, found[:_LISTED])),
    )


_CELL = """(float[1,64,14,14] x) => (float[1,64,14,14] y)
<float[16,64,1,1] a1, float[16,64,1,1] b1, float[16,16,3,3] b2, float[16,64,1,1] c1,
    float[16,16,3,3] c2, float[16,64,1,1] d2> {
    a = Conv (x, a1)
    b0 = Conv (x, b1)
    b = Conv <pads = [1,1,1,1]> (b0, b2)
    c0 = Conv (x, c1)
    c = Conv <pads = [1,1,1,1]> (c0, c2)
    p = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (x)
    d = Conv (p, d2)
    y = Concat <axis = 1> (a, b, c, d)
}"""

VALID = [
    # a residual block: two branches, one of them empty
    Valid(
        """residual (float[1,64,14,14] x) => (float[1,64,14,14] y) <float[64,64,3,3] w, float[64,64,3,3] v> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Relu (a)
            c = Conv <pads = [1,1,1,1]> (b, v)
            y = Add (c, x)
        }""",
        device="t4",
    ),
    # one-shot aggregation: the branches feed one another
    Valid(
        """osa (float[1,64,14,14] x) => (float[1,256,14,14] y)
        <float[64,64,3,3] w, float[64,64,3,3] v, float[64,64,3,3] u, float[64,64,3,3] t> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Conv <pads = [1,1,1,1]> (a, v)
            c = Conv <pads = [1,1,1,1]> (b, u)
            d = Conv <pads = [1,1,1,1]> (c, t)
            y = Concat <axis = 1> (a, b, c, d)
        }""",
        device="t4",
    ),
    # a dual path: both convolutions' results are cut, one part summed, one part each kept
    Valid(
        """dual (float[1,64,14,14] x) => (float[1,112,14,14] y)
        <float[96,64,1,1] w, float[32,64,1,1] v, float[32,32,3,3] u, float[80,32,1,1] t,
         int64[2] left = {64,32}, int64[2] right = {64,16}> {
            a = Conv (x, w)
            b = Conv (x, v)
            c = Conv <pads = [1,1,1,1]> (b, u)
            d = Conv (c, t)
            a1, a2 = Split <axis = 1> (a, left)
            d1, d2 = Split <axis = 1> (d, right)
            s = Add (a1, d1)
            y = Concat <axis = 1> (s, a2, d2)
        }""",
        device="t4",
    ),
    # heads side by side: no map that one convolution could write
    Valid(
        """heads (float[1,64] x) => (float[1,40] y)
        <float[64,10] w, float[64,10] v, float[64,10] u, float[64,10] t> {
            z = Relu (x)
            a = Gemm (z, w)
            b = Gemm (z, v)
            c = Gemm (z, u)
            d = Gemm (z, t)
            y = Concat <axis = 1> (a, b, c, d)
        }""",
        device="t4",
    ),
]
INVALID = [
    Invalid("inception " + _CELL, device="t4", severity="warning"),
    # four convolutions of one input with the same window: exactly one convolution
    Invalid(
        """stacked (float[1,64,14,14] x) => (float[1,64,14,14] y)
        <float[16,64,3,3] w, float[16,64,3,3] v, float[16,64,3,3] u, float[16,64,3,3] t> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Conv <pads = [1,1,1,1]> (x, v)
            c = Conv <pads = [1,1,1,1]> (x, u)
            d = Conv <pads = [1,1,1,1]> (x, t)
            y = Concat <axis = 1> (a, b, c, d)
        }""",
        device="t4",
        severity="warning",
    ),
]
