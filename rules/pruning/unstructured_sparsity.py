"""Many zeros among the weights that this hardware multiplies all the same

## What it does
Counts the exact zeros among the weights of convolutions and products, filters that are zero as a whole left out
(PRN001's). Where they are 30 % or more, and the profile does not say that the hardware skips them, it tells so.

## Why it costs
Deep Compression (arXiv 1510.00149) prunes AlexNet to 11 % and VGG-16 to 7.5 % of their weights, but scattered zeros
save storage alone: a dense array multiplies by each of them. Ampere's tensor cores skip two zeros in each four along
the input channels, nothing else; no other profile here states, with a source, that its hardware skips zeros.

## How to fix
Prune whole filters, channels or blocks instead, which makes the layers narrower on any hardware; or prune to two of
four (2:4) where the profile says `skips_zeros = 2:4`. A compressed file keeps its smaller size either way.

## Where it is silent
Where the hardware skips zeros wherever they lie, where all such layers are 2:4 and the hardware skips those, on dense
weights, and without the weights' values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxlint.finding import Finding
from onnxlint.kernels import ANCHORS, weight_of
from onnxlint.patterns.weight_statistics import is_two_of_four, zero_count
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import count, percent, plural

RULE = Rule(code="PRN002", name="unstructured-sparsity", severity="info", needs_weights=True)

_LEAST = 0.3


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all layers with many zeros."""
    skips = ctx.device.skips_zeros
    form = skips.form if skips is not None else "none"
    if form == "any":
        return
    total, zeros, macs = 0, 0, 0.0
    sparse: dict[str, float] = {}
    for node in ctx.graph.compute_nodes:
        name = weight_of(node) if node.op_type in ANCHORS and len(node.inputs) > 1 else ""
        known = ctx.graph.type_of(name)
        if not name or not known.is_known or len(known.dims) < 2:
            continue
        found = ctx.weights.measured(zero_count, name)
        if found is None:
            continue
        total, zeros = total + known.elements, zeros + found
        share = found / known.elements
        if share >= _LEAST and not (form == "2:4" and ctx.weights.measured(is_two_of_four, name)):
            sparse[node.key] = share
            macs += share * ctx.analysis.costs.arithmetic(node)[0]
    if not sparse or zeros < _LEAST * total:
        return
    what = "zeros two of four alone" if form == "2:4" else "no zeros"
    yield Finding(
        message=f"{percent(zeros / total)} of the weights are zeros: {ctx.device.name} skips {what}",
        suggestion=f"{count(macs)} MACs in {plural(len(sparse), 'layer')} multiply by zero. Prune whole filters instead"
        + (", or two of each four along the input channels." if form == "2:4" else ": narrower layers pay everywhere."),
        nodes=tuple(sorted(sparse, key=lambda key: -sparse[key])),
        places=len(sparse),
    )


_LAYER = """layer (float[1,64,28,28] x) => (float[1,64,28,28] y) <float[64,64,3,3] w> {
    y = Conv <pads = [1,1,1,1]> (x, w)
}"""
VALID = [
    Valid(_LAYER, device="hi3519", weights={"w": lambda rng, shape: rng.standard_normal(shape)}),
    # two of four, on tensor cores that skip them
    Valid(
        _LAYER,
        device="a4000",
        weights={
            "w": lambda rng, shape: rng.standard_normal(shape) * (np.arange(shape[1]) % 4 < 2).reshape(1, -1, 1, 1)
        },
    ),
]
INVALID = [
    Invalid(
        _LAYER,
        device="hi3519",
        weights={"w": lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 0.3)},
    ),
]
