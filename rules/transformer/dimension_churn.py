"""Feature maps turned into tokens and back, again and again.

## What it does
Finds runs of Reshape and Transpose that change between 4-D feature maps and 3-D tokens, or between channels first and
channels last, where the model does so twice or more. All of them are one finding, named after what most of them do,
with the bytes that they move.

## Why it costs
EfficientFormer (arXiv 2206.01191, observation 2): reshaping is often a bottleneck for mobile ViTs, and a consistent
dimension is important for the choice of the token mixer. The arithmetic of a transposition is nothing; it reads the
map and writes it once more, in an order that suits neither side, and on most NPUs it leaves the array idle or the chip.

## How to fix
Keep one dimension through many blocks: convolutional blocks in 4-D first, attention in 3-D last, with one change
between (EfficientFormer); normalise over channels where they stand (a BatchNorm, or a LayerNorm over axis 1) instead of
turning the map for it. The price is of the model with all of these transpositions gone: what remains of them after a
redesign costs again. Runs that undo themselves are removed exactly.

## Where it is silent
On one change alone (ViT's patches to tokens), heads and windows within attention, channel shuffles, and where the
transpositions cost less than is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.patterns.moves import CROSSINGS, moves, unmoved
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import size

RULE = Rule(code="TRF002", name="dimension-churn", severity="warning")

_LEAST = 2
_WORDS = {
    "to-tokens": "maps to tokens",
    "to-map": "tokens to maps",
    "to-channels-last": "channels last",
    "to-channels-first": "channels first",
    "unfold": "unfold",
    "fold": "fold",
}


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all changes of dimension."""
    found = [move for move in moves(ctx.graph) if move.kind in CROSSINGS]
    if len(found) < _LEAST:
        return
    nodes = [node for move in found for node in move.nodes]
    moved = sum(ctx.analysis.value_bytes(node.outputs[0]) for move in found for node in move.transposes)
    kinds = Counter(_WORDS[move.kind] for move in found)
    are_turned = 2 * sum(move.kind.startswith("to-channels") for move in found) > len(found)
    what = "channels first and channels last" if are_turned else "maps and tokens"
    advice = (
        "Keep one layout: normalise\nand project over axis 1, where the channels stand."
        if are_turned
        else "Keep one dimension:\n4-D blocks first, 3-D last, one change between."
    )
    yield Finding(
        message=f"{len(found)} changes between {what}: {100 * ctx.share(nodes):.0f} % of the time",
        suggestion=f"Their transpositions write {size(moved)}. {advice}",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(Fix("no change of dimension between the blocks", "advice", tuple(unmoved(found))),),
        details=tuple(f"{count}x {kind}" for kind, count in kinds.most_common()),
    )


_CHURN = """churn (float[1,96,56,56] x) => (float[1,96,56,56] y)
<float[96] s, float[96] b, float[96,1,7,7] w, float[96,1,7,7] v> {
    a = Conv <group = 96, pads = [3,3,3,3]> (x, w)
    t = Transpose <perm = [0,2,3,1]> (a)
    n = LayerNormalization (t, s, b)
    u = Transpose <perm = [0,3,1,2]> (n)
    y = Conv <group = 96, pads = [3,3,3,3]> (u, v)
}"""

VALID = [
    # one change: patches to tokens
    Valid("""vit (float[1,3,224,224] x) => (float[1,196,192] y) <float[192,3,16,16] w, int64[3] s = {1,192,196}> {
        a = Conv <strides = [16,16]> (x, w)
        r = Reshape (a, s)
        y = Transpose <perm = [0,2,1]> (r)
    }"""),
]
INVALID = [Invalid(_CHURN, device="t4", places=2), Invalid(_CHURN, device="cortex-a76", places=2)]
