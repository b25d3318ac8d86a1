"""Channel shuffles: permutations of channels that move data and compute nothing.

## What it does
Finds channel shuffles by data flow, however they are spelled: Reshape–Transpose–Reshape in 5-D and 4-D, channels
first or last, merged with the batch; a Gather by interleaving indices; a Concat or stack that interleaves channels
one by one or in blocks; strided slices. A shuffle permutes channels and moves nothing else. Packed queries, keys and
values, windows, unfold and pixel shuffle move other axes too: they are not reported here (see OPS003).

## Why it costs
ShuffleNetV1 (arXiv 1707.01083, §3.1) counts a shuffle as free, and in FLOPs it is. A device moves the whole map
through memory for it, in a launch of its own. Many NPUs can't run it at all: NNIE's Permute takes only the order
(0,2,3,1) and 4-D tensors, Horizon X3 runs Reshape and Transpose on its CPU. There the network is cut at every shuffle
and each cut costs two crossings. It is an error where any part of it leaves the device, a warning where its kernels
take 2 % of the time or more, else an info.

## How to fix
A permutation is linear, so weights can take it. All three ways are exact and need no retraining:
- Fold it where the values it reorders go into dense convolutions (possibly through activations, pooling and depthwise
  convolutions) or come out of one: permute the columns or rows of those weights. In ShuffleNetV2 this holds at the
  stage ends only, 3 of 16 places; a grouped convolution can't take a permutation across its groups.
- Split once. A unit that concatenates, shuffles and splits only decides which later unit reads a channel: split each
  branch once by its readers, concatenate per reader, and put the order into the 1×1 weights around. Offered where
  the device runs Split and Concat, and where only such units pass the channels on, as in ShuffleNetV2.
- A 1×1 convolution with a permutation matrix as weight. Sixteen of them more than double the multiply-accumulates of
  ShuffleNetV2 1× (146 M + 169 M), and still cost less than leaving the chip.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from onnxlint.finding import Edit, Finding, Fix, Severity
from onnxlint.gains import bearable
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.shuffle_fixes import fold, permutation_convolution, split_once
from onnxlint.patterns.shuffles import ChannelShuffle
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent

RULE = Rule(code="OPS002", name="channel-shuffle", severity="warning")
_WARNING_SHARE = 0.02
_ONCE = "each branch once by its readers"


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all shuffles of the graph."""
    shuffles = channel_shuffles(ctx.graph)
    if not shuffles:
        return
    nodes = [node for shuffle in shuffles for node in shuffle.nodes]
    leaving = [found for node in nodes if (found := ctx.support(node)).status == "unsupported"]
    seconds = ctx.analysis.spread(ctx.analysis.seconds_of(nodes))
    severity: Severity = "warning" if seconds[1] >= _WARNING_SHARE * ctx.total_s else "info"
    many = f"{len(shuffles)} channel shuffles" if len(shuffles) > 1 else "a channel shuffle"
    if leaving:
        severity = "error"
        message = f"{many} can't run on {ctx.device.name}: {_short(leaving[0].reason)}"
    else:
        message = f"{many}: {percent(seconds[0] / ctx.total_s if ctx.total_s else 0)} of the time to reorder channels"
    fixes = bearable(ctx.analysis, (fix for fix in _fixes(ctx, shuffles, bool(leaving)) if ctx.runs(fix.edits)))
    yield Finding(
        message=message,
        suggestion=_advice(ctx, shuffles, fixes),
        nodes=tuple(node.key for node in nodes),
        places=len(shuffles),
        fixes=fixes,
        severity=severity,
        details=tuple(
            f"{count}x {channels} channels in {groups} groups, {'x'.join(map(str, shape))}"
            for (channels, groups, shape), count in Counter((s.channels, s.groups, s.shape) for s in shuffles).items()
        ),
    )


