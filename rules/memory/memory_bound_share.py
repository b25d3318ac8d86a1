"""How much of the time is spent waiting for memory, and where.

## What it does
Adds up the time of the kernels left of the device's ridge (the operations a byte from which on computing takes longer
than moving), and names the ten that take most.

## Why it costs
Left of the ridge a kernel takes as long as its bytes do, whatever it computes (Williams et al. 2009, Roofline,
doi 10.1145/1498765.1498785): halving its MACs saves nothing there, halving its bytes halves its time. A depthwise 3x3
convolution does 9 MACs for each element that it reads and one that it writes; an RK3588 needs hundreds for each byte.

## How to fix
Fewer bytes: narrower or smaller feature maps in these layers, element-wise passes fused (G4), equal widths (G1), fewer
concatenations, weights in fewer bits where weights are the bytes. Not fewer MACs.
Said only where more than half of the time is spent so; never more than an info. Silent on the device that is none
(`generic`), and where the cost of more than a tenth of the nodes is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.text import printable
from onnxlint.units import percent, seconds, size

RULE = Rule(code="MEM003", name="memory-bound-share", severity="info")
_SHARE, _UNKNOWN, _LAYERS = 0.5, 0.1, 10


def check(ctx: Context) -> Iterator[Finding]:
    """One finding, if most of the time goes there."""
    analysis = ctx.analysis
    times = analysis.times.mean(axis=1)
    bound = [index for index, what in enumerate(analysis.bounds) if what == "memory"]
    spent = float(times[bound].sum()) if bound else 0.0
    is_known = len(analysis.unknown_nodes) <= _UNKNOWN * len(ctx.graph.compute_nodes)
    if ctx.device.kind == "generic" or not is_known or spent < _SHARE * ctx.total_s or not spent:
        return
    costs = [analysis.kernel_costs[index] for index in bound]
    moved = sum(cost.memory_access_bytes for cost in costs)
    intensity = sum(cost.flops for cost in costs) / moved if moved else 0.0
    worst = sorted(bound, key=lambda index: -times[index])[:_LAYERS]
    of_worst = float(times[worst].sum()) / ctx.total_s
    names = [analysis.kernels[index].main.name or analysis.kernels[index].main.key for index in worst]
    yield Finding(
        message=f"{percent(spent / ctx.total_s)} of the time is spent moving data: {len(bound)} kernels of "
        f"{intensity:.3g} operations a byte",
        suggestion=f"There only fewer bytes help ({size(moved)} now), not fewer MACs: {len(worst)} kernels take "
        f"{percent(of_worst)} of the time.",
        nodes=tuple(analysis.kernels[index].main.key for index in worst),
        severity="info",
        details=tuple(
            f"{printable(name, 60)}: {seconds(float(times[index]))}, "
            f"{size(analysis.kernel_costs[index].memory_access_bytes)}"
            for name, index in zip(names, worst, strict=True)
        ),
    )


VALID = [
    Valid(
        """
        dense (float[1,256,56,56] x) => (float[1,256,56,56] y) <float[256,256,3,3] w> {
          y = Conv<pads = [1, 1, 1, 1]>(x, w)
        }
        """,
        device="cortex-a76",
    )
]
INVALID = [
    Invalid(
        """
        sums (float[1,256,56,56] a, float[1,256,56,56] b) => (float[1,256,56,56] y) {
          y = Add(a, b)
        }
        """,
        device="cortex-a76",
        severity="info",
    )
]
