"""Operators that the device does not run: each cuts the network and sends a part of it to the host.

## What it does
Groups the nodes that leave the accelerator by operator, and counts in how many of the host's partitions they take
part. What a channel shuffle (OPS002) or too many dims (OPS003) already explain is not repeated here. An operator of
which nobody published whether it runs is listed once, as its own class: not an error, not a promise.

## Why it costs
A node that the device lacks runs on its host, often a hundred times slower, and everything that crosses pays a
transfer, a cache flush, often a requantization, and a new call. The profile's operator list says what runs and who
says so (`onnxlint device NAME`). The time shown is that of the kernels at fault with their transfers.

## How to fix
Where a rewrite in operators that the device has is known, it is offered and priced: exact ones (HardSwish as Mul, Add
and Clip; a mean over height and width as GlobalAveragePool; Div by a constant as Mul; one class token's Gather as a
Slice), and lossy ones that need retraining (GELU, SiLU or HardSwish as Relu). It is offered only if the device runs
what it introduces. For the rest there is no price: replace the operator in the architecture, or move it behind the
network's end, so that one crossing is left.
Silent on devices that run everything, and on nodes that follow a cut only because the device takes one partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.graph import Node
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.placement import exceeds_rank
from onnxlint.patterns.rewrites import Rewrite, rewrites
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="OPS001", name="unsupported-operator", severity="error")
_MAX_NAMES = 4


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each operator that leaves the device, one for all of which nothing is known."""
    table, shuffled = ctx.analysis.target.table, None
    leaving: dict[str, list[Node]] = {}
    unknown: list[Node] = []
    for node in ctx.graph.compute_nodes:
        status = ctx.support(node).status
        if status == "unknown":
            unknown.append(node)
        elif status == "unsupported" and not exceeds_rank(ctx.graph, table, node):
            if shuffled is None:
                shuffled = {member.key for found in channel_shuffles(ctx.graph) for member in found.nodes}
            if node.key not in shuffled:
                leaving.setdefault(node.qualified_op, []).append(node)
    for operator, nodes in leaving.items():
        yield _leaves(ctx, operator, nodes)
    if unknown:
        yield _unknown(ctx, unknown)


def _leaves(ctx: Context, operator: str, nodes: list[Node]) -> Finding:
    placement, name = ctx.analysis.placement, ctx.device.name
    many = f"{len(nodes)} {operator}" if len(nodes) > 1 else operator
    if ctx.device.host:
        cut = len({placement.level[node.key] for node in nodes})
        leave = "leave" if len(nodes) > 1 else "leaves"
        message = f"{many} {leave} {name}: in {cut} of {placement.host_partitions} partitions on the {ctx.device.host}"
    else:
        message = f"{many} can't run on {name}, and it has no host to run it"
    reasons = Counter(ctx.support(node).reason for node in nodes)
    fixes = tuple(_fixes(ctx, nodes))
    why = next(iter(reasons))
    advice = "; ".join(fix.title for fix in fixes) or "use an operator that it has, or move it to the network's end"
    return Finding(
        message=message,
        suggestion=f"{why}.\n{advice}",
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        fixes=fixes,
        details=tuple(f"{count}x {reason}" for reason, count in reasons.most_common()),
    )


def _fixes(ctx: Context, nodes: list[Node]) -> Iterator[Fix]:
    """Each rewrite in all the places that it fits, if the device runs it."""
    found: dict[str, list[Rewrite]] = {}
    for node in nodes:
        for rewrite in rewrites(ctx.graph, node):
            found.setdefault(rewrite.title, []).append(rewrite)
    for title, places in found.items():
        edits = tuple(edit for rewrite in places for edit in rewrite.edits)
        if ctx.runs(edits):
            where = f" in {len(places)} of {len(nodes)} places" if len(places) < len(nodes) else ""
            yield Fix(title + where, places[0].safety, edits)


def _unknown(ctx: Context, nodes: list[Node]) -> Finding:
    operators = Counter(node.qualified_op for node in nodes)
    names = ", ".join(name for name, _ in operators.most_common(_MAX_NAMES))
    more = f" and {len(operators) - _MAX_NAMES} more" if len(operators) > _MAX_NAMES else ""
    return Finding(
        message=f"whether {ctx.device.name} runs {names}{more} is not public",
        suggestion=f"{len(nodes)} nodes are priced as if they ran there: try them in the vendor's toolchain first.",
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        severity="info",
        details=tuple(f"{count}x {name}" for name, count in operators.most_common()),
    )


_SWISH = """
swish (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float[64,64,1,1] w, float[64,64,1,1] v> {
  a = Conv(x, w)
  b = HardSwish(a)
  y = Conv(b, v)
}
"""
VALID = [
    Valid("net (float[1,64,56,56] x) => (float[1,64,56,56] y) { y = Relu(x) }", device="hi3519"),
    Valid(_SWISH, device="t4"),
]
INVALID = [
    Invalid(_SWISH, device="hi3519", severity="error"),
    Invalid("net (float[1,64,56,56] x) => (float[1,64,56,56] y) { y = Softmax(x) }", device="cv22", severity="info"),
]
