"""Bridges: cross-attention between a feature map and a handful of tokens, both ways, block after block.

## What it does
Finds attention between many positions and at most 16 tokens, in models that have it in both directions
(Mobile-Former), by the time of all that leads to each bridge alone. All are one finding.

## Why it costs
Mobile-Former (arXiv 2108.05895) runs a MobileNet and six tokens side by side, with two bridges in every block. Their
multiply-accumulates are next to nothing; but each is a dozen tiny kernels that wait for both sides, so that launches
and hand-overs decide, and neither side can run ahead.

## How to fix
A pair of bridges for a stage instead of one for each block, or for the late stages alone, where a map has few
positions. The price is of every second bridge gone, and of all. It needs retraining.

## Where it is silent
On pooling by attention and decoders, which have one direction alone, and where they cost less than is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxlint.finding import Edit, Finding, Fix, Reconnect, Remove
from onnxlint.patterns.bridges import Bridge, bridges
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="TRF007", name="narrow-bridge", severity="warning")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all bridges."""
    found = bridges(ctx.graph)
    if not found:
        return
    nodes = list({node.key: node for bridge in found for node in (*bridge.nodes, *bridge.attention.nodes)}.values())
    works = (ctx.analysis.costs.work(node) for node in nodes)
    macs = sum(work.macs for work in works if work is not None) * ctx.analysis.target.batch_factor
    whole = sum(cost.macs for cost in ctx.analysis.kernel_costs) or 1
    joined = [bridge for bridge in found if bridge.join is not None]
    # pairs stand together: to the tokens and back
    half = [bridge for index, bridge in enumerate(joined) if index // 2 % 2]
    fixes = (Fix(f"every second pair of bridges gone ({len(half)} of {len(joined)})", "lossy", tuple(_without(half))),)
    widest = max(found, key=lambda bridge: bridge.places)
    yield Finding(
        message=f"{len(found)} bridges between a map and {found[0].tokens} tokens: {100 * ctx.share(nodes):.0f} % "
        f"of the time for {100 * macs / whole:.1f} % of the MACs",
        suggestion=f"One pair a stage instead of one a block, or late stages alone: the widest attends over "
        f"{widest.places} positions.\nIt needs retraining.",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=fixes if half else (),
    )


def _without(chosen: Sequence[Bridge]) -> Iterator[Edit]:
    removed: set[str] = set()
    for bridge in chosen:
        assert bridge.join is not None
        for node in (*bridge.nodes, bridge.join):
            if node.key not in removed:
                removed.add(node.key)
                yield Remove(node.key)
        yield Reconnect(bridge.join.outputs[0], bridge.kept)


_ONE_WAY = """pooled (float[1,196,192] x, float[1,6,192] t) => (float[1,6,192] y) {
    k = Transpose <perm = [0,2,1]> (x)
    a = MatMul (t, k)
    p = Softmax <axis = -1> (a)
    y = MatMul (p, x)
}"""
_BRIDGES = """bridges (float[1,196,192] x, float[1,6,192] t) => (float[1,196,192] y, float[1,6,192] z)
<float[192,192] w> {
    k = Transpose <perm = [0,2,1]> (x)
    a = MatMul (t, k)
    p = Softmax <axis = -1> (a)
    r = MatMul (p, x)
    s = MatMul (r, w)
    z = Add (s, t)
    l = Transpose <perm = [0,2,1]> (z)
    b = MatMul (x, l)
    q = Softmax <axis = -1> (b)
    c = MatMul (q, z)
    y = Add (c, x)
}"""

VALID = [
    # one direction alone: pooling
    Valid(_ONE_WAY),
]
INVALID = [Invalid(_BRIDGES, device="t4", places=2), Invalid(_BRIDGES, device="cortex-a76", places=2)]
