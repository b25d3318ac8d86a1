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
maps. Scores plus the positions of rows and of columns (BoTNet, HaloNet, SAM) are a sum of [queries, rows, columns],
[queries, rows, 1] and [queries, 1, columns], without an Expand. A Conv whose kernel is 1 along one of three spatial
dims is one over two, that dim counted in the batch. LRN that an export spelled out as a 5-D AveragePool is one LRN. All
are exact, and offered and priced only where the device runs every operator that they introduce: NNIE and Horizon X3
lack the Transpose, so there is no 4-D form for them.
It is an error where too many dims alone cut the network, or the finding takes 0.5 % of the latency or more, else an
info. Silent on devices without a limit, and where the operator does not run there at any rank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Edit, Finding, Fix
from onnxlint.gains import NOTHING_YET, bearable, saves_nothing
from onnxlint.graph import Graph, Node
from onnxlint.partitions import severity_of_leaving
from onnxlint.patterns.broadcasts import broadcasts
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.flat_convolutions import flat_convolutions
from onnxlint.patterns.joined_dims import by_rotation, joined_dims, joined_edits, joined_moves, row_dims
from onnxlint.patterns.lower_rank import batch_edits, by_rows, rows_edits, without_batch
from onnxlint.patterns.packed_heads import four_dimensional, packed_heads
from onnxlint.patterns.placement import exceeds_rank
from onnxlint.patterns.spelled_lrn import spelled_lrns
from onnxlint.patterns.stacked_sums import stacked_sums
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType

