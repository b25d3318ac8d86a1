"""Attention over so many tokens that its scores outweigh its keys.

## What it does
Finds attention in networks of images whose score matrix has more than twice as many rows and columns (queries and keys)
as a head has channels, so that the scores are larger than the queries and keys that they come from, and prices keys and
values pooled by 4. All such attention of the model is one finding.

## Why it costs
Scores grow with the square of the tokens: T x T a head, computed, scaled, normalised and read once more. MobileViT
(arXiv 2110.02178) and EfficientFormer (2206.01191, section 4) keep attention out of the early stages for that reason;
PVT (2102.12122) pools keys and values.

## How to fix
Pool keys and values 2x2 before the product (a quarter of the scores), or move attention to a later stage with fewer
tokens. It needs retraining.

## Where it is silent
On networks without images; on object queries (DETR), which are no map to pool; on keys that are pooled already; on
windows (Swin, Twins), whose scores grow with the map and not with its square; where the attention costs less than is
shown (without a price, below 5 % of the latency), or pooling would cost more than it saves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.gains import gain
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS
from onnxlint.patterns.attention import Attention, attentions
from onnxlint.patterns.axes import Atom
from onnxlint.patterns.axis_roles import axis_roles
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.moves import Move, moves
from onnxlint.patterns.placement import WINDOWED
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.units import plural

RULE = Rule(code="TRF004", name="quadratic-attention", severity="warning")

_POOL = 4
_MANY = 2
"""Keys for each channel of a head from which the scores outweigh queries and keys together."""
_FEW = 8
"""Tokens beside those of the map: of the class, of distillation, registers."""
_LEAST_SHARE = 0.02
_LEAST_UNPRICED = 0.05
"""The part of the latency from which attention is told of though its form with pooled keys can't be priced."""


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all attention of many tokens."""
    graph = ctx.graph
    if not any(n.op_type == "Conv" and len(graph.type_of(n.outputs[0]).shape or ()) == 4 for n in graph.compute_nodes):
        return
    found = [one for one in attentions(graph) if one.keys >= one.queries > _MANY * one.width]
    maps = _maps(graph)
    found = [one for one in found if not _is_in_windows(graph, one) and _counts_positions(one, maps)]
    nodes = [node for one in found for node in one.nodes]
    if not found or ctx.share(nodes) < _LEAST_SHARE:
        return
    edits = tuple(edit for one in found for edit in _pooled(ctx, one))
    fix = Fix(f"keys and values pooled by {_POOL} in {plural(len(found), 'place')}", "lossy", edits)
    if gain(ctx.analysis, fix) <= 0 if edits else ctx.share(nodes) < _LEAST_UNPRICED:
        return
    largest = max(found, key=lambda one: one.scores)
    shapes = Counter(f"{one.batch} x {one.queries} x {one.keys} scores, {one.width} channels" for one in found)
    yield Finding(
        message=f"{plural(len(found), 'attention')} of more than twice as many keys as channels: "
        f"{100 * ctx.share(nodes):.0f} % of the time",
        suggestion=f"{largest.queries}x{largest.keys} scores for heads of {largest.width} channels: pool keys and "
        f"values 2x2 ({largest.keys} to {largest.keys // _POOL} keys),\n"
        "or attend in a later stage. It needs retraining.",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(fix,) if edits else (),
        details=tuple(f"{count}x {shape}" for shape, count in shapes.most_common()),
    )


def _maps(graph: Graph) -> set[int]:
    """The numbers of positions of the maps that convolutions and pools write, and of blocks that maps are cut in."""
    windowed = (node for node in graph.compute_nodes if node.op_type in WINDOWED)
    shapes = (graph.type_of(node.outputs[0]) for node in windowed)
    found = {known.dims[2] * known.dims[3] for known in shapes if known.is_known and known.rank == 4}
    return found | {_blocks(move) for move in moves(graph) if move.kind == "windows"}


def _blocks(move: Move) -> int:
    """How many blocks the positions are cut in (TNT: each is a token)."""
    pieces: dict[int, list[Atom]] = {}
    for atom in (atom for run in move.layout for atom in run):
        pieces.setdefault(atom.axis, []).append(atom)
    return math.prod(max(cut, key=lambda atom: atom.stride).size for cut in pieces.values() if len(cut) > 1)


def _counts_positions(one: Attention, maps: set[int]) -> bool:
    """The keys are positions of a map, and few others beside them (class tokens); object queries are not."""
    return any(size <= one.keys <= size + max(_FEW, size // 10) for size in maps)


def _is_in_windows(graph: Graph, one: Attention) -> bool:
    """Each window of the map attends to itself: what is before the tokens counts windows."""
    axes = axis_roles(graph).get(one.query, ())[:-2]
    return any(part.role == "window" for axis in axes for part in axis)


def _pooled(ctx: Context, one: Attention) -> Iterator[Edit]:
    """The same nodes over a quarter of the keys; nothing where the scores meet other computed values."""
    graph = ctx.graph
    keys = one.keys // _POOL
    inner = {name for node in one.nodes for name in node.outputs}
    outside = [name for node in one.nodes for name in node.inputs if name and name not in inner]
    computed = {name for name in outside if not graph.is_constant(name)}
    if one.is_fused or not computed <= {one.query, one.key, one.value}:
        return
    renamed: dict[str, str] = {}
    for name in dict.fromkeys((one.key, one.value)):
        known = graph.type_of(name)
        axes = [axis for axis in range(len(known.dims) - 2, len(known.dims)) if known.dims[axis] == one.keys]
        if not axes:
            return
        axis = axes[-1] if name == one.key else axes[0]
        renamed[name] = f"{name}~{RULE.code}"
        yield Declare(renamed[name], _fewer(known, axis, keys))
        yield Insert("ReduceMean", (name,), (renamed[name],), (("axes", [axis]),))
    scores = graph.type_of(one.nodes[0].outputs[0])
    at = {one.nodes[0].outputs[0]: -1 if scores.dims[-1] == one.keys else -2}  # where the scores have their keys
    for node in one.nodes:
        yield Remove(node.key)
        where = next((at[name] for name in node.inputs if name in at), None)
        if where is not None and node is not one.nodes[-1]:
            where = _moved(node, where)
            at |= dict.fromkeys((name for name in node.outputs if name), where)
        for name in (*node.inputs, *node.outputs):
            known = graph.type_of(name)
            constant = graph.is_constant(name)
            place = at.get(name, where if constant and node.op_type not in ANCHORS else None)
            if not name or name in renamed or place is None or not known.is_known or len(known.dims) < -place:
                continue
            if known.dims[place] == one.keys:
                renamed[name] = f"{name}~{RULE.code}:{node.key}"
                yield Declare(renamed[name], _fewer(known, len(known.dims) + place, keys), is_weight=constant)
        inputs, outputs = ([renamed.get(n, n) for n in names] for names in (node.inputs, node.outputs))
        yield Insert(node.op_type, tuple(inputs), tuple(outputs), attributes_of(node), node.domain)


def _moved(node: Node, axis: int) -> int:
    """Where a transposition leaves the axis, both counted from the last."""
    perm = list(node.attr("perm") or ()) if node.op_type == "Transpose" else []
    return perm.index(len(perm) + axis) - len(perm) if len(perm) + axis in perm else axis


def _fewer(known: TensorType, axis: int, size: int) -> TensorType:
    return TensorType(known.dtype, (*known.dims[:axis], size, *known.dims[axis + 1 :]))


_ATTENTION = """vit (float[1,3,224,224] x, float[1,3,{t},64] k, float[1,3,64,{t}] u, float[1,3,{t},64] v)
=> (float[1,3,{t},64] y, float[1,8,28,28] z) <float[8,3,1,1] w, float s = {{0.125}}> {{
    z = Conv <strides = [8,8]> (x, w)
    a = MatMul (k, u)
    b = Mul (a, s)
    p = Softmax <axis = -1> (b)
    y = MatMul (p, v)
}}"""

_BLOCKS = """tnt (float[1,3,224,224] x, float[1,3,196,64] k, float[1,3,64,196] u, float[1,3,196,64] v)
=> (float[1,3,196,64] y, float[196,8,4,4] z)
<float[8,3,4,4] w, float s = {0.125}, int64[6] cut = {1,8,14,4,14,4}, int64[4] blocks = {196,8,4,4}> {
    m = Conv <strides = [4,4]> (x, w)
    c = Reshape (m, cut)
    t = Transpose <perm = [0,2,4,1,3,5]> (c)
    z = Reshape (t, blocks)
    a = MatMul (k, u)
    b = Mul (a, s)
    p = Softmax <axis = -1> (b)
    y = MatMul (p, v)
}"""

VALID = [
    # a window of 49 keys for heads of 64 channels
    Valid(_ATTENTION.format(t=49), device="rk3588"),
    # 300 object queries, no positions of a map
    Valid(_ATTENTION.format(t=300), device="rk3588"),
]
INVALID = [
    Invalid(_ATTENTION.format(t=784), device="rk3588"),
    Invalid(_ATTENTION.format(t=784), device="cortex-a76"),
    # blocks of a map, each a token
    Invalid(_BLOCKS, device="x3"),
]
