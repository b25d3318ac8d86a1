"""Group convolutions whose groups cost more memory access than they save arithmetic

## What it does
Compares each grouped (not depthwise) convolution with the dense one of the same multiply-accumulates, whose two
widths are 1/sqrt(g) of the grouped one's: where it moves at least 1.2 times the elements `hw_in·c1 + hw_out·c2 +
K²·c1·c2/g`, both are priced on this device, and so are the group numbers in between. The convolutions that the dense
form outruns are one finding.

## Why it costs
G2 of ShuffleNetV2 (arXiv 1807.11164): a 1x1 group convolution has B = hw·c1·c2/g multiply-accumulates and moves MAC =
hw(c1 + c2) + c1·c2/g = hw·c1 + B·g/c1 + B/hw elements (its equation 2): at equal B it grows with g. K² is the same
count for a larger kernel. In its Table 2, ten 1x1 layers at 56x56 and equal MACs run at 2451 batches a second with
one group, 1725 with two and 1026 with four (GTX 1080 Ti); "up to 30 % slower on ARM" with eight. Besides, few
channels a group leave wide multiply-accumulate arrays unfilled.

## How to fix
Fewer groups and fewer channels, the same multiply-accumulates. The finding names the largest group number that costs
at most 5 % more than the dense form on this device, beside the rule of thumb g ≤ floor(sqrt(C)) that is attributed to
ShuffleNetV1 (not checked in that paper). Groups buy width for accuracy: the network must be retrained, and the
narrower one may be less accurate, so this is advice.

## Where it is silent
On depthwise convolutions (CNV001), on the host's layers, and where the grouped form is the faster one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.channels import tiles_of
from onnxlint.finding import Finding, Fix
from onnxlint.gains import gaining
from onnxlint.kernels import Kernel
from onnxlint.latency import Bound
from onnxlint.patterns.convolutions import ConvSizes, Swap, sizes, standalone
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import alone

RULE = Rule(code="G2", name="excessive-group-convolution", severity="warning")

MIN_RATIO = 1.2
"""Memory access of the grouped convolution over the dense one of equal MACs."""
TOLERANCE = 1.05
"""How much slower than dense a group number may be to break even."""
_LISTED = 6


@dataclass(frozen=True, slots=True)
class _Place:
    conv: ConvSizes
    forms: dict[int, ConvSizes]
    swaps: dict[int, Swap]
    seconds: float
    bound: Bound

    def __str__(self) -> str:
        conv, dense = self.conv, self.forms[1]
        moved = f"{conv.accessed / dense.accessed:.2f}x the access of dense {dense.in_channels}->{dense.out_channels}"
        return f"{conv.node.key}: {conv.in_channels}->{conv.out_channels} in {conv.groups} groups, {moved}"


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all group convolutions that the dense form outruns."""
    places = [place for i, kernel in enumerate(ctx.kernels) if (place := _place(ctx, i, kernel)) is not None]
    if not places:
        return
    trial = alone(ctx.analysis, [edit for place in places for swap in place.swaps.values() for edit in swap.edits])

    def seconds(place: _Place, groups: int) -> float:
        return float(trial.seconds(trial.kernel_of[key] for key in place.swaps[groups].keys).mean())

    worst = [place for place in places if seconds(place, 1) < place.seconds]
    if not worst:
        return
    worst.sort(key=lambda place: seconds(place, 1) - place.seconds)
    most = max(place.conv.groups for place in worst)
    groups = [g for g in _numbers(most) if all(g in place.swaps or g >= place.conv.groups for place in worst)]
    totals = {g: sum(seconds(p, g) if g in p.swaps else p.seconds for p in worst) for g in groups}
    even = max(g for g in groups if totals[g] <= TOLERANCE * totals[1])
    least = min(place.conv.groups for place in worst)
    thumb = math.isqrt(min(worst[0].conv.in_channels, worst[0].conv.out_channels))
    fewer = max(g for g in groups if g <= max(thumb, 1))
    limits = [f"{ctx.device.name} breaks even at g = {even}"] if 1 < even < least else []
    limits += [f"rule of thumb g <= sqrt(C) = {thumb} here"] if thumb < worst[0].conv.groups else []
    fixes = gaining(ctx.analysis, (_fix(worst, g) for g in dict.fromkeys((1, fewer))))
    if not fixes:
        return
    yield Finding(
        message=f"{plural(len(worst), 'convolution')} in {'up to ' if least < most else ''}{most} groups "
        f"{'is slower than a dense one' if len(worst) == 1 else 'are slower than dense ones'} of equal MACs",
        suggestion=f"{_cause(ctx, worst[0])}.\n"
        f"{'; '.join(('Equal MACs in fewer channels are another capacity: needs retraining', *limits))}.",
        nodes=tuple(place.conv.node.key for place in worst),
        places=len(worst),
        fixes=fixes,
        details=tuple(str(place) for place in worst[:_LISTED]),
    )


