"""Weights that do not stay on the chip and are loaded at every run.

## What it does
Compares the weights of what runs on the device with the memory that keeps them there from run to run
(`weight_memory` in the profile), and names the layers that hold most.

## Why it costs
Below that size weights are loaded once and for all; above it the rest, or everything where the network is then cut into
contexts, is loaded at every run. On the Edge TPU, with about 8 MB for them, coral.ai/docs/edgetpu/benchmarks shows the
cliff: MobileNetV2 takes 2.6 ms, VGG-16 (138 MB) 296 ms, fifty-fold its MACs but over a hundred times the time.

## How to fix
Get below it: fewer channels in the largest layers (they are the last ones), global pooling in place of a fully
connected head, pruning; or split the model over several chips (Edge TPU's pipelining), each with a part of the weights.
Silent where the profile names no such memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from onnxlint.analysis import Analysis
from onnxlint.finding import Finding
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent, size

RULE = Rule(code="MEM002", name="weights-off-chip", severity="warning")
_LAYERS, _CHIPS = 5, 4


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the model."""
    memory, analysis = ctx.device.weight_memory, ctx.analysis
    if memory is None:
        return
    pairs = zip(analysis.kernels, analysis.kernel_costs, strict=True)
    own = [(kernel, cost.weight_bytes) for kernel, cost in pairs if not kernel.on_host and not kernel.is_free]
    total, room = sum(taken for _, taken in own), memory.room_bytes(len(own))
    has_too_many = memory.kernels is not None and len(own) > memory.kernels
    if total <= room and not has_too_many:
        return
    largest = sorted(own, key=lambda pair: -pair[1])[:_LAYERS]
    cost_s = ctx.total_s - float(_with_room_for_all(ctx).total.mean())
    what = "the rest is loaded" if memory.reload == "rest" else "the network is cut in contexts and loaded anew"
    held = sum(taken for _, taken in largest)
    part = percent(held / total) if total else "0 %"
    excess = f"{size(total - room)} of weights must go" if total > room else f"At most {memory.kernels:.0f} kernels fit"
    chips = -(-total // int(room)) if room >= 1 else 0
    split = f", or the model split over {chips} chips" if memory.reload == "rest" and 1 < chips <= _CHIPS else ""
    yield Finding(
        message=f"{size(total)} of weights, where {size(room)} stay on the chip: {what} at every run",
        suggestion=f"{excess}: the {len(largest)} largest layers hold {part} of them. Fewer channels there{split}.",
        nodes=tuple(kernel.main.key for kernel, _ in largest),
        at_stake_s=max(0.0, cost_s),
        details=tuple(f"{kernel.main.name or kernel.main.key}: {size(taken)}" for kernel, taken in largest),
    )


def _with_room_for_all(ctx: Context) -> Analysis:
    """The same graph on a device that keeps all weights."""
    target, memory = ctx.analysis.target, ctx.device.weight_memory
    assert memory is not None
    kept = msgspec.structs.replace(memory, kib=float(2**40), kernels=None)
    device = msgspec.structs.replace(target.device, weight_memory=kept)
    return Analysis(ctx.graph, replace(target, device=device))


_DENSE = """
dense (float[1,{k}] x) => (float[1,1000] y) <float[{k},1000] w, float[1000] b> {{
  a = Gemm(x, w, b)
  y = Relu(a)
}}
"""
VALID = [
    Valid(_DENSE.format(k=4096), device="edgetpu"),
    Valid(_DENSE.format(k=25088), device="cortex-a76"),
]
INVALID = [Invalid(_DENSE.format(k=25088), device="edgetpu", severity="warning")]
