"""Attention left as MatMul, Softmax and MatMul where the device has one operator for it.

## What it does
Finds attention that is spelled out, on devices that run the fused operator (ai.onnx Attention, opset 23) and whose
runtime does not fuse the three by itself, and prices the operator in their place.

## Why it costs
Apart, the score matrix is written, read by each scaling, mask and softmax, written again and read by the second
product: for T tokens that is several times T x T elements a head. A fused operator keeps a tile of it on the chip
(FlashAttention, arXiv 2205.14135).

## How to fix
Export with opset 23 or later, where torch's `scaled_dot_product_attention` becomes one Attention, or let the runtime's
transformer optimizer fuse it. Same outputs.

## Where it is silent
Where the profile says that the runtime fuses attention by itself, where the device has no such operator, and on
attention that has no form as one operator (masks that are computed, heads mixed).
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Edit, Finding, Fix, Insert, Remove
from onnxlint.graph import Graph
from onnxlint.patterns.attention import Attention, attentions
from onnxlint.patterns.axes import VIEWS
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="TRF005", name="unfused-attention", severity="warning")

_BETWEEN = VIEWS | {"Add", "Softmax", "Cast", "IsNaN", "Where"}
_SCALES = frozenset({"Mul", "Div"})


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all attention that one operator could do."""
    if ctx.device.fusion.attention:
        return
    found = [(one, edits) for one in attentions(ctx.graph) if (edits := tuple(_operator(ctx, one)))]
    edits = tuple(edit for _, some in found for edit in some)
    if not found or not ctx.runs(edits):
        return
    nodes = [node for one, _ in found for node in one.nodes]
    scores = max(found, key=lambda entry: entry[0].scores)[0]
    yield Finding(
        message=f"{plural(len(found), 'attention')} in {len(nodes)} operators where {ctx.device.name} has one for each",
        suggestion=f"Export with opset 23 or later: one Attention keeps the {scores.queries}x{scores.keys} scores of "
        f"{scores.batch} heads on the chip.\nExact: no retraining.",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(Fix(f"one Attention operator in {plural(len(found), 'place')}", "exact", edits),),
    )


def _operator(ctx: Context, one: Attention) -> Iterator[Edit]:
    """One Attention of the same queries, keys and values; nothing where it has no such form."""
    graph = ctx.graph
    if one.is_fused or (one.mask and not graph.is_constant(one.mask)) or _mixes(graph, one):
        return
    turned = graph.producer(one.key)
    perm = list(turned.attr("perm") or []) if turned is not None and turned.op_type == "Transpose" else []
    if perm != [0, 1, 3, 2] or turned is None or graph.sole_reader(one.key) is None:
        return
    if any((graph.type_of(name).rank or 0) != 4 for name in (one.query, one.value, one.output)):
        return
    mask = (one.mask,) if one.mask else ()
    yield from (Remove(node.key) for node in (turned, *one.nodes))
    yield Insert("Attention", (one.query, turned.inputs[0], one.value, *mask), (one.output,))


def _mixes(graph: Graph, one: Attention) -> bool:
    """Between the products stands more than one scale, a mask and the softmax: heads mixed, each with its own scale."""
    inner = one.nodes[1:-1]
    scales = [node for node in inner if node.op_type in _SCALES]
    if any(all(graph.type_of(name).elements != 1 for name in node.inputs) for node in scales):
        return True
    return any(node.op_type not in _BETWEEN | _SCALES for node in inner)


_APART = """apart (float[1,12,197,64] q, float[1,12,197,64] k, float[1,12,197,64] v) => (float[1,12,197,64] y)
<float s = {0.125}> {
    t = Transpose <perm = [0,1,3,2]> (k)
    a = MatMul (q, t)
    b = Mul (a, s)
    p = Softmax <axis = -1> (b)
    y = MatMul (p, v)
}"""

_TALKING = """talking (float[1,4,196,48] q, float[1,4,196,48] k, float[1,4,196,48] v) => (float[1,4,196,48] y)
<float s = {0.144}, float[4,4] w> {
    t = Transpose <perm = [0,1,3,2]> (k)
    a = MatMul (q, t)
    b = Mul (a, s)
    last = Transpose <perm = [0,2,3,1]> (b)
    mixed = MatMul (last, w)
    first = Transpose <perm = [0,3,1,2]> (mixed)
    p = Softmax <axis = -1> (first)
    y = MatMul (p, v)
}"""

VALID = [
    # the heads are mixed before the softmax (CaiT): no one operator does that
    Valid(_TALKING, device="cortex-a76"),
    # TensorRT fuses it by itself
    Valid(_APART, device="t4"),
    # NNIE has no such operator
    Valid(_APART, device="hi3519"),
]
INVALID = [Invalid(_APART, device="cortex-a76")]
