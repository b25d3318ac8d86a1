"""Convolutions whose weight is computed at run time, on devices that want it constant.

## What it does
Finds convolutions and transposed convolutions whose weight is the result of other nodes (dynamic convolution, hyper
networks, correlation by a feature map) where the profile says that the device takes constant weights only. A weight
that depends on constants alone (dequantized, transposed, normalised) is constant.

## Why it costs
Weights are compiled: quantized, reordered and packed ahead of time, and on many chips streamed from a place that
cannot be written during a run. A computed one sends the convolution to the host, the dearest operator there is.

## How to fix
Dynamic Convolution (arXiv 1912.03458) mixes K kernels by attention, then convolves once: w = Σ πk·wk. Convolution is
linear in its weight, so mixing the K outputs instead, y = Σ πk·(wk * x), is the same function with constant weights,
at K times the multiply-accumulates; where the mix is found in the graph (a sum over constant kernels) that price is
shown. One plain convolution K times as wide, or attention over channels (squeeze-excite), are the retrained ways out.
Silent on devices without that limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.graph import Node
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.mixed_kernels import MixedKernels, mixed_kernels
from onnxlint.patterns.placement import cause
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="OPS010", name="runtime-weight", severity="error")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of them."""
    table = ctx.analysis.target.table
    nodes = [n for n in ctx.graph.compute_nodes if cause(ctx.graph, table, n, ctx.support(n)) == "weight"]
    if not nodes:
        return
    mixed = [found for node in nodes if (found := mixed_kernels(ctx.graph, node)) is not None]
    fixes = tuple(_fixes(ctx, nodes, mixed))
    told = f"Mix the {mixed[0].count} outputs instead of the {mixed[0].count} kernels (exact)." if mixed else ""
    yield Finding(
        message=leaves(ctx.analysis, f"{nodes[0].op_type} with a computed weight", len(nodes), nodes),
        suggestion="\n".join(
            line
            for line in (told if fixes else "", "When retraining: one constant kernel and attention over the channels.")
            if line
        ),
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        fixes=fixes,
        severity=severity_of_leaving(ctx.analysis, nodes),
        details=(ctx.support(nodes[0]).reason, *cost_of_leaving(ctx.analysis, nodes)),
    )


def _fixes(ctx: Context, nodes: list[Node], mixed: list[MixedKernels]) -> Iterator[Fix]:
    where = f" in {len(mixed)} of {len(nodes)} places" if len(mixed) < len(nodes) else ""
    edits = tuple(edit for found in mixed for edit in found.edits)
    if mixed and ctx.runs(edits):
        yield Fix(f"outputs mixed instead of kernels{where}", "exact", edits)
    plain = tuple(edit for node in nodes for edit in _constant(ctx, node))
    if ctx.runs(plain):
        yield Fix("one constant kernel", "lossy", plain)


def _constant(ctx: Context, node: Node) -> Iterator[Edit]:
    weight = f"{node.outputs[0]}/weight"
    attributes = tuple((name, node.attr(name)) for name in node.attributes)
    yield Remove(node.key)
    yield Declare(weight, ctx.graph.type_of(node.inputs[1]), is_weight=True)
    yield Insert(node.op_type, (node.inputs[0], weight, *node.inputs[2:]), node.outputs, attributes)


_DYNAMIC = """
dynamic (float[1,8,14,14] x, float[1,4] p) => (float[1,8,14,14] y)
<float[4,576] k, int64[4] s = {8,8,3,3}> {
  m = MatMul(p, k)
  w = Reshape(m, s)
  y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)
}
"""
VALID = [Valid(_DYNAMIC, device="t4"), Valid(_DYNAMIC, device="generic")]
INVALID = [Invalid(_DYNAMIC, device="ethos-u65", severity="error")]
