"""Arithmetic in float64, and on accelerators in int64.

## What it does
Finds run-time arithmetic on float64 tensors on any device, and on int64 tensors on NPUs and DSPs: usually a Python
float that became a double constant, a position or mask computed from token ids, or a leftover of NumPy's defaults.
Also float types that the profile says the operator does not take. Shape arithmetic is no such work: it is done before
the run, or on a handful of numbers.

## Why it costs
No accelerator multiplies doubles: the toolchain refuses them or sends them to the host, and casts stand on both
sides. A T4 runs float64 at 1/32 of its float32 rate, a CPU's vector unit at half. int64 has the same fate on NPUs,
whose integers are those of quantized tensors.

## How to fix
Give the constants the type of the network and drop the casts: float64 as float32 is close (24 bits of mantissa for
53), int64 as int32 exact as far as the values stay below 2^31: as nothing in the graph proves it, it counts as close.
Silent on indices that are only looked up (Gather, TopK, ArgMax), and where float32 needs quantizing (see QNT001).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.kernels import MULTIPLIERS
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.placement import cause
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import FLOAT, INT64, TensorType, dtype_name

RULE = Rule(code="OPS006", name="wide-dtype", severity="warning")
_DOUBLE, _INT32 = 11, 6
_NARROWER = {_DOUBLE: FLOAT, INT64: _INT32}
_ARITHMETIC = (ELEMENTWISE | MULTIPLIERS | {"CumSum", "Softmax", "LayerNormalization", "BatchNormalization"}) - {
    "Cast",
    "Identity",
    "Dropout",
    "Equal",
    "Less",
    "Greater",
    "Where",
    "Not",
    "And",
    "Or",
}
_A_FEW = 64
"""Elements up to which an int64 tensor is taken for shape arithmetic."""


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for float64, one for int64, one for other types that operators do not take."""
    table, refused = ctx.analysis.target.table, list[Node]()
    wide: dict[int, list[Node]] = {}
    has_wide = not {_DOUBLE, INT64}.isdisjoint({known.dtype for known in ctx.graph.types.values()})
    for node in ctx.graph.compute_nodes:
        kind = _wide_kind(ctx, node) if has_wide else 0
        if kind:
            wide.setdefault(kind, []).append(node)
        elif cause(ctx.graph, table, node, ctx.support(node)) == "dtype":
            refused.append(node)
    for kind, nodes in wide.items():
        yield _wide(ctx, kind, nodes)
    if refused:
        yield Finding(
            message=f"{len(refused)} nodes have a type that {ctx.device.name} does not take for them",
            suggestion="Export them in the type that the profile lists.",
            nodes=tuple(node.key for node in refused),
            places=len(refused),
            severity="error",
            details=tuple(sorted({ctx.support(node).reason for node in refused})[:3]),
        )


def _wide_kind(ctx: Context, node: Node) -> int:
    """float64 or int64 where the node computes in it; else 0."""
    if node.op_type not in _ARITHMETIC or node.domain or not node.inputs:
        return 0
    kinds = {ctx.graph.type_of(name).dtype for name in (*node.inputs[:2], node.outputs[0]) if name}
    if _DOUBLE in kinds:
        return _DOUBLE
    known = ctx.graph.type_of(node.outputs[0])
    if INT64 in kinds and ctx.device.kind in ("npu", "dsp") and known.is_known and known.elements > _A_FEW:
        return INT64
    return 0


def _wide(ctx: Context, kind: int, nodes: list[Node]) -> Finding:
    name, narrow = dtype_name(kind), dtype_name(_NARROWER[kind])
    counted = Counter(node.op_type for node in nodes)
    hosted = [node for node in nodes if ctx.support(node).status == "unsupported"]
    edits = tuple(_narrowed(ctx.graph, kind))
    what = "node computes" if len(nodes) == 1 else "nodes compute"
    return Finding(
        message=f"{len(nodes)} {what} in {name} on {ctx.device.name}",
        suggestion=f"Give their constants and casts the type {narrow}, and the casts around them go.",
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        fixes=(Fix(f"{narrow} instead of {name}", "close", edits),) if edits else (),
        severity="error" if hosted and len(hosted) == len(nodes) else None,
        details=tuple(f"{count}x {op}" for op, count in counted.most_common()) if len(counted) > 1 else (),
    )


def _narrowed(graph: Graph, kind: int) -> Iterator[Edit]:
    """Every computed value of the wide type in the narrower one; casts to or from it are left out."""
    outside = set(graph.inputs) | graph.is_output
    narrow = _NARROWER[kind]
    for node in graph.compute_nodes:
        for name in node.outputs:
            known = graph.type_of(name)
            if not name or known.dtype != kind or name in outside:
                continue
            source = graph.type_of(node.inputs[0]).dtype if node.inputs else 0
            if node.op_type == "Cast" and source == narrow:
                yield Remove(node.key)
                yield Reconnect(name, node.inputs[0])
            else:
                yield Declare(name, TensorType(narrow, known.shape))
        if node.op_type == "Cast" and node.inputs and node.outputs[0] not in outside:
            before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
            if before.dtype == kind and after.dtype == narrow and node.inputs[0] not in outside:
                yield Remove(node.key)
                yield Reconnect(node.outputs[0], node.inputs[0])


_DOUBLE_SCALE = """
scaled (float[1,64,56,56] x) => (float[1,64,56,56] y)
<double scale> {
  a = Cast<to = 11>(x)
  b = Mul(a, scale)
  y = Cast<to = 1>(b)
}
"""
_POSITIONS = """
masked (int64[1,512] ids, int64[1,512] mask) => (int64[1,512] y) {
  y = Mul(ids, mask)
}
"""
VALID = [
    Valid("plain (float[1,64,56,56] x) => (float[1,64,56,56] y) { y = Sqrt(x) }", device="t4"),
    Valid(_POSITIONS, device="cortex-a76"),
    Valid("few (int64[4] a, int64[4] b) => (int64[4] y) { y = Add(a, b) }", device="rk3588"),
]
INVALID = [Invalid(_DOUBLE_SCALE, device="t4"), Invalid(_POSITIONS, device="rk3588")]
