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
redesign costs again. Runs that undo themselves are removed exactly. Where the device runs one order of transposition
alone (NNIE's Permute: (0,2,3,1)), channels last and first are that order between two views, exactly.

## Where it is silent
On one change alone (ViT's patches to tokens), heads and windows within attention, channel shuffles, changes through
more dims than the device holds (OPS003), and where the transpositions cost less than is shown. Transpositions that the
device does not run are an error where they alone cut the network, or take 0.5 % of the latency or more, else an info.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.gains import bearable
from onnxlint.graph import Node
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.forms import by_title, together
from onnxlint.patterns.layout_changes import LayoutChanges, layout_changes
from onnxlint.patterns.moves import unmoved
from onnxlint.patterns.rewrites import rewrites
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import size

RULE = Rule(code="TRF002", name="dimension-churn", severity="warning")

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
    changes = layout_changes(ctx.graph, ctx.analysis.target.table)
    found, leaving = changes.moves, changes.leaving
    if not found:
        return
    nodes = [node for move in found for node in (move.transposes if leaving else move.nodes)]
    moved = sum(ctx.analysis.value_bytes(node.outputs[0]) for move in found for node in move.transposes)
    kinds = Counter(_WORDS[move.kind] for move in found)
    are_turned = 2 * sum(move.kind.startswith("to-channels") for move in found) > len(found)
    what = f"changes between {'channels first and last' if are_turned else 'maps and tokens'}"
    advice = (
        "Keep one layout: normalise\nand project over axis 1, where the channels stand."
        if are_turned
        else "Keep one dimension:\n4-D blocks first, 3-D last, one change between."
    )
    exact = _exact(ctx, leaving)
    yield Finding(
        message=_leaves(ctx, changes, what)
        if leaving
        else f"{len(found)} {what}: {100 * ctx.share(nodes):.0f} % of the time",
        suggestion=("; ".join(fix.title for fix in exact) + " (exact).\n" if exact else "")
        + f"Their transpositions write {size(moved)}. {advice}",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(*exact, Fix("no change of dimension between the blocks", "advice", tuple(unmoved(found)))),
        severity=severity_of_leaving(ctx.analysis, leaving) if leaving else None,
        details=(*cost_of_leaving(ctx.analysis, leaving), *(f"{count}x {kind}" for kind, count in kinds.most_common())),
    )


def _leaves(ctx: Context, changes: LayoutChanges, what: str) -> str:
    keys = {node.key for node in changes.leaving}
    many, out = len(changes.moves), sum(any(node.key in keys for node in move.transposes) for move in changes.moves)
    told = what if out == many else f"{'one ' if out == 1 else ''}of {many} {what}"
    return leaves(ctx.analysis, told, out, changes.leaving)


def _exact(ctx: Context, leaving: tuple[Node, ...]) -> tuple[Fix, ...]:
    """The transpositions in a form that the device runs, where there is one."""
    found = by_title(form for node in leaving for form in rewrites(ctx.graph, node))
    fixes = (together(forms, len(forms)) for forms in found.values())
    return bearable(ctx.analysis, (fix for fix in fixes if ctx.runs(fix.edits)))


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
    # queries of one head, turned for their products with the keys
    Valid(
        """heads (float[1,32,56,56] x, float[1,32,3136] k) => (y, z)
        <float[32,32,1,1] w, float[32,32,1,1] u, int64[3] s = {1,32,3136}> {
            a = Conv (x, w)
            b = Reshape (a, s)
            q = Transpose <perm = [0,2,1]> (b)
            y = MatMul (q, k)
            c = Conv (x, u)
            d = Reshape (c, s)
            r = Transpose <perm = [0,2,1]> (d)
            z = MatMul (r, k)
        }""",
        device="t4",
    ),
]
INVALID = [
    Invalid(_CHURN, device="t4", places=2),
    Invalid(_CHURN, device="cortex-a76", places=2),
    Invalid(_CHURN, device="x3", places=2, severity="error"),
    Invalid(_CHURN, device="hi3519", places=2, severity="error"),
]
