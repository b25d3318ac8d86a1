"""Tensors of more dims than the device holds: packed attention heads, windows, unfold.

## What it does
Finds nodes whose operator the device has, but whose tensors have more dims than it holds (`max_rank` in the profile:
4 on NNIE, Horizon X3, RK3588 and most NPUs, 8 in TensorRT). Channel shuffles are OPS002's; operators that the device
lacks in any form are OPS001's.

## Why it costs
A 5-D tensor never comes about on a 4-D machine: the node runs on the host, and what it reads and writes crosses
twice. Transformers pack queries, keys and values as [N, T, 3, heads, d] and transpose that (DeiT, ViT, Swin), Swin
cuts windows in 6-D, MobileViT unfolds patches; none of it computes anything.

## How to fix
Packed queries, keys and values have an exact 4-D form: split the last axis [N, T, 3·heads·d] in three first, then
reshape and transpose each part in 4-D, [N, T, heads, d] to [N, heads, T, d]. A window partition of [N, H/w, w, W/w, w,
C] is one 4-D step, [N·H/w, w, W/w, w·C] with the middle two swapped; a grid (MaxViT) is two. Attention in windows
behind a batch of one (Twins, NesT) is the same without it. Maps that are stacked to be summed (SKNet) are sums of the
maps, each times its gate; of two, a softmax is the sigmoid of the difference. Scores plus the positions of rows and of
columns (BoTNet, HaloNet, SAM) are a sum of [queries, rows, columns], [queries, rows, 1] and [queries, 1, columns],
without an Expand. A Conv whose kernel is 1 along one of three spatial dims is one over two, that dim counted in the
batch. LRN that an export spelled out as a 5-D AveragePool is one LRN. All are exact, and offered and priced only where
the device runs every operator that they introduce: NNIE and Horizon X3 lack the Transpose, so they have few of them: a
space to depth is a strided convolution there.
It is an error where too many dims alone cut the network, or the finding takes 0.5 % of the latency or more, else an
info. Silent on devices without a limit, and where the operator does not run there at any rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from onnxlint.finding import Finding, Fix, Insert
from onnxlint.gains import NOTHING_YET, bearable, saves_nothing
from onnxlint.graph import Node
from onnxlint.partitions import severity_of_leaving
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.fewer_dims import FewerDims, highest, in_fewer_dims
from onnxlint.patterns.placement import exceeds_rank
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.whatif import EditError, applied

RULE = Rule(code="OPS003", name="tensor-rank", severity="error")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each kind of structure that has a form in fewer dims, one for the rest."""
    table, limit = ctx.analysis.target.table, ctx.device.operators.max_rank
    whole = tuple(node for node in ctx.graph.compute_nodes if exceeds_rank(ctx.graph, table, node))
    if not whole or limit is None:
        return
    shuffled = {node.key for shuffle in channel_shuffles(ctx.graph) for node in shuffle.nodes}
    high = {node.key: node for node in whole if node.key not in shuffled}
    told: set[str] = set()
    for found in in_fewer_dims(ctx.graph, limit, high, lambda node: _leaves(ctx, node), ctx.runs):
        told |= {node.key for node in found.nodes}
        yield _finding(ctx, whole, found)
    rest = tuple(node for key, node in high.items() if key not in told)
    if rest:
        by_hand = f"onnxlint has no form of this in fewer dims for {ctx.device.name}: it has to be rewritten by hand."
        what = f"tensors of up to {highest(ctx.graph, rest)} dims"
        yield _finding(ctx, whole, FewerDims(rest, len(rest), what, "", by_hand, ()))


def _leaves(ctx: Context, node: Node) -> bool:
    return ctx.support(node).status == "unsupported"


def _finding(ctx: Context, whole: Sequence[Node], found: FewerDims) -> Finding:
    """The fix with its advice where there is one that helps; else why not.

    `whole`: all nodes of too many dims: what they cut together is no other rule's.
    """
    where = f"{found.places} places" if found.places > 1 else "one place"
    fix = Fix(f"{found.title} in {where}", "exact", found.edits) if found.edits else None
    refused = _why_not(ctx, fix) if fix is not None else ""
    more = f"\n{NOTHING_YET}" if fix is not None and not refused and saves_nothing(ctx.analysis, [fix]) else ""
    counted = Counter(node.op_type for node in found.nodes)
    hosted = any(node.key in ctx.analysis.placement.on_host for node in found.nodes)
    return Finding(
        message=f"{found.what} in {where}: {ctx.device.name} holds at most {ctx.device.operators.max_rank}-D",
        suggestion=refused or found.told + more,
        nodes=tuple(node.key for node in found.nodes),
        places=found.places,
        fixes=() if refused or fix is None else (fix,),
        severity=severity_of_leaving(ctx.analysis, list(found.nodes), whole) if hosted else "warning",
        details=tuple(f"{count}x {name}" for name, count in counted.most_common()),
    )


def _why_not(ctx: Context, fix: Fix) -> str:
    """What is said instead of the fix; "" where the device runs it, and for no more than now."""
    if _stays_high(ctx, fix):
        return "Its form in fewer dims still meets values of too many beside it: mend those first, or with it by hand."
    if not ctx.runs(fix.edits):
        return f"Its form in fewer dims holds operators that {ctx.device.name} does not run."
    if not bearable(ctx.analysis, [fix]):
        return "Its form in fewer dims costs more here, beside the operators that leave with it: mend those first."
    return ""


def _stays_high(ctx: Context, fix: Fix) -> bool:
    """The edits fit, and what they put in reads or writes values of too many dims all the same."""
    try:
        after = applied(ctx.analysis, fix.edits)
    except EditError:
        return False
    table = ctx.analysis.target.table
    new = (after.node(edit.outputs[0]) for edit in fix.edits if isinstance(edit, Insert))
    return any(exceeds_rank(after, table, node) for node in new)


_PACKED = """
attention (float[1,197,192] x) => (float[1,3,197,197] y)
<float[192,576] w, int64[5] s = {1,197,3,3,64}> {
  p = MatMul(x, w)
  r = Reshape(p, s)
  t = Transpose<perm = [2, 0, 3, 1, 4]>(r)
  zero = Constant<value_int = 0>()
  one = Constant<value_int = 1>()
  two = Constant<value_int = 2>()
  q = Gather<axis = 0>(t, zero)
  k = Gather<axis = 0>(t, one)
  v = Gather<axis = 0>(t, two)
  kt = Transpose<perm = [0, 1, 3, 2]>(k)
  qk = MatMul(q, kt)
  qkv = MatMul(qk, v)
  vt = Transpose<perm = [0, 1, 3, 2]>(v)
  y = MatMul(qkv, vt)
}
"""
VALID = [
    Valid(_PACKED, device="t4"),
    Valid(
        """
        heads (float[1,197,192] x) => (float[1,3,197,64] y)
        <float[192,192] w, int64[4] s = {1,197,3,64}> {
          q = MatMul(x, w)
          r = Reshape(q, s)
          y = Transpose<perm = [0, 2, 1, 3]>(r)
        }
        """,
        device="rk3588",
    ),
]
INVALID = [Invalid(_PACKED, device="rk3588", severity="error")]
