"""Depthwise-separable pairs that a plain convolution outruns

## What it does
Takes every depthwise convolution whose result goes to one 1x1 convolution alone (activations and BatchNorm between
them allowed), puts a plain convolution of the same input, output, kernel and stride in their place and prices both on
this device. Pairs that the plain convolution outruns are reported together, as one finding.

## Why it costs
The pair is cheaper on paper: `K²·c1 + c1·c2` multiply-accumulates a position against `K²·c1·c2`. But it writes and
reads the map between them, starts two kernels, and the depthwise half leaves a multiply-accumulate array empty. With
few channels, in the early layers where maps are large, the saved arithmetic is small and the rest dominates.
MobileDets (arXiv 2004.14525, section 3) reports regular convolutions up to three times as fast as depthwise-separable
ones on an Edge TPU at seven times the operations (read in a summary of the paper), and searches with them.

## How to fix
Replace the pair by the plain convolution: the finding names the multiply-accumulates before and after. Where nothing
stands between the two, they merge into one convolution with the same outputs: weight(o,i) =
pointwise(o,i)·depthwise(i). Else the network must be retrained.

## Where it is silent
Where the pair is faster than the plain convolution: with many channels nearly everywhere, on ARM CPUs mostly. Pairs
that leave the device, and pairs whose middle is read elsewhere, are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Edit, Finding, Fix
from onnxlint.gains import gaining
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, plain_convolution, sizes
from onnxlint.patterns.walk import is_straight
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import seconds_alone

RULE = Rule(code="CHN002", name="low-channel-separable", severity="warning")

_LISTED = 6


@dataclass(frozen=True, slots=True)
class _Pair:
    depthwise: ConvSizes
    pointwise: ConvSizes
    nodes: tuple[Node, ...]
    seconds: float

    @property
    def merges(self) -> bool:
        """Nothing stands between the two."""
        return len(self.nodes) == 2

    def swap(self, graph: Graph) -> tuple[Edit, ...]:
        """A plain convolution in their place."""
        conv = self.depthwise.node
        return plain_convolution(graph, self.nodes, conv, conv.inputs[0], RULE.code).edits

    def mark(self, graph: Graph) -> object:
        """Equal for pairs whose plain convolutions are alike."""
        conv = self.depthwise.node
        kinds = [graph.type_of(name) for name in (*conv.inputs, conv.outputs[0], self.nodes[-1].outputs[0])]
        return (id(conv.attributes), *kinds, "" in conv.inputs)

    @property
    def macs(self) -> int:
        return self.depthwise.macs + self.pointwise.macs

    @property
    def plain_macs(self) -> int:
        return self.depthwise.macs * self.pointwise.out_channels

    def __str__(self) -> str:
        one, two = self.depthwise, self.pointwise
        window = "x".join(map(str, one.kernel))
        return f"{two.node.outputs[0]}: {window} {one.in_channels}->{two.out_channels}"


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the pairs that merge without a change of the outputs, one for the others."""
    pairs = list(_pairs(ctx))
    if not pairs:
        return
    marks = [pair.mark(ctx.graph) for pair in pairs]
    alike = dict(zip(marks, pairs, strict=True))
    plain = seconds_alone(ctx.analysis, [pair.swap(ctx.graph) for pair in alike.values()])
    seconds = dict(zip(alike, plain, strict=True))
    gains = [pair.seconds - seconds[mark] for pair, mark in zip(pairs, marks, strict=True)]
    for merges in (True, False):
        slower = [(gain, pair) for gain, pair in zip(gains, pairs, strict=True) if gain > 0 and pair.merges == merges]
        if slower:
            slower.sort(key=lambda entry: -entry[0])
            finding = _finding(ctx, [pair for _, pair in slower], merges)
            if gaining(ctx.analysis, finding.fixes):
                yield finding


def _finding(ctx: Context, pairs: list[_Pair], merges: bool) -> Finding:
    macs, plain = sum(pair.macs for pair in pairs), sum(pair.plain_macs for pair in pairs)
    how = "merge each pair: same outputs" if merges else "the map between is never written"
    is_one = len(pairs) == 1
    return Finding(
        message=f"{plural(len(pairs), 'depthwise-separable pair')} {'is' if is_one else 'are'} slower here than "
        f"{'a plain convolution' if is_one else 'plain convolutions'}",
        suggestion=f"{macs / 1e6:.1f} M MACs become {plain / 1e6:.1f} M; {how}.\n"
        f"{'The pair' if is_one else 'The pair that pays most'}: {pairs[0]}.",
        nodes=tuple(key for pair in pairs for key in (pair.depthwise.node.key, pair.pointwise.node.key)),
        places=len(pairs),
        fixes=(
            Fix(
                f"plain convolutions in place of {plural(len(pairs), 'depthwise-separable pair')}",
                "exact" if merges else "lossy",
                tuple(edit for pair in pairs for edit in pair.swap(ctx.graph)),
            ),
        ),
        details=tuple(str(pair) for pair in pairs[:_LISTED]),
    )


def _pairs(ctx: Context) -> Iterator[_Pair]:
    """A depthwise kernel and the pointwise kernel that alone reads its result."""
    graph, analysis = ctx.graph, ctx.analysis
    for index, kernel in enumerate(ctx.kernels):
        depthwise = sizes(graph, kernel.main)
        if depthwise is None or not depthwise.is_depthwise or kernel.on_host:
            continue
        after = analysis.next_kernel(index)
        if after is None:
            continue
        behind = ctx.kernels[after]
        pointwise = sizes(graph, behind.main)
        if pointwise is None or not pointwise.is_pointwise or pointwise.groups > 1 or behind.on_host:
            continue
        if pointwise.in_pixels != pointwise.out_pixels or depthwise.out_channels != depthwise.in_channels:
            continue
        if pointwise.node.inputs[0] != kernel.nodes[-1].outputs[0]:
            continue
        if not is_straight(graph, kernel.nodes):
            continue  # another branch joins between them
        seconds = float(analysis.seconds((index, after)).mean())
        yield _Pair(depthwise, pointwise, (*kernel.nodes, behind.main), seconds)


VALID = [
    # many channels on a small map: nine times the arithmetic costs more than the map between saves
    Valid(
        """deep (float[1,512,14,14] x) => (float[1,512,14,14] y) <float[512,1,3,3] w, float[512,512,1,1] v> {
            a = Conv <group = 512, pads = [1,1,1,1]> (x, w)
            b = Relu (a)
            y = Conv (b, v)
        }"""
    ),
    # the map between is read elsewhere
    Valid(
        """shared (float[1,16,112,112] x) => (float[1,16,112,112] y, float[1,16,112,112] a)
        <float[16,1,3,3] w, float[16,16,1,1] v> {
            a = Conv <group = 16, pads = [1,1,1,1]> (x, w)
            y = Conv (a, v)
        }"""
    ),
]
INVALID = [
    Invalid(
        """early (float[1,16,112,112] x) => (float[1,16,112,112] y) <float[16,1,3,3] w, float[16,16,1,1] v> {
            a = Conv <group = 16, pads = [1,1,1,1]> (x, w)
            b = Relu (a)
            y = Conv (b, v)
        }""",
        severity="warning",
    ),
    # nothing between: the two merge exactly
    Invalid(
        """linear (float[1,16,112,112] x) => (float[1,16,112,112] y) <float[16,1,3,3] w, float[16,16,1,1] v> {
            a = Conv <group = 16, pads = [1,1,1,1]> (x, w)
            y = Conv (a, v)
        }""",
        severity="warning",
    ),
]