def _fixes(ctx: Context, shuffles: Sequence[ChannelShuffle], leaves: bool) -> Iterator[Fix]:
    graph, total = ctx.graph, len(shuffles)
    convolved = {shuffle: permutation_convolution(graph, shuffle) for shuffle in shuffles}
    folded = {shuffle: edits for shuffle in shuffles if (edits := fold(graph, shuffle)) is not None}
    if len(folded) < total:
        yield Fix(f"1x1 permutation convolutions in all {total} places", "exact", _flat(convolved.values()))
    if folded:
        rest = f", 1x1 permutation convolutions in {total - len(folded)}" if len(folded) < total else ""
        title = f"fold the permutation into the weights in {len(folded)} of {total} places{rest}"
        yield Fix(title, "exact", _flat((convolved | folded).values()))
        if rest and not leaves:
            title = f"fold the permutation into the weights in {len(folded)} of {total} places"
            yield Fix(title, "exact", _flat(folded.values()))
    for slices in (False, True):
        edits, replaced = split_once(graph, shuffles, slices)
        if replaced and ctx.runs(edits):
            others = [(convolved | folded)[shuffle] for shuffle in shuffles if shuffle not in replaced]
            cut = "Slice" if slices else "Split"
            title = f"{cut} {_ONCE}, fold the order into the weights ({len(replaced)} places)"
            yield Fix(title, "exact", (*edits, *_flat(others)))
            return


def _advice(ctx: Context, shuffles: Sequence[ChannelShuffle], fixes: Sequence[Fix]) -> str:
    """What weights can take here, in numbers."""
    if not fixes:
        return f"onnxlint has no cheaper form for {ctx.device.name}: shuffle less often, or mix by dense convolutions."
    folded = sum(fold(ctx.graph, shuffle) is not None for shuffle in shuffles)
    once = len(split_once(ctx.graph, shuffles)[1]) if any(_ONCE in fix.title for fix in fixes) else 0
    macs = sum(math.prod(shuffle.shape) * shuffle.channels for shuffle in shuffles)
    lines = ["Let the weights around take the order; exact, no retraining:"]
    if once:
        lines.append(f"split {_ONCE} ({once} of {len(shuffles)} places), or")
    ways = [f"fold it into the dense convolutions beside {folded} of {len(shuffles)}"] if folded else []
    if any("permutation convolutions" in fix.title for fix in fixes):
        ways.append(f"a 1x1 permutation convolution each (+{macs / 1e6:.4g} M MACs for all)")
    return "\n".join([*lines, "; ".join(ways)])


def _flat(edits: Iterable[list[Edit]]) -> tuple[Edit, ...]:
    return tuple(edit for some in edits for edit in some)


def _short(reason: str) -> str:
    return reason.split("; ")[0]


_UNIT = """
unit (float[1,116,28,28] x) => (float[1,116,28,28] y)
<float[58,116,1,1] w1, float[58,116,1,1] w2, float[116,116,1,1] w3,
 int64[5] s5 = {1,2,58,28,28}, int64[4] s4 = {1,116,28,28}> {
  a = Conv(x, w1)
  b = Conv(x, w2)
  c = Concat<axis = 1>(a, b)
  r = Reshape(c, s5)
  t = Transpose<perm = [0, 2, 1, 3, 4]>(r)
  p = Reshape(t, s4)
  y = Conv(p, w3)
}
"""
VALID = [
    Valid(
        """
        packing (float[1,197,192] x) => (float[3,1,3,197,64] y)
        <float[192,576] w, int64[5] s = {1,197,3,3,64}> {
          qkv = MatMul(x, w)
          r = Reshape(qkv, s)
          y = Transpose<perm = [2, 0, 3, 1, 4]>(r)
        }
        """,
        device="hi3519",
    ),
]
INVALID = [
    Invalid(_UNIT, device="hi3519", severity="error"),
    Invalid(_UNIT, device="t4", severity="warning"),
]
