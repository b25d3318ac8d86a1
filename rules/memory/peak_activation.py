"""Activations that need more memory than the device has.

## What it does
Runs the schedule and adds up the activations that are alive at once. Compares their peak plus the weights with the
device's memory (`memory_mib`), and the peak alone with the memory on the chip (`on_chip_kib`). Looks for an order of
the same operators that holds less.

## Why it costs
What does not fit does not run; what does not stay on the chip moves through DRAM. A value lives from the operator that
writes it to the last that reads it, so that the order decides: MCUNet (arXiv 2007.10319) and Liberis & Lane (arXiv
1910.05110) reorder for it. At a stem of 64x112x112 each such value takes 3.2 MB in fp32.

## How to fix
Run branches one after the other rather than side by side: exact, where an order that holds less exists. Else fewer
channels at high resolution, a stride earlier, a smaller input or batch.
Silent where the profile states no memory, where less than half of it is needed, and on what does not fit on the chip
in any order that was found (a greedy search; the best is not guaranteed).
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.analysis import Analysis
from onnxlint.finding import Finding, Fix, Reorder
from onnxlint.memory import Peak, activation_peak, greedy_order
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent, size
from onnxlint.whatif import EditError, apply

RULE = Rule(code="MEM001", name="peak-activation", severity="info")
_NEAR, _GAIN, _SHOWN = 0.5, 0.95, 5


def check(ctx: Context) -> Iterator[Finding]:
    """One finding: for the memory at large if it is short, else for that on the chip if another order fits there."""
    device = ctx.device
    memory = (device.memory_mib.value or 0.0) * 2**20 if device.memory_mib is not None else 0.0
    chip = (device.on_chip_kib.value or 0.0) * 2**10 if device.on_chip_kib is not None else 0.0
    if not ctx.analysis.kernels or not (memory or chip):
        return
    peak = activation_peak(ctx.analysis)
    weights = sum(cost.weight_bytes for cost in ctx.analysis.kernel_costs)
    if memory and peak.bytes + weights > _NEAR * memory:
        better = _better(ctx, _GAIN * peak.bytes)
        is_short = peak.bytes + weights > memory
        yield _finding(
            ctx,
            peak,
            better,
            f"needs {size(peak.bytes + weights)} of {size(memory)}: {size(peak.bytes)} of activations at once, "
            f"{size(weights)} of weights",
            is_error=is_short,
        )
    elif chip and device.kind in ("npu", "dsp") and peak.bytes > chip:
        better = _better(ctx, min(chip, _GAIN * peak.bytes))
        if better is not None:
            message = f"{size(peak.bytes)} of activations at once, where {size(chip)} stay on the chip"
            yield _finding(ctx, peak, better, message, is_error=False)


def _better(ctx: Context, most: float) -> tuple[Reorder, Peak] | None:
    """Another order that holds no more than `most`, and its peak."""
    nodes, expected = greedy_order(ctx.analysis)
    if expected > most:
        return None
    edit = Reorder(tuple(node.key for node in nodes))
    try:
        after = activation_peak(Analysis(apply(ctx.graph, (edit,)), ctx.analysis.target, ctx.analysis))
    except EditError:
        return None
    return (edit, after) if after.bytes <= most else None


def _finding(ctx: Context, peak: Peak, better: tuple[Reorder, Peak] | None, message: str, *, is_error: bool) -> Finding:
    at = ctx.analysis.kernels[peak.kernel].main
    writers = [node for name, _ in peak.alive if (node := ctx.graph.producer(name)) is not None]
    advice = "Fewer channels at high resolution, a stride earlier, a smaller input or batch: see the values alive then."
    fixes: tuple[Fix, ...] = ()
    if better is not None:
        saved = percent(1 - better[1].bytes / peak.bytes)
        advice = f"Another order of the same operators holds {size(better[1].bytes)} at its peak: {saved} less, exact."
        fixes = (Fix(f"an order that holds {size(better[1].bytes)}", "exact", (better[0],)),)
    return Finding(
        message=message,
        suggestion=f"{advice}\nThe peak is at {at.op_type} {at.name or at.key}.",
        nodes=tuple(dict.fromkeys((at.key, *(node.key for node in writers[:_SHOWN])))),
        fixes=fixes,
        severity="error" if is_error else None,
        details=tuple(f"{name}: {size(taken)}, {ctx.graph.type_of(name)}" for name, taken in peak.alive[:_SHOWN]),
    )


_SIDE_BY_SIDE = """
side_by_side (float[64,64,512,512] x) => (float[64,8,512,512] y) <float[64,64,3,3] w, float[2,64,1,1] p> {
  a1 = Conv<pads = [1, 1, 1, 1]>(x, w)
  b1 = Conv<pads = [1, 1, 1, 1]>(x, w)
  c1 = Conv<pads = [1, 1, 1, 1]>(x, w)
  d1 = Conv<pads = [1, 1, 1, 1]>(x, w)
  a2 = Conv(a1, p)
  b2 = Conv(b1, p)
  c2 = Conv(c1, p)
  d2 = Conv(d1, p)
  y = Concat<axis = 1>(a2, b2, c2, d2)
}
"""
VALID = [
    Valid(_SIDE_BY_SIDE, device="generic"),
    Valid(_SIDE_BY_SIDE.replace("64,64,512,512", "1,64,64,64").replace("64,8,512,512", "1,8,64,64"), device="t4"),
]
INVALID = [Invalid(_SIDE_BY_SIDE, device="cortex-a53", severity="error")]
