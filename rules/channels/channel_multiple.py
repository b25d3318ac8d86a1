"""Channels that are no multiple of what the machine computes at once: it pads them and computes the padding too.

## What it does
Compares each compute-bound convolution and matrix product with the channel multiples of the device's array (NNIE 4 in
and 16 out, RK3588 32, tensor cores 8 in fp16) and adds up the time spent on padding. One finding for the model, with
the widths that waste most.

## Why it costs
An array of multiply-accumulators works on fixed blocks of channels: 58 output channels cost as much as 64 on a machine
that computes 16 at once. MobileDets (arXiv 2004.14525) and the vendors' guides choose widths by such multiples. Where
the profile says `internal`, the machine pads by itself; where it says `cliff`, unaligned shapes run slower.

## How to fix
Choose multiples near the widths, and retrain. What the fault is worth is the time of the padding, which the message
states; a narrower network gains more, but by giving up channels. The fix priced is the rounding, some widths up and
some down, that saves most without saving more than the padding takes. Where no rounding does (4 channels on an array
of 32), it is an info: filling the channels gives a wider network in the same time, not a faster one. On `cliff`
machines padding with zero channels is exact as long as nothing reduces over the channels.
Silent when padding takes less than 1 % of the latency; on kernels that wait for memory or the launch, whose time the
padding does not change; on grouped convolutions, whose groups are the fault (G2); on the three channels of an image,
the number of classes, single gates, and what is no width at all: the positions that token mixing multiplies, the heads
that talking heads mix.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from onnxlint.finding import Finding, Fix
from onnxlint.patterns.padding import padding, up
from onnxlint.rounding import filled, rounded
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent, seconds

RULE = Rule(code="CHN001", name="channel-multiple", severity="warning")
_LEAST_SHARE = 0.01
_MAX_WIDTHS = 4


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all unaligned layers whose padding takes time."""
    wasted: dict[str, float] = {}
    padded: dict[str, float] = {}
    layers: Counter[int] = Counter()
    lost: dict[int, float] = {}
    for kernel, bound, taken in zip(ctx.kernels, ctx.analysis.bounds, ctx.times.mean(axis=1).tolist(), strict=True):
        if bound != "compute" or kernel.on_host or kernel.kernel_class == "grouped":
            continue
        share, widths = padding(ctx.graph, kernel.main, ctx.device.alignment)
        if widths:
            wasted[kernel.main.key], padded[kernel.main.key] = share * taken, taken
            layers.update(widths)
            for width in widths:
                lost[width] = lost.get(width, 0.0) + share * taken / len(widths)
    total = sum(wasted.values())
    if not wasted or total < _LEAST_SHARE * ctx.total_s:
        return
    worst = sorted(lost, key=lambda width: -lost[width])
    multiple = math.lcm(ctx.device.alignment.input_channels, ctx.device.alignment.output_channels)
    named = "; ".join(_named(width, multiple) for width in worst[:_MAX_WIDTHS])
    computes = "compute" if len(wasted) > 1 else "computes"
    fixes = tuple(_fixes(ctx, padded, set(lost), multiple, total))
    yield Finding(
        message=(
            f"{_layers(len(wasted))} {computes} padding: {seconds(total)} = {percent(total / ctx.total_s)} of the "
            f"latency; {worst[0]} channels cost as {up(worst[0], multiple)}"
        ),
        suggestion=f"When retraining, choose multiples of {multiple}: {named}.",
        nodes=tuple(sorted(wasted, key=lambda key: -wasted[key])),
        places=len(wasted),
        fixes=fixes,
        severity=None if fixes else "info",
        at_stake_s=total,
        details=tuple(
            f"{width} channels in {_layers(layers[width])}: {seconds(lost[width])} of padding" for width in worst
        ),
    )


def _fixes(ctx: Context, padded: Mapping[str, float], widths: set[int], multiple: int, total: float) -> Iterator[Fix]:
    """Aligned widths that save no more than the padding takes, since the rest would be real channels.

    On machines whose unaligned shapes run slower the channels are filled instead, which is exact.
    """
    if ctx.device.alignment.mode == "cliff":
        if edits := filled(ctx.analysis, widths, multiple):
            yield Fix(f"fill the channels up to multiples of {multiple}", "exact", edits)
    elif edits := rounded(ctx.analysis, padded, widths, multiple, total):
        yield Fix(f"round the channels to multiples of {multiple}, some up, some down", "lossy", edits)


def _named(width: int, multiple: int) -> str:
    down = width // multiple * multiple
    return f"{width} to {down} or {up(width, multiple)}" if down else f"{width} to {up(width, multiple)}"


def _layers(count: int) -> str:
    return f"{count} layers" if count > 1 else "one layer"


_WIDE = """
net (float[1,{a},28,28] x) => (float[1,64,28,28] y)
<float[{a},{a},3,3] w1, float[{a},{a},3,3] w2, float[64,{a},1,1] w3> {{
  a = Conv<pads = [1, 1, 1, 1]>(x, w1)
  b = Conv<pads = [1, 1, 1, 1]>(a, w2)
  y = Conv(b, w3)
}}
"""
_TOKENS = """
mixing (float[1,3,224,224] x) => (float[1,196,384] y)
<float[384,3,16,16] e, int64[3] s = {1,384,196}, float[196,196] w, float[196] b, float[384,384] v> {
  m = Conv<strides = [16, 16]>(x, e)
  t = Reshape(m, s)
  p = MatMul(t, w)
  q = Add(b, p)
  r = Transpose<perm = [0, 2, 1]>(q)
  y = MatMul(r, v)
}
"""
_GATE = """
gate (float[1,3136,64] x) => (float[1,3136,64] y) <float[64,64] v, float[64,1] w> {
  q = MatMul(x, v)
  g = MatMul(q, w)
  s = Sigmoid(g)
  y = Mul(q, s)
}
"""
_HEADS = """
talking (float[1,192,14,14] x) => (float[1,4,196,48] y)
<float[576,192,1,1] w, int64[4] s = {1,12,48,196}, float[4,4] mix> {
  p = Conv(x, w)
  r = Reshape(p, s)
  q, k, v = Split<axis = 1>(r)
  t = Transpose<perm = [0, 1, 3, 2]>(q)
  scores = MatMul(t, k)
  last = Transpose<perm = [0, 2, 3, 1]>(scores)
  mixed = MatMul(last, mix)
  first = Transpose<perm = [0, 3, 1, 2]>(mixed)
  a = Softmax<axis = -1>(first)
  u = Transpose<perm = [0, 1, 3, 2]>(v)
  y = MatMul(a, u)
}
"""
VALID = [
    Valid(_WIDE.format(a=128), device="hi3519"),
    # the positions of token mixing, the heads that are mixed, the one number of a gate: nobody chooses them
    Valid(_HEADS, device="rk3588"),
    Valid(_TOKENS, device="rk3588"),
    Valid(_GATE, device="rk3588"),
]
INVALID = [Invalid(_WIDE.format(a=136), device="hi3519", places=2)]