def _cause(ctx: Context, place: _Place) -> str:
    """Why the place costs more than the dense form: memory access, or arithmetic that its narrow groups waste."""
    conv, dense = place.conv, place.forms[1]
    what = f"{conv.node.key}: {conv.in_channels}->{conv.out_channels} in {conv.groups} groups"
    plain = f"dense {dense.in_channels}->{dense.out_channels}"
    if place.bound == "memory":
        return f"{what} moves {conv.accessed / 1e6:.2f} M elements, {plain} {dense.accessed / 1e6:.2f} M"
    alignment = ctx.device.alignment
    own = (conv.in_channels // conv.groups, conv.out_channels // conv.groups)
    shared, *padded, tiles = tiles_of(alignment, *own, conv.groups)
    factor = tiles * math.prod(padded) / (conv.groups * math.prod(own))
    if place.bound == "compute" and alignment.mode == "internal" and factor >= MIN_RATIO:
        told = f"pads {own[0]}->{own[1]} channels a group to" if shared == 1 else f"takes {shared} groups at once as"
        zeros = f"{told} {padded[0]}->{padded[1]}"
        return f"{what} {zeros}: {factor:.1f}x the arithmetic, not memory access, is what costs against {plain}"
    if place.bound == "compute":
        return f"{what} computes at the rate of {own[0]}->{own[1]} channels a group, below that of {plain}"
    return f"{what} costs its launch more than its memory access; {plain} is faster all the same"


def _place(ctx: Context, index: int, kernel: Kernel) -> _Place | None:
    conv = sizes(ctx.graph, kernel.main)
    if conv is None or kernel.on_host or conv.groups == 1 or conv.is_depthwise:
        return None
    forms = {g: conv.scaled(math.sqrt(g / conv.groups), g) for g in _numbers(conv.groups)}
    if conv.accessed < MIN_RATIO * forms[1].accessed:
        return None
    swaps = {g: standalone(ctx.graph, kernel.nodes, form, f"{RULE.code}.{g}") for g, form in forms.items()}
    return _Place(conv, forms, swaps, float(ctx.times[index].mean()), ctx.analysis.bounds[index])


def _numbers(groups: int) -> list[int]:
    """The powers of two below a group number: 1, 2, 4, …"""
    return [1 << power for power in range(groups.bit_length()) if 1 << power < groups]


def _fix(places: list[_Place], groups: int) -> Fix:
    edits = tuple(edit for place in places if groups in place.swaps for edit in place.swaps[groups].edits)
    what = "dense convolutions" if groups == 1 else f"{groups} groups"
    return Fix(f"{what} of equal MACs in place of {plural(len(places), 'group convolution')}", "advice", edits)


VALID = [
    Valid("""dense (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,1,1] w> { y = Conv (x, w) }"""),
    Valid(
        """depthwise (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,1,3,3] w> {
            y = Conv <group = 64, pads = [1,1,1,1]> (x, w)
        }"""
    ),
    # two groups of many channels on a small map: the weights are what moves, and they are as many in the dense form
    Valid(
        """halves (float[1,512,7,7] x) => (float[1,512,7,7] y) <float[512,256,3,3] w> {
            y = Conv <group = 2, pads = [1,1,1,1]> (x, w)
        }"""
    ),
]
INVALID = [
    Invalid(
        """resnext (float[1,256,56,56] x) => (float[1,256,56,56] y) <float[256,8,3,3] w> {
            a = Conv <group = 32, pads = [1,1,1,1]> (x, w)
            y = Relu (a)
        }""",
        severity="warning",
    ),
]
