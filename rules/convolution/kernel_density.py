"""Dense convolutions outside the window that this device runs several times as densely

## What it does
Where the profile's 3x3 convolutions of stride 1 attain at least twice the rate of other dense ones (Winograd's
algorithm on fp32), it tells which share of the multiply-accumulates and of the time runs at which density. Reported, as
an info, where the other dense convolutions take most of the time of a network that is built of 3x3 ones, too.

## Why it costs
Winograd's algorithm computes a 3x3 convolution of stride 1 with 2.25 times fewer multiplications (Lavin and Gray, arXiv
1509.09308), and libraries are tuned for it first: ncnn's published networks fit Cortex-A76 with 3x3 at about 2.5 times
the rate of the rest. RepVGG (arXiv 2101.03697) builds on 3x3 alone for that reason; its density table is known here
from secondary articles only, so the figures are the profile's own.

## How to fix
When the architecture is open: blocks of 3x3 (RepVGG, ResNet's basic block) in place of bottlenecks of 1x1-3x3-1x1, and
3x3 in place of 5x5 and 7x7 (CNV002 prices those). A 3x3 takes nine times the products of a 1x1 of equal width, so it
is the number of channels that pays for it, not a change of the window alone.

## Where it is silent
At fp16, bf16 and int8, where no such algorithm is used and tensor cores run all windows alike; on devices whose
profile has no figure of its own for 3x3. Separable networks: their 1x1 belong to depthwise windows, which suit a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxlint.device_types import KERNEL_CLASSES
from onnxlint.finding import Finding
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.permutations import is_depthwise
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent

RULE = Rule(code="CNV003", name="kernel-density", severity="info")

_LEAST_RATIO = 2.0
_LEAST_SHARE = 0.5
"""The part of the convolutions' time that the less dense ones must take."""
_LEAST_DENSE = 0.1
"""The part of the multiply-accumulates that 3×3 must have: a network without them is another kind."""


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the model."""
    target = ctx.analysis.target
    rate = {name: target.machine.rate[KERNEL_CLASSES.index(name)] for name in ("conv3x3", "conv", "pointwise")}
    if target.precision != "fp32" or np.mean(rate["conv3x3"] / rate["pointwise"]) < _LEAST_RATIO:
        return
    found = [
        (index, kernel.kernel_class, conv)
        for index, kernel in enumerate(ctx.kernels)
        if not kernel.on_host
        and kernel.kernel_class in rate
        and (conv := sizes(ctx.graph, kernel.main)) is not None
        and not _is_separable(ctx, conv)
    ]
    seconds = ctx.times.mean(axis=1)
    time, macs = dict.fromkeys(rate, 0.0), dict.fromkeys(rate, 0)
    for index, name, conv in found:
        time[name] += float(seconds[index])
        macs[name] += conv.macs
    whole, total = sum(time.values()), sum(macs.values())
    others = time["conv"] + time["pointwise"]
    if others < _LEAST_SHARE * max(whole, ctx.total_s) or macs["conv3x3"] < max(1, _LEAST_DENSE * total):
        return
    dense = macs["conv3x3"] / time["conv3x3"]
    density = (total - macs["conv3x3"]) / others / dense
    keys = [ctx.kernels[index].main.key for index, name, _ in found if name != "conv3x3"]
    yield Finding(
        message=f"{len(keys)} dense convolutions run at {percent(density)} of the rate of "
        f"3x3 ones: {percent(others / ctx.total_s)} of the time",
        suggestion="; ".join(_share(word, name, macs, time, ctx.total_s) for word, name in _WORDS if macs[name])
        + ".\nBlocks of 3x3 with fewer channels (RepVGG, ResNet's basic block) use the denser kernel.",
        nodes=tuple(keys),
        places=len(keys),
    )


_WORDS = (("3x3", "conv3x3"), ("1x1", "pointwise"), ("others", "conv"))


def _share(word: str, name: str, macs: dict[str, int], time: dict[str, float], total_s: float) -> str:
    part = macs[name] / sum(macs.values())
    return f"{word}: {percent(part)} of the MACs, {percent(time[name] / total_s)} of the time"


def _is_separable(ctx: Context, conv: ConvSizes) -> bool:
    """A 1×1 before or behind a depthwise window, activations between."""
    if not conv.is_pointwise:
        return False
    graph, node = ctx.graph, conv.node
    before = graph.producer(node.inputs[0])
    for _ in range(3):
        if before is None or before.op_type == "Conv" or not before.inputs:
            break
        before = graph.producer(before.inputs[0])
    if before is not None and is_depthwise(graph, before):
        return True
    behind = node
    for _ in range(3):
        readers = graph.readers(behind.outputs[0])
        if any(is_depthwise(graph, reader) for reader in readers):
            return True
        if len(readers) != 1 or not readers[0].outputs:
            return False
        behind = readers[0]
    return False


_BOTTLENECK = """bottleneck (float[1,256,56,56] x) => (float[1,256,56,56] y)
<float[64,256,1,1] u, float[64,64,3,3] v, float[256,64,1,1] w> {
    a = Conv (x, u)
    b = Relu (a)
    c = Conv <pads = [1,1,1,1]> (b, v)
    d = Relu (c)
    e = Conv (d, w)
    y = Add (e, x)
}"""
VALID = [
    # fp16 tensor cores run all windows alike
    Valid(_BOTTLENECK, device="t4"),
    # 3x3 throughout
    Valid(
        """basic (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] v, float[64,64,3,3] w> {
            a = Conv <pads = [1,1,1,1]> (x, v)
            b = Relu (a)
            c = Conv <pads = [1,1,1,1]> (b, w)
            y = Add (c, x)
        }""",
        device="cortex-a76",
    ),
    # the 1x1 of a separable pair
    Valid(
        """separable (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,1,3,3] v, float[64,64,1,1] w> {
            a = Conv <group = 64, pads = [1,1,1,1]> (x, v)
            b = Relu (a)
            y = Conv (b, w)
        }""",
        device="cortex-a76",
    ),
]
INVALID = [Invalid(_BOTTLENECK, device="cortex-a76", places=2, severity="info")]
