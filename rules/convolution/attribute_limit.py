"""Kernels, strides, dilations, padding and groups beyond what the device has.

## What it does
Finds convolutions and pools that the device runs, but not with this window: a kernel, stride, dilation or padding
above its limit, too many channels in a group or weights in a filter, a global pool over too large a map. The limits
are the profile's (`onnxlint device NAME`).

## Why it costs
Hardware slides its windows with counters of a few bits: Horizon X3 has kernels up to 7x7 (AveragePool too), and
pools up to 8192 positions; RK3588 strides up to 7 and depthwise kernels up to 8; NNIE a limit on global pools. Beyond
them the layer runs on the host, and its whole input and output cross for it. A ViT's 16x16 patches, an Inception
head's 8x8 pool and a detector's 13x13 MaxPool are the usual ones.

## How to fix
The nearest form within the limit is built and priced, and offered if the device runs it. Exact, no retraining:
- a kernel as large as its stride: SpaceToDepth until it fits (16x16 becomes 4x4 on 48 channels), weights reordered;
- any kernel: tiles of it, each over its part of the input, and their sum;
- a stride in two steps, a dilated kernel filled with zeros, padding by a Pad, input channels in parts;
- MaxPool 13x13 as pools of 7x7 and 7x7 behind each other; AveragePool over its whole input as GlobalAveragePool,
  without overlap as two pools; a global pool behind a small one.
Lossy: smaller kernels behind each other that see as far (9x9: two of 5x5). Where none runs, patches can still be cut
in preprocessing. Silent where the operator does not run at all (OPS001).
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.graph import Graph, Node
from onnxlint.partitions import cost_of_leaving, leaves
from onnxlint.patterns.conv_windows import legal_convolutions
from onnxlint.patterns.placement import cause
from onnxlint.patterns.pool_windows import legal_pools
from onnxlint.patterns.windows import LegalForm, bounds, window_of
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="CNV007", name="attribute-limit", severity="error")
_MAX_SHOWN = 4
_MAX_ALIKE = 32
_PREPROCESSING = frozenset({"Cast", "Sub", "Add", "Mul", "Div", "QuantizeLinear", "DequantizeLinear", "Identity"})
_MAX_PREPROCESSING = 8


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each operator with windows beyond the limits."""
    beyond: dict[str, list[Node]] = {}
    table = ctx.analysis.target.table
    for node in ctx.graph.compute_nodes:
        if cause(ctx.graph, table, node, ctx.support(node)) == "window":
            depthwise = " depthwise" if node.op_type == "Conv" and node.attr("group", 1) > 1 else ""
            beyond.setdefault(f"{depthwise.strip()} {node.op_type}".strip(), []).append(node)
    for what, nodes in beyond.items():
        forms = list(_forms(ctx, nodes))
        fixes = tuple(fix for fix, _ in forms)
        told = {ctx.support(node).reason for node in nodes}
        yield Finding(
            message=leaves(ctx.analysis, f"{what} beyond its limits", len(nodes), nodes),
            suggestion=_advice(ctx, nodes[0], forms),
            nodes=tuple(node.key for node in nodes),
            places=len(nodes),
            fixes=fixes,
            details=(*sorted(told)[:_MAX_SHOWN], *cost_of_leaving(ctx.analysis, nodes)),
        )


def _forms(ctx: Context, nodes: list[Node]) -> Iterator[tuple[Fix, str]]:
    """Each legal form in all the places that it fits and that the device runs, with its numbers in the first."""
    alike: dict[tuple[object, ...], list[Node]] = {}
    for node in nodes:
        types = tuple(ctx.graph.type_of(name) for name in (*node.inputs, *node.outputs) if name)
        given = tuple((name, str(node.attr(name))) for name in sorted(node.attributes))
        alike.setdefault((*types, *given), []).append(node)
    found: dict[str, list[LegalForm]] = {}
    for same in list(alike.values())[:_MAX_ALIKE]:
        runs = {form.title for form in _legal(ctx, same[0]) if ctx.runs(form.edits)}
        for node in same:
            for form in _legal(ctx, node):
                if form.title in runs:
                    found.setdefault(form.title, []).append(form)
    for title, forms in found.items():
        where = f" in {len(forms)} of {len(nodes)} places" if len(forms) < len(nodes) else ""
        edits = tuple(edit for form in forms for edit in form.edits)
        yield Fix(title + where, forms[0].safety, edits), forms[0].told


def _legal(ctx: Context, node: Node) -> Iterator[LegalForm]:
    """The node's forms within the device's limits, the exact ones first; none for an odd node."""
    window = window_of(ctx.graph, node)
    if window is None:
        return
    weight = ctx.graph.type_of(node.inputs[1]).shape if len(node.inputs) > 1 else None
    depthwise = node.attr("group", 1) > 1 and weight is not None and len(weight) > 1 and weight[1] == 1
    conditions = [limit for limit in ctx.device.operators.conditional if limit.op == node.op_type]
    most = bounds(conditions, depthwise=depthwise)
    yield from legal_convolutions(window, most) if node.op_type == "Conv" else legal_pools(window, most)


def _advice(ctx: Context, node: Node, forms: list[tuple[Fix, str]]) -> str:
    lines = [f"{'Exact' if fix.safety == 'exact' else 'When retraining'}: {told}." for fix, told in forms]
    kernel, strides = node.attr("kernel_shape"), node.attr("strides")
    is_patches = node.op_type == "Conv" and bool(kernel) and bool(strides) and list(kernel) == list(strides)
    if is_patches and _is_image(ctx.graph, node.inputs[0]):
        lines.append("Cut the patches in preprocessing, each into the channels, and convolve them 1x1 (exact).")
    return "\n".join(lines[:3]) or f"No window of {ctx.device.name} does the same; choose one within the limit."


def _is_image(graph: Graph, value: str) -> bool:
    """An input of the graph, as it is or normalised: preprocessing can still rearrange it."""
    for _ in range(_MAX_PREPROCESSING):
        node = graph.producer(value)
        if node is None:
            return value in graph.inputs
        if node.op_type not in _PREPROCESSING or not all(map(graph.is_constant, node.inputs[1:])):
            return False
        value = node.inputs[0]
    return False


_PATCHES = """
patches (float[1,3,224,224] x) => (float[1,192,14,14] y)
<float[192,3,16,16] w> {
  y = Conv<kernel_shape = [16, 16], strides = [16, 16]>(x, w)
}
"""
_WIDE = """
wide (float[1,32,56,56] x) => (float[1,32,56,56] y)
<float[32,32,9,9] w> {
  y = Conv<kernel_shape = [9, 9], pads = [4, 4, 4, 4]>(x, w)
}
"""
VALID = [Valid(_PATCHES, device="t4"), Valid(_WIDE, device="t4")]
INVALID = [
    Invalid(_PATCHES, device="x3", severity="error"),
    Invalid(_WIDE, device="x3", severity="error"),
    Invalid(
        "pool (float[1,96,8,8] x) => (float[1,96,1,1] y) { y = AveragePool<kernel_shape = [8, 8]>(x) }", device="x3"
    ),
]