RULE = Rule(code="OPS003", name="tensor-rank", severity="error")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the packed heads, one for LRN spelled out, one for windows and the like, one for the rest."""
    table, limit, name = ctx.analysis.target.table, ctx.device.operators.max_rank, ctx.device.name
    high = {node.key: node for node in ctx.graph.compute_nodes if exceeds_rank(ctx.graph, table, node)}
    if not high or limit is None:
        return
    whole = tuple(high.values())
    for shuffle in channel_shuffles(ctx.graph):
        for node in shuffle.nodes:
            high.pop(node.key, None)
    lowered = _lowered(ctx, limit)
    own = [high.pop(key) for key in lowered.keys if key in high]
    if own:
        yield _finding(
            ctx,
            whole,
            own,
            len(own),
            f"up to {max(_rank(ctx, node) for node in own)} dims, one of them a batch of one, in {_places(len(own))}: "
            f"{name} holds at most {limit}-D",
            f"{lowered.told}:\n{limit}-D throughout. Exact: no retraining.",
            Fix(f"without the batch of one: {limit}-D in {_places(len(own))}", "exact", lowered.edits),
        )
    packings = [found for found in packed_heads(ctx.graph) if any(node.key in high for node in found.nodes)]
    packings = [found for found in packings if not found.has_batch]
    packed = [high.pop(node.key) for found in packings for node in found.nodes if node.key in high]
    if packed:
        first = packings[0]
        edits = tuple(edit for found in packings for edit in four_dimensional(ctx.graph, found))
        columns = "" if first.is_outer else " (after reordering the product's columns)"
        width = ctx.graph.type_of(first.source).shape or ()
        yield _finding(
            ctx,
            whole,
            packed,
            len(packings),
            f"attention heads packed in 5-D in {_places(len(packings))}: {name} holds at most {limit}-D",
            f"Split {_x(width)} in {len(first.parts)} on axis {first.axis}{columns}, then each part\n"
            f"to {_x(first.shape)}{_turned(first.perm)}. Exact: no retraining.",
            Fix(f"split the packed heads on their channels first: 4-D in {_places(len(packings))}", "exact", edits),
        )
    lrns = [found for found in spelled_lrns(ctx.graph) if any(node.key in high for node in found.nodes)]
    if lrns:
        nodes = [node for found in lrns for node in found.nodes]
        for node in nodes:
            high.pop(node.key, None)
        edits = tuple(edit for found in lrns for edit in found.edits)
        yield _finding(
            ctx,
            whole,
            [node for node in nodes if ctx.support(node).status == "unsupported"],
            len(lrns),
            f"LRN spelled out with a 5-D pool in {_places(len(lrns))}: {name} holds at most {limit}-D",
            "Export each as one LRN. Exact: no retraining.",
            Fix(f"one LRN each in {_places(len(lrns))}", "exact", edits),
        )
    windows = [found for found in joined_dims(ctx.graph, limit) if any(node.key in high for node in found.nodes)]
    taken = {node.key for found in windows for node in found.nodes}
    runs = [found for found in joined_moves(ctx.graph, limit, taken) if any(node.key in high for node in found.nodes)]
    windows += runs
    if windows:
        nodes = [high.pop(node.key) for found in windows for node in found.nodes if node.key in high]
        edits = tuple(edit for found in windows for edit in joined_edits(ctx.graph, found, limit))
        if not ctx.runs(edits):
            turned = [by_rotation(found) for found in windows]
            other = tuple(edit for found in turned for edit in joined_edits(ctx.graph, found, limit))
            windows, edits = (turned, other) if ctx.runs(other) else (windows, edits)
        dims = max(_rank(ctx, node) for node in nodes)
        steps = max((found.steps for found in windows), key=len)
        told = (
            " and then ".join(f"{_x(sizes)} transposed by {order}" for sizes, order in steps[:2]) or "a Reshape alone"
        )
        yield _finding(
            ctx,
            whole,
            nodes,
            len(windows),
            f"windows or patches cut in {dims}-D in {_places(len(windows))}: {name} holds at most {limit}-D",
            f"Join the dims that move together: {told}, and so on.\nExact: no retraining.",
            Fix(f"the dims that move together joined: {limit}-D in {_places(len(windows))}", "exact", edits),
        )
    spread = [found for found in broadcasts(ctx.graph, limit) if any(node.key in high for node in found.nodes)]
    if spread:
        nodes = [high.pop(node.key) for found in spread for node in found.nodes if node.key in high]
        edits = tuple(edit for found in spread for edit in found.edits)
        yield _finding(
            ctx,
            whole,
            nodes,
            len(spread),
            f"values of few dims broadcast to {max(_rank(ctx, node) for node in nodes)}-D in {_places(len(spread))}: "
            f"{name} holds at most {limit}-D",
            f"Join the dims that all of them have or lack together: {_x(spread[0].dims)}.\nExact: no retraining.",
            Fix(f"the dims joined that broadcast together: {limit}-D in {_places(len(spread))}", "exact", edits),
        )
    stacks = [found for found in stacked_sums(ctx.graph) if any(node.key in high for node in found.nodes)]
    if stacks:
        nodes = [high.pop(node.key) for found in stacks for node in found.nodes if node.key in high]
        edits = tuple(edit for found in stacks for edit in found.edits)
        yield _finding(
            ctx,
            whole,
            nodes,
            len(stacks),
            f"maps stacked in 5-D and summed in {_places(len(stacks))}: {name} holds at most {limit}-D",
            f"Add the {stacks[0].maps} maps, each times its gate, instead of stacking them. Exact: no retraining.",
            Fix(f"the maps added instead of stacked: {limit}-D in {_places(len(stacks))}", "exact", edits),
        )
    flat = [found for found in flat_convolutions(ctx.graph) if any(node.key in high for node in found.nodes)]
    for are_alone in (True, False):
        found_here = [found for found in flat if found.is_alone == are_alone]
        if not found_here:
            continue
        nodes = [high.pop(node.key) for found in found_here for node in found.nodes if node.key in high]
        edits = tuple(edit for found in found_here for edit in found.edits)
        one = found_here[0]
        by = f"with {one.size} times the batch" if one.size else "behind a view that joins two axes"
        where = _places(len(found_here))
        yield _finding(
            ctx,
            whole,
            nodes,
            len(found_here),
            f"Conv over three dims, with a kernel of 1 along one, in {where}: {name} holds at most {limit}-D",
            f"The {_x(one.kernel)} kernel is one of {_x(one.flat)} {by}"
            + (
                ".\nExact: no retraining."
                if are_alone
                else ":\nexact, but what is around it has to change with it, by hand."
            ),
            Fix(f"Conv over two dims: {limit}-D in {where}", "exact", edits) if are_alone else None,
        )
    if high:
        nodes = list(high.values())
        ranks = max(_rank(ctx, node) for node in nodes)
        message = f"tensors of up to {ranks} dims in {_places(len(nodes))}: {name} holds at most {limit}-D"
        yield _finding(ctx, whole, nodes, len(nodes), message, "", None)


@dataclass(frozen=True, slots=True)
class _Lowered:
    keys: tuple[str, ...]
    edits: tuple[Edit, ...]
    told: str = ""


def _lowered(ctx: Context, limit: int) -> _Lowered:
    """Windows whose batch of one is left out and whose rows are multiplied as such, with the packings between."""
    graph = ctx.graph
    rows = by_rows(graph, limit)
    cut = [found for found in joined_dims(graph, limit, rows) if found.output in rows]
    if {name for name in rows if _is_turned(graph, name)} != {found.output for found in cut}:
        rows, cut = frozenset(), []
    packings = [found for found in packed_heads(graph) if found.has_batch]
    batch = without_batch(graph, limit, frozenset(part for found in packings for part in found.parts))
    packings = [found for found in packings if batch.issuperset(found.parts)]
    kept = frozenset(part for found in packings for part in found.parts)
    batch = without_batch(graph, limit, kept)
    if not batch.issuperset(kept):
        return _Lowered((), ())
    back = [one for one in joined_dims(graph, limit) if one.nodes[0].inputs[0] in batch]
    gone = {node.key for one in (*cut, *back) for node in one.nodes} | {n.key for one in packings for n in one.nodes}
    edits: list[Edit] = [edit for one in (*cut, *back) for edit in joined_edits(graph, one, limit)]
    edits += rows_edits(graph, rows - {one.output for one in cut}, limit, gone)
    for packing in packings:
        known = graph.type_of(packing.source)
        by_row = TensorType(known.dtype, row_dims(known.dims, limit)) if packing.source in rows else None
        edits += four_dimensional(graph, packing, by_row)
    edits += batch_edits(graph, batch - kept, gone)
    touched = [node for one in (*cut, *back) for node in one.nodes] + [node for one in packings for node in one.nodes]
    touched += [
        n for n in graph.compute_nodes if any(name in rows or name in batch for name in (*n.inputs, *n.outputs))
    ]
    steps = ["Leave out the batch of one"]
    steps += ["multiply by rows"] * bool(rows) + ["split packed heads on their channels first"] * bool(packings)
    return _Lowered(tuple(dict.fromkeys(node.key for node in touched)), tuple(edits), ", ".join(steps))


def _is_turned(graph: Graph, name: str) -> bool:
    writer = graph.producer(name)
    return writer is not None and writer.op_type == "Transpose"


def _finding(
    ctx: Context,
    whole: tuple[Node, ...],
    nodes: list[Node],
    places: int,
    message: str,
    suggestion: str,
    fix: Fix | None,
) -> Finding:
    """The fix with its advice only where the device runs it, and for no more than now; else why there is none.

    `whole`: all nodes of too many dims: what they cut together is no other rule's.
    """
    device, refused = ctx.device.name, ""
    if fix is None:
        refused = (
            suggestion or f"onnxlint has no form of this in fewer dims for {device}: it has to be rewritten by hand."
        )
    elif not ctx.runs(fix.edits):
        refused = f"Its form in fewer dims holds operators that {device} does not run."
    elif not bearable(ctx.analysis, [fix]):
        refused = "Its form in fewer dims costs more here, beside the operators that leave with it: mend those first."
    elif saves_nothing(ctx.analysis, [fix]):
        suggestion += "\n" + NOTHING_YET
    counted = Counter(node.op_type for node in nodes)
    hosted = any(node.key in ctx.analysis.placement.on_host for node in nodes)
    return Finding(
        message=message,
        suggestion=refused or suggestion,
        nodes=tuple(node.key for node in nodes),
        places=places,
        fixes=() if fix is None or refused else (fix,),
        severity=severity_of_leaving(ctx.analysis, nodes, whole) if hosted else "warning",
        details=tuple(f"{count}x {name}" for name, count in counted.most_common()),
    )


def _places(count: int) -> str:
    return f"{count} places" if count > 1 else "one place"


def _rank(ctx: Context, node: Node) -> int:
    return max(ctx.graph.type_of(name).rank or 0 for name in (*node.inputs, *node.outputs) if name)


def _turned(perm: tuple[int, ...]) -> str:
    return "" if perm == tuple(range(len(perm))) else f", transposed by {perm}"


def _x(shape: tuple[int | None, ...]) -> str:
    return "x".join(str(size) for size in shape)


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
