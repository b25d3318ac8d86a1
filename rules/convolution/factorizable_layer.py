"""Layers whose weights have a low rank: two thin layers compute nearly the same

## What it does
Reads the weights of dense convolutions and products and looks how fast their singular values fall (output channels
against all the rest). Where so few of them hold 99 % of the energy that the layer split in two is faster on this
device, it is reported, with the multiply-accumulates before and after.

## Why it costs
A weight of m x n whose energy lies in r singular values takes r·(m + n) products instead of m·n. Trained networks are
often redundant that way, large fully connected layers most: Denton et al. (arXiv 1404.0736, section 3) speed up
convolutions of AlexNet-like networks about twice within 1 % of accuracy.

## How to fix
W = U·V by singular values: first a layer with r outputs (the same window, stride and padding, no bias), then a 1x1
convolution or a product from r to all outputs, with the bias. Rank r is rounded up to the device's channel multiple.
99 % of the energy is a 10 % error of the weights: fine-tune, therefore lossy. Where 99.9999 % fit (0.1 % error) it is a
close replacement.

## Where it is silent
On weights as they come from random initialization, whose singular values fall slowly, and on those of more than
256 MB, which are not held whole; where the split is not faster
here; depthwise and grouped convolutions; matrices with more than 2048 rows and columns; without the weights' values.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix, Safety
from onnxlint.graph import Node
from onnxlint.kernels import Kernel
from onnxlint.patterns.factorized import Factorized, factorized, is_factorizable
from onnxlint.patterns.spectrum import Ranks, ranks
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import count, plural
from onnxlint.whatif import alone

RULE = Rule(code="CNV006", name="factorizable-layer", severity="warning", needs_weights=True)

_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all layers that are faster in two parts."""
    found = list(_low_ranks(ctx))
    if not found:
        return
    close = _paying(ctx, [(kernel, low, low.close) for kernel, low in found])
    lossy = _paying(ctx, [(kernel, low, low.lossy) for kernel, low in found])
    if not lossy:
        return
    most, is_one = lossy[0], len(lossy) == 1
    before, after = sum(one.macs for one in lossy), sum(one.thin_macs for one in lossy)
    fixes = [_fix(parts, energy, safety) for parts, energy, safety in _forms(close, lossy)]
    yield Finding(
        message=f"{plural(len(lossy), 'layer')} with {'a weight' if is_one else 'weights'} of low rank: few singular "
        "values hold 99 % of the energy",
        suggestion=f"In two thin layers each: {count(before)} MACs become {count(after)}; fine-tune, or keep 99.9999 % "
        f"where that pays.\n{'Here' if is_one else 'Most in'} {most.node.outputs[0]}: {_shape(ctx, most.node)} through "
        f"rank {most.rank}.",
        nodes=tuple(one.node.key for one in lossy),
        places=len(lossy),
        fixes=tuple(fixes),
        details=tuple(f"{one.node.outputs[0]}: {_shape(ctx, one.node)} through {one.rank}" for one in lossy[:_LISTED]),
    )


def _forms(close: list[Factorized], lossy: list[Factorized]) -> Iterator[tuple[list[Factorized], str, Safety]]:
    if close:
        yield close, "99.9999 %", "close"
    yield lossy, "99 %", "lossy"


def _fix(parts: list[Factorized], energy: str, safety: Safety) -> Fix:
    edits = tuple(edit for part in parts for edit in part.edits)
    return Fix(f"{plural(len(parts), 'layer')} in two thin ones each, {energy} of the energy", safety, edits)


def _low_ranks(ctx: Context) -> Iterator[tuple[Kernel, Ranks]]:
    for kernel in ctx.kernels:
        node = kernel.main
        if not kernel.on_host and is_factorizable(ctx.graph, node):
            low = ctx.weights.measured(ranks, node.inputs[1])
            if low is not None:
                yield kernel, low


def _paying(ctx: Context, wanted: list[tuple[Kernel, Ranks, int]]) -> list[Factorized]:
    """The splits at these ranks that are faster than the layer, the best first."""
    multiple = ctx.device.alignment.output_channels
    parts: list[tuple[Kernel, Factorized]] = []
    for kernel, low, rank in wanted:
        rounded = -(-rank // multiple) * multiple
        if rounded * (low.rows + low.columns) < low.rows * low.columns:
            parts.append((kernel, factorized(ctx.graph, kernel.main, rounded, RULE.code)))
    if not parts:
        return []
    trial = alone(ctx.analysis, [edit for _, part in parts for edit in part.edits])
    gains: list[tuple[float, Factorized]] = []
    for kernel, part in parts:
        before = float(ctx.times[ctx.analysis.kernel_of[kernel.main.key]].mean())
        gain = before - float(trial.seconds(trial.kernel_of[key] for key in part.keys).mean())
        if gain > 0 and ctx.runs(part.edits):
            gains.append((gain, part))
    return [part for _, part in sorted(gains, key=lambda entry: -entry[0])]


def _shape(ctx: Context, node: Node) -> str:
    return "x".join(map(str, ctx.graph.type_of(node.inputs[1]).dims))


_LAYER = """layer (float[1,256,28,28] x) => (float[1,256,28,28] y) <float[256,256,3,3] w> {
    y = Conv <pads = [1,1,1,1]> (x, w)
}"""
VALID = [
    # random numbers have no low rank
    Valid(_LAYER, device="hi3519", weights={"w": lambda rng, shape: rng.standard_normal(shape)}),
]
INVALID = [
    Invalid(
        _LAYER,
        device="hi3519",
        weights={
            "w": lambda rng, shape: (
                rng.standard_normal((shape[0], 32)) @ rng.standard_normal((32, shape[1] * 9)) / 32
            ).reshape(shape)
        },
    ),
]
