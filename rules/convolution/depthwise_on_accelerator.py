"""Depthwise convolutions that take far more time than their arithmetic

## What it does
Adds up, over all depthwise convolutions, the time above what their multiply-accumulates would take at the rate of
dense convolutions on this device; the launch itself is not counted. It is a warning where that is 5 % of the latency
or more under every parameter set that agrees with the published measurements of the device and a fused block pays, an
info where only some of the sets say so or nothing pays, and nothing below.

## Why it costs
A depthwise convolution uses each input value K² times and shares nothing between channels: a wide multiply-accumulate
array stands mostly empty, and the bytes moved decide. RK3588's depthwise convolutions run at about 1/16 of its dense
ones; ShuffleNetV2 (arXiv 1807.11164, G4) counts depthwise convolution among the element-wise operators for its ratio
of memory access to arithmetic. MobileDets (arXiv 2004.14525, section 3) puts regular convolutions back in the early
layers of detectors for Edge TPUs and DSPs; G-GhostNet (2201.03297) and CSPNet (1911.11929) avoid depthwise on GPUs.

Two published networks on a device do not separate slow depthwise kernels from slow memory, so the share is a range.

## How to fix
Fuse the expanding 1x1 and the KxK depthwise convolution into one KxK convolution (a fused inverted bottleneck) where
the channels are few: more multiply-accumulates, less time. The finding lists the blocks where that pays on this
device and their price together; where it pays nowhere, it says so and offers no fix. It needs retraining.

## Where it is silent
On devices whose profile says, with a source, that depthwise is no fault there: ARM CPUs run depthwise networks at
0.4-0.6 of the rate of dense ones, and Horizon states native support on X3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxlint.device_types import KERNEL_CLASSES
from onnxlint.finding import Finding, Fix
from onnxlint.gains import gaining
from onnxlint.kernels import Kernel
from onnxlint.latency import Seconds
from onnxlint.patterns.convolutions import ConvSizes, Swap, plain_convolution, sizes
from onnxlint.patterns.walk import is_straight
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import seconds_alone

RULE = Rule(code="CNV001", name="depthwise-on-accelerator", severity="warning")

MIN_SHARE = 0.05
"""The part of the latency that must be lost."""
MIN_GAIN = 0.005
"""The part of the latency that the fused blocks must save together to be offered."""
PRESSING_GAIN = 0.02
"""The part of the latency that they must save to be a warning: it needs retraining."""
_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all depthwise convolutions of the model."""
    analysis = ctx.analysis
    found = [(i, conv) for i, k in enumerate(ctx.kernels) if (conv := _depthwise(ctx, k)) is not None]
    if not found or not ctx.total_s:
        return
    machine = analysis.target.machine
    rate = machine.rate[KERNEL_CLASSES.index("conv")]
    indices = [index for index, _ in found]
    macs = sum(conv.macs for _, conv in found) * analysis.target.batch_factor
    lost = analysis.times[indices].sum(axis=0) - len(indices) * machine.overhead - 2.0 * macs / rate
    share = np.maximum(lost, 0.0) / analysis.total
    if share.max() < MIN_SHARE:
        return
    blocks, saved = _fused(ctx, indices)
    fixes = gaining(ctx.analysis, _fixes(blocks), MIN_GAIN * ctx.total_s) if saved >= MIN_GAIN * ctx.total_s else ()
    pays = bool(fixes)
    pressing = bool(gaining(ctx.analysis, fixes, PRESSING_GAIN * ctx.total_s))
    total_macs = sum(cost.macs for cost in analysis.kernel_costs) or 1
    taken = analysis.seconds(indices).mean() / ctx.total_s
    yield Finding(
        message=f"{plural(len(found), 'depthwise convolution')}: {100 * taken:.0f} % of the "
        f"time for {100 * macs / total_macs:.0f} % of the MACs",
        suggestion=f"At dense efficiency their MACs would take {_range(share)} % of the latency less: not all can "
        "be saved.\n" + (_advice(ctx, blocks) if pays else "Fusing expand and depthwise pays in no block here."),
        nodes=tuple(ctx.kernels[index].main.key for index in indices),
        places=len(found),
        fixes=fixes,
        severity="warning" if pressing and share.min() >= MIN_SHARE else "info",
        details=tuple(_describe(ctx, block) for block in blocks[:_LISTED]) if pays else (),
    )


