"""Kernels, strides, dilations, padding and groups beyond what the device has.

## What it does
Finds convolutions and pools that the device runs, but not with this window: a kernel, stride, dilation or padding
above its limit, too many channels in a group or weights in a filter, a global pool over too large a map. The limits
are the profile's (`onnxlint device NAME`).

## Why it costs
Hardware slides its windows with counters of a few bits: Horizon X3 has kernels up to 7x7 (AveragePool too), and
pools up to 8192 positions; RK3588 strides up to 7 and depthwise kernels up to 8; NNIE a limit on global pools. Beyond
them the layer runs on the host, and its whole input and output cross for it. An Inception head's 8x8 pool, a
detector's 13x13 MaxPool and attention over 9x9 neighbours are the usual ones.

## How to fix
The nearest form within the limit is built and priced, and offered if the device runs it. Exact, no retraining:
- a kernel as large as its stride: SpaceToDepth until it fits (8x8 becomes 4x4 on 4 times the channels);
- any kernel: tiles of it, each over its part of the input, and their sum (over a row, as over a map of height 1);
- a dilated kernel over a row: the row cut in lines as long as the dilation, and a kernel along the columns;
- ConvTranspose of any stride: a plain convolution for each place between two inputs, side by side in a Concat;
- a stride in two steps, a dilated kernel filled with zeros, padding by a Pad, input channels in parts;
- MaxPool 13x13 as pools of 7x7 and 7x7 behind each other; AveragePool over its whole input as GlobalAveragePool,
  without overlap as two pools; a global pool behind a small one.
Lossy: smaller kernels behind each other that see as far (9x9: two of 5x5). What would cost more than now is left out.
Silent where the operator does not run at all (OPS001), and on patch embeddings, of which TRF001 tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding
from onnxlint.gains import bearable
from onnxlint.graph import Node
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.legal_forms import legal_forms, told
from onnxlint.patterns.patch_embedding import patch_embeddings
from onnxlint.patterns.placement import cause
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="CNV007", name="attribute-limit", severity="error")
_MAX_SHOWN = 4


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each operator with windows beyond the limits."""
    beyond: dict[str, list[Node]] = {}
    table, limits = ctx.analysis.target.table, ctx.device.operators.conditional
    patches = {one.conv.node.key for one in patch_embeddings(ctx.graph)}
    for node in ctx.graph.compute_nodes:
        if node.key not in patches and cause(ctx.graph, table, node, ctx.support(node)) == "window":
            beyond.setdefault(f"{_kind(ctx, node)} {node.op_type}".strip(), []).append(node)
    for what, nodes in beyond.items():
        forms = list(legal_forms(ctx.graph, limits, nodes, ctx.runs))
        forms = [(fix, words) for fix, words in forms if bearable(ctx.analysis, [fix])]
        none = f"onnxlint has no form of it that {ctx.device.name} runs for less; choose one within the limit."
        reasons = {ctx.support(node).reason for node in nodes}
        yield Finding(
            message=leaves(ctx.analysis, f"{what} beyond its limits", len(nodes), nodes),
            suggestion=told(ctx.graph, nodes[0], forms) or none,
            nodes=tuple(node.key for node in nodes),
            places=len(nodes),
            fixes=tuple(fix for fix, _ in forms),
            severity=severity_of_leaving(ctx.analysis, nodes),
            details=(*sorted(reasons)[:_MAX_SHOWN], *cost_of_leaving(ctx.analysis, nodes)),
        )


def _kind(ctx: Context, node: Node) -> str:
    if node.op_type != "Conv" or node.attr("group", 1) == 1:
        return ""
    weight = ctx.graph.type_of(node.inputs[1]).shape
    return "depthwise" if weight is None or weight[1] == 1 else "grouped"


_PATCHES = """
patches (float[1,32,112,112] x) => (float[1,192,14,14] y)
<float[192,32,8,8] w> {
  y = Conv<kernel_shape = [8, 8], strides = [8, 8]>(x, w)
}
"""
_WIDE = """
wide (float[1,32,56,56] x) => (float[1,32,56,56] y)
<float[32,32,9,9] w> {
  y = Conv<kernel_shape = [9, 9], pads = [4, 4, 4, 4]>(x, w)
}
"""
VALID = [
    Valid(_PATCHES, device="t4"),
    Valid(_WIDE, device="t4"),
    # a patch embedding: TRF001
    Valid(
        "vit (float[1,3,224,224] x) => (float[1,192,14,14] y) <float[192,3,16,16] w> {"
        " y = Conv<kernel_shape = [16, 16], strides = [16, 16]>(x, w) }",
        device="x3",
    ),
]
INVALID = [
    Invalid(_PATCHES, device="x3", severity="error"),
    Invalid(_WIDE, device="x3", severity="error"),
    Invalid(
        "pool (float[1,96,8,8] x) => (float[1,96,1,1] y) { y = AveragePool<kernel_shape = [8, 8]>(x) }", device="x3"
    ),
]
