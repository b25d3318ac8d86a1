"""Resizing in a mode, by a scale or with a coordinate transform that the device lacks.

## What it does
Finds Resize and Upsample nodes that the device does not run: another interpolation (cubic, or linear where it has
nearest alone), a scale outside its list (NNIE: by 2; RK3588: by 2 to 8; Ethos-U: by 2, 4 or 8), another coordinate
transform, or no resizing at all.

## Why it costs
Up-sampling layers stand where maps are large: the map goes to the host, is resized there and comes back four times as
large. Feature pyramids and decoders do it at every level.

## How to fix
Built and priced, and offered where the device runs it and it costs no more than now:
- exact: nearest by 4 as two steps by 2; nearest by k as a transposed convolution of kernel and stride k with ones, one
  group a channel; linear (half_pixel) down by 2 as an AveragePool, by another whole factor as a depthwise convolution
  with the weights of the middle; any mode and scale as two matrix products by constant interpolation matrices, of
  rows and of columns;
- close: bilinear by an even k (half_pixel) as a transposed convolution of kernel 2k and stride k with fixed weights:
  the border is padded with zeros, not repeated;
- lossy, when retraining: the mode or transform that the device has, which moves each pixel by half a step at most.
Silent where the device runs the node.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.gains import bearable
from onnxlint.graph import Node
from onnxlint.no_ops import Known, passed_on
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.forms import everywhere
from onnxlint.patterns.placement import cause
from onnxlint.patterns.resizes import resize_forms
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="OPS008", name="resize-mode", severity="error")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of them."""
    table = ctx.analysis.target.table
    nodes = [n for n in ctx.graph.compute_nodes if cause(ctx.graph, table, n, ctx.support(n)) == "resize"]
    nodes = [node for node in nodes if passed_on(Known(ctx.graph, is_static=True), node) is None]
    if not nodes:
        return
    forms = list(bearable(ctx.analysis, _forms(ctx, nodes)))
    what = f"{nodes[0].op_type} ({_mode(nodes[0])})"
    yield Finding(
        message=leaves(ctx.analysis, what, len(nodes), nodes),
        suggestion=_advice(ctx, nodes[0], forms),
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        fixes=tuple(forms),
        severity=severity_of_leaving(ctx.analysis, nodes),
        details=(*sorted({ctx.support(node).reason for node in nodes})[:3], *cost_of_leaving(ctx.analysis, nodes)),
    )


def _mode(node: Node) -> str:
    mode: bytes = node.attr("mode", b"nearest")
    return mode.decode("utf-8", "replace")


def _forms(ctx: Context, nodes: list[Node]) -> Iterator[Fix]:
    """Each other form in all the places that it fits and that the device runs."""
    conditions = [limit for limit in ctx.device.operators.conditional if limit.op == "Resize"]
    for fix, _ in everywhere(ctx.graph, nodes, lambda node: resize_forms(ctx.graph, node, conditions), ctx.runs):
        yield fix


def _advice(ctx: Context, node: Node, forms: list[Fix]) -> str:
    words = {"exact": "Exact", "close": "Close", "lossy": "When retraining"}
    lines = [f"{words[fix.safety]}: {fix.title}." for fix in forms]
    conditions = [limit for limit in ctx.device.operators.conditional if limit.op == node.op_type]
    scales = next((limit.integer_scales for limit in conditions if limit.integer_scales), None)
    modes = next((limit.modes for limit in conditions if limit.modes), None)
    before, after = ctx.graph.type_of(node.inputs[0]), ctx.graph.type_of(node.outputs[0])
    images = before.is_known and after.is_known and len(before.dims) == len(after.dims) > 2
    is_exact = any(fix.safety == "exact" for fix in forms)
    if images and not is_exact and any(b % a for a, b in zip(before.dims, after.dims, strict=True) if a):
        sizes = [f"{one.dims[-2]}x{one.dims[-1]}" for one in (before, after)]
        lines.insert(0, f"{sizes[0]} to {sizes[1]} is no whole factor: choose an input size that needs no resizing.")
    elif not lines and modes:
        by = f" by {', '.join(map(str, scales))}" if scales else ""
        lines.append(f"Resize by what {ctx.device.name} has: {' or '.join(modes)}{by}, if need be in several steps.")
    return "\n".join(lines[:3]) or f"onnxlint has no form of it that {ctx.device.name} runs."


_LINEAR = """
up (float[1,64,28,28] x) => (float[1,64,56,56] y)
<float[4] s = {1, 1, 2, 2}, float[64,64,1,1] w, float[64,64,1,1] v> {
  a = Conv(x, w)
  b = Resize<mode = "linear">(a, , s)
  y = Conv(b, v)
}
"""
_BY_FOUR = """
up (float[1,64,28,28] x) => (float[1,64,112,112] y)
<float[4] s = {1, 1, 4, 4}> {
  y = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">(x, , s)
}
"""
VALID = [Valid(_LINEAR, device="rk3588"), Valid(_LINEAR, device="x3"), Valid(_BY_FOUR, device="t4")]
INVALID = [Invalid(_LINEAR, device="hi3519", severity="error"), Invalid(_BY_FOUR, device="hi3519", severity="error")]