def _range(share: Seconds) -> str:
    low, high = f"{100 * share.min():.0f}", f"{100 * share.max():.0f}"
    return low if low == high else f"{low}-{high}"


def _depthwise(ctx: Context, kernel: Kernel) -> ConvSizes | None:
    conv = None if kernel.on_host else sizes(ctx.graph, kernel.main)
    return conv if conv is not None and conv.is_depthwise else None


def _fused(ctx: Context, indices: list[int]) -> tuple[list[Swap], float]:
    """The blocks whose expansion and depthwise convolution run faster as one dense convolution, and what that saves."""
    analysis, graph = ctx.analysis, ctx.graph
    swaps: list[tuple[Swap, float]] = []
    wide_ones = frozenset(indices)
    for before, kernel in enumerate(ctx.kernels):
        expand = None if kernel.on_host else sizes(graph, kernel.main)
        if expand is None or not expand.is_pointwise or expand.groups > 1 or expand.in_pixels != expand.out_pixels:
            continue
        after = analysis.next_kernel(before)
        if after not in wide_ones or not is_straight(graph, kernel.nodes):
            continue  # no depthwise convolution behind it, or another branch joins between
        wide = ctx.kernels[after]
        swap = plain_convolution(graph, (*kernel.nodes, wide.main), wide.main, expand.node.inputs[0], RULE.code)
        swaps.append((swap, float(analysis.seconds((before, after)).mean())))
    if not swaps:
        return [], 0.0
    fused = seconds_alone(analysis, [swap.edits for swap, _ in swaps])
    paying = [(swap, old - new) for (swap, old), new in zip(swaps, fused, strict=True) if old > new]
    paying.sort(key=lambda entry: -entry[1])
    return [swap for swap, _ in paying], float(sum(gain for _, gain in paying))


def _fixes(blocks: list[Swap]) -> tuple[Fix, ...]:
    edits = tuple(edit for block in blocks for edit in block.edits)
    return (Fix(f"fuse expand and depthwise into one convolution in {plural(len(blocks), 'block')}", "lossy", edits),)


def _advice(ctx: Context, blocks: list[Swap]) -> str:
    most = _describe(ctx, blocks[0])
    if len(blocks) == 1:
        return f"Fusing the 1x1 with the depthwise behind it pays in 1 block: {most}."
    return f"Fusing the 1x1 with the depthwise behind it pays in {len(blocks)} blocks, most in {most}."


def _describe(ctx: Context, block: Swap) -> str:
    wide = block.removed[-1]
    conv, narrow = sizes(ctx.graph, wide), sizes(ctx.graph, block.removed[0])
    assert conv is not None
    assert narrow is not None
    window = "x".join(map(str, conv.kernel))
    return f"{wide.outputs[0]}: one {window} convolution {narrow.in_channels}->{conv.out_channels}"


VALID = [
    # a dense convolution
    Valid(
        """dense (float[1,32,56,56] x) => (float[1,32,56,56] y) <float[32,32,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)
        }""",
        device="hi3519",
    ),
    # x3 is stated to run depthwise natively
    Valid(
        """native (float[1,128,56,56] x) => (float[1,128,56,56] y) <float[128,1,3,3] w> {
            y = Conv <group = 128, pads = [1,1,1,1]> (x, w)
        }""",
        device="x3",
    ),
]
INVALID = [
    Invalid(
        """inverted (float[1,16,112,112] x) => (float[1,16,112,112] y)
        <float[96,16,1,1] v, float[96,1,3,3] w, float[16,96,1,1] u> {
            a = Conv (x, v)
            b = Relu (a)
            c = Conv <group = 96, pads = [1,1,1,1]> (b, w)
            d = Relu (c)
            y = Conv (d, u)
        }""",
        device="hi3519",
        severity="warning",
    ),
]
