"""Unfold and fold: maps cut in patches so that attention sees one pixel of each, and put together again.

## What it does
Finds MobileViT's unfold and fold by what the Reshapes and Transposes do to the elements, in whatever dims they are
spelled, and prices the spellings that the same permutation has: one transposition of all the dims that move, or the
present ones. All are one finding.

## Why it costs
MobileViT (arXiv 2110.02178, section 3.1) unfolds each map to P x N tokens and folds it back around every stack of
transformer layers. Nothing is computed; the export writes the map two or three times on each way, often in more dims
than an NPU holds.

## How to fix
The cheapest spelling that this device runs: same outputs. Where none is cheaper, attention over the whole map, or the
separable attention of MobileViTv2 (arXiv 2206.02680) over it, needs no unfold; the price is then of a model without.

## Where it is silent
On window partitions (Swin), patch merging and pixel shuffle, which keep other elements together.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Edit, Finding, Fix
from onnxlint.graph import Graph
from onnxlint.patterns.joined_dims import MAX_GROUPS, joined_edits, joined_move
from onnxlint.patterns.moves import Move, moves, unmoved
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural, size

RULE = Rule(code="TRF006", name="unfold-fold", severity="warning")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all unfolds and folds."""
    found = [move for move in moves(ctx.graph) if move.kind in ("unfold", "fold")]
    if not found:
        return
    nodes = [node for move in found for node in move.nodes]
    once = tuple(edit for move in found if len(move.transposes) > 1 for edit in _in_one(ctx.graph, move))
    fixes = [Fix("one transposition each", "exact", once)] if once and ctx.runs(once) else []
    fixes.append(Fix("attention that needs no unfold", "advice", tuple(unmoved(found))))
    moved = sum(ctx.analysis.value_bytes(node.outputs[0]) for move in found for node in move.transposes)
    counts = [sum(move.kind == kind for move in found) for kind in ("unfold", "fold")]
    yield Finding(
        message=f"{counts[0]} unfolds and {counts[1]} folds: {100 * ctx.share(nodes):.0f} % of the time",
        suggestion=f"{plural(sum(len(move.transposes) for move in found), 'transposition')} write {size(moved)}"
        + (": one each does. Exact." if len(fixes) > 1 else "; onnxlint has no cheaper spelling that runs here."),
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=tuple(fixes),
        details=tuple(f"{move.kind}: {_x(ctx, move.source)} to {_x(ctx, move.output)}" for move in found),
    )


def _x(ctx: Context, name: str) -> str:
    return "x".join(map(str, ctx.graph.type_of(name).dims))


def _in_one(graph: Graph, move: Move) -> tuple[Edit, ...]:
    """One Transpose between two Reshapes; nothing for a move of too many blocks."""
    joined = joined_move(move, MAX_GROUPS)
    return joined_edits(graph, joined, max(len(sizes) for sizes, _ in joined.steps)) if joined and joined.steps else ()


_UNFOLD = """unfold (float[1,144,32,32] x) => (float[4,256,144] y)
<int64[4] a = {2304,2,16,2}, int64[4] b = {1,144,256,4}, int64[3] c = {4,256,144}> {
    r = Reshape (x, a)
    t = Transpose <perm = [0,2,1,3]> (r)
    s = Reshape (t, b)
    u = Transpose <perm = [0,3,2,1]> (s)
    y = Reshape (u, c)
}"""

VALID = [
    # windows: neighbouring pixels stay together
    Valid("""windows (float[1,56,56,96] x) => (float[64,49,96] y)
        <int64[6] a = {1,8,7,8,7,96}, int64[3] b = {64,49,96}> {
        r = Reshape (x, a)
        t = Transpose <perm = [0,1,3,2,4,5]> (r)
        y = Reshape (t, b)
    }"""),
]
INVALID = [Invalid(_UNFOLD, device="t4"), Invalid(_UNFOLD, device="cortex-a76")]
