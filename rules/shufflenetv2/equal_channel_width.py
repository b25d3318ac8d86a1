"""Pointwise convolutions whose unequal widths cost memory access

## What it does
For each 1x1 convolution that waits for memory on this device, compares the elements it moves, `hw_in·c1 + hw_out·c2 +
c1·c2`, with the least that its multiply-accumulates B allow, `2·sqrt(hw_in·B) + B/hw_out`, and prices a convolution
of that equal width in its place. The convolutions that would gain are one finding.

## Why it costs
G1 of ShuffleNetV2 (arXiv 1807.11164): a 1x1 convolution has B = hw·c1·c2 multiply-accumulates and moves MAC = hw(c1 +
c2) + c1·c2 elements. By the inequality of the means MAC ≥ 2·sqrt(hw·B) + B/hw (its equation 1), with equality where
c1 = c2. At a stride hw_in and hw_out differ; the bound above is the same inequality with both, and is reached at
hw_in·c1 = hw_out·c2. Its Table 1 stacks ten pairs c1→c2→c1 at 56x56 and equal MACs: from 1:1 to 1:12 the rate falls
from 1480 to 748 batches a second on a GTX 1080 Ti, from 76.2 to 57.6 images a second on a Snapdragon 810.

## How to fix
Bring the widths of a block's 1x1 convolutions together: c1→c2→c1 becomes c→c→c with c = sqrt(c1·c2), the same
multiply-accumulates, and nearer to the bound. The finding gives the widths of least access for the worst places; at a
stride s they are not equal: the narrower side is the one with more positions, c2 = s²·c1. It is a change of
architecture, so advice: the price is that of the 1x1 kernels alone, each with the widths of its neighbours unchanged.

## Where it is silent
On convolutions that wait for arithmetic or for their launch: there the bytes are not what costs. The ratio alone is
no reason either: most layers of MobileNetV2 exceed 1.2 everywhere; the price decides. On convolutions that read the
graph's input, whose channels are no choice, and on those that are summed with parallel convolutions of the same input:
they merge into one (G4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnxlint.finding import Finding, Fix
from onnxlint.patterns.convolutions import ConvSizes, Swap, sizes, standalone
from onnxlint.patterns.parallel import merges
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import alone

RULE = Rule(code="G1", name="equal-channel-width", severity="warning")

MIN_RATIO = 1.1
"""Memory access above the bound by less than this is no unequal width."""
_LISTED = 6


@dataclass(frozen=True, slots=True)
class _Place:
    conv: ConvSizes
    equal: ConvSizes
    swap: Swap
    seconds: float

    def __str__(self) -> str:
        ratio = self.conv.accessed / bound(self.conv)
        old, new = self.conv, self.equal
        widths = f"{old.in_channels}->{old.out_channels} (least access: {new.in_channels}->{new.out_channels})"
        return f"{old.node.key}: {widths}, {ratio:.2f}x the least access"


def bound(conv: ConvSizes) -> float:
    """The least memory access in elements of a 1x1 convolution with as many MACs: equation 1, extended to strides."""
    return 2 * math.sqrt(conv.in_pixels * conv.macs) + conv.macs / conv.out_pixels


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all pointwise convolutions that gain from equal widths."""
    places = list(_places(ctx))
    if not places:
        return
    trial = alone(ctx.analysis, [edit for place in places for edit in place.swap.edits])
    gains = [p.seconds - float(trial.seconds(trial.kernel_of[key] for key in p.swap.keys).mean()) for p in places]
    ranked = sorted(zip(gains, range(len(places)), strict=True), key=lambda entry: (-entry[0], entry[1]))
    worst = [places[index] for gain, index in ranked if gain > 0]
    if not worst:
        return
    moved, least = sum(p.conv.accessed for p in worst), sum(bound(p.conv) for p in worst)
    strides = any(place.conv.in_pixels != place.conv.out_pixels for place in worst)
    how = "equal: c = sqrt(c1*c2)" + ("; at a stride s: c2 = s*s*c1" if strides else "")
    yield Finding(
        message=f"{plural(len(worst), 'memory-bound 1x1 convolution')} {'moves' if len(worst) == 1 else 'move'} "
        f"{moved / least:.2f}x the elements of the least-access widths",
        suggestion=f"{moved / 1e6:.2f} M elements moved, {least / 1e6:.2f} M at the least-access widths of the same "
        f"MACs ({how}).\nWorst: {worst[0]}.",
        nodes=tuple(place.conv.node.key for place in worst),
        places=len(worst),
        fixes=(
            Fix(
                f"least-access widths in {plural(len(worst), 'pointwise convolution')}, MACs unchanged",
                "advice",
                tuple(edit for place in worst for edit in place.swap.edits),
            ),
        ),
        details=tuple(str(place) for place in worst[:_LISTED]),
    )


def _places(ctx: Context) -> Iterator[_Place]:
    analysis = ctx.analysis
    parallel = {node.key for merge in merges(ctx.graph) for node in merge.nodes}
    for index, kernel in enumerate(ctx.kernels):
        conv = sizes(ctx.graph, kernel.main)
        if conv is None or kernel.on_host or analysis.bounds[index] != "memory":
            continue
        if conv.node.inputs[0] in ctx.graph.inputs or conv.node.key in parallel:
            continue
        if not conv.is_pointwise or conv.groups > 1 or conv.accessed < MIN_RATIO * bound(conv):
            continue
        into = math.sqrt(conv.in_channels * conv.out_channels * conv.out_pixels / conv.in_pixels)
        out = into * conv.in_pixels / conv.out_pixels
        equal = replace(conv, in_channels=max(1, round(into)), out_channels=max(1, round(out)))
        seconds = float(analysis.times[index].mean())
        yield _Place(conv, equal, standalone(ctx.graph, kernel.nodes, equal, RULE.code), seconds)


VALID = [
    # equal widths
    Valid("""equal (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,1,1] w> { y = Conv (x, w) }"""),
    # unequal, but bound by its launch
    Valid(
        """small (float[1,3,7,7] x) => (float[1,96,7,7] y) <float[16,3,3,3] u, float[96,16,1,1] w> {
            s = Conv <pads = [1,1,1,1]> (x, u)
            y = Conv (s, w)
        }"""
    ),
    # the image's channels are no choice
    Valid("""image (float[1,3,112,112] x) => (float[1,64,112,112] y) <float[64,3,1,1] w> { y = Conv (x, w) }"""),
]
INVALID = [
    Invalid(
        """pair (float[1,3,112,112] x) => (float[1,16,112,112] y)
        <float[16,3,3,3] u, float[192,16,1,1] w, float[16,192,1,1] v> {
            s = Conv <pads = [1,1,1,1]> (x, u)
            a = Conv (s, w)
            b = Relu (a)
            y = Conv (b, v)
        }""",
        places=2,
        severity="warning",
    ),
]
