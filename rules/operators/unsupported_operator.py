"""Operators that the device does not run: each cuts the network and sends a part of it to the host.

## What it does
Groups the nodes that leave the accelerator by operator, and counts in how many of the host's partitions they take part.
What another rule explains is not repeated here: channel shuffles (OPS002), too many dims (OPS003), activations
(OPS005), wide types (OPS006), control flow (OPS007), resizing (OPS008), weights of the run time (OPS010), windows
beyond a limit (CNV007), changes between maps and tokens (TRF002), norms in networks of images (TRF003), what does
nothing (GRF004). An operator of which nobody published whether it runs is listed once, as its own class: not an error,
not a promise.

## Why it costs
A node that the device lacks runs on its host, often a hundred times slower, and everything that crosses pays a
transfer, a cache flush, often a requantization, and a new call. The profile's operator list says what runs and who
says so (`onnxlint device NAME`). The time shown is that of the kernels at fault with their transfers; beside it
stands what the partitions cost that they take part in, and how much of that is for the tensors that cross.

## How to fix
Where a rewrite in operators that the device has is known, it is offered and priced, all of them exact: a mean over
height and width as GlobalAveragePool; Div by a constant as Mul; one class token's Gather as a Slice; MatMul by a
constant as Gemm, of two computed values head by head; a sum over the last axes as a pool times their count, or a
stack's as Add; Expand left to what broadcasts by itself, or as Tile a product with ones; Sub as Add of the negative;
Split as Slices, a Slice as one along the channels; ReduceL2 and LayerNormalization spelled out; Softmax along another
axis; packed heads split on another axis; a Transpose that moves dims of one as a view, others by the one order that
the device takes, or a short axis in slices; padding by the border as its lines; Focus slices merged with the first
convolution. It is offered only if the device runs what it introduces, and for no more than now; else the
finding says that there is none to offer, or, where the device has nothing to do behind the node, to leave it to
post-processing. It is an error where the operator alone cuts the network, or takes 0.5 % of
the latency or more, else an info; the small ones together are one finding.
Silent on devices that run everything, and on nodes that follow a cut only because the device takes one partition.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Severity
from onnxlint.gains import NOTHING_YET, bearable, saves_nothing
from onnxlint.graph import Node
from onnxlint.no_ops import Known, passed_on
from onnxlint.partitions import LEAST_SHARE, cost_of_leaving, ends_the_network, leaves
from onnxlint.patterns.explained import explained_elsewhere
from onnxlint.patterns.focus import focus
from onnxlint.patterns.placement import cause
from onnxlint.patterns.replacements import replacements
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent

RULE = Rule(code="OPS001", name="unsupported-operator", severity="error")
_MAX_NAMES = 4
_MAX_BROKEN = 2


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each operator that leaves the device, one for the small ones, one for the unknown ones."""
    table = ctx.analysis.target.table
    explained: set[str] | None = None
    known = Known(ctx.graph, is_static=True)
    leaving: dict[str, list[Node]] = {}
    causes: dict[int, set[str]] = {}
    unknown: list[Node] = []
    for node in ctx.graph.compute_nodes:
        support = ctx.support(node)
        if support.status == "unknown" and not node.is_control_flow:
            unknown.append(node)
        why = cause(ctx.graph, table, node, support)
        if not why:
            continue
        if explained is None:
            explained = explained_elsewhere(ctx.graph, table)
        is_own = why == "operator" and node.key not in explained and passed_on(known, node) is None
        group = node.qualified_op if is_own else ""
        if is_own:
            leaving.setdefault(group, []).append(node)
        causes.setdefault(ctx.analysis.placement.level[node.key], set()).add(group)
    alone = {next(iter(groups)) for groups in causes.values() if len(groups) == 1}
    small = [
        group
        for group, nodes in leaving.items()
        if ctx.device.host and group not in alone and ctx.share(nodes) < LEAST_SHARE
    ]
    for group, nodes in leaving.items():
        if group not in small or len(small) == 1:
            yield _leaves(ctx, group, nodes, "info" if group in small else "error")
    if len(small) > 1:
        yield _small(ctx, [node for group in small for node in leaving[group]])
    if unknown:
        yield _unknown(ctx, unknown)


def _leaves(ctx: Context, group: str, nodes: list[Node], severity: Severity) -> Finding:
    reasons = Counter(ctx.support(node).reason for node in nodes)
    forms = tuple(replacements(ctx.graph, nodes, ctx.runs, ctx.device.operators.max_rank))
    fixes = bearable(ctx.analysis, forms)
    if fixes and saves_nothing(ctx.analysis, fixes):
        beside = NOTHING_YET
    elif forms and not fixes:
        beside = "Its other forms cost more here, beside the operators that leave with it: mend those first."
    else:
        beside = ""
    told = ". ".join(filter(None, ("; ".join(fix.title for fix in fixes), beside)))
    return Finding(
        message=leaves(ctx.analysis, group, len(nodes), nodes),
        suggestion=told or _advice(ctx, nodes),
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        fixes=fixes,
        severity=severity,
        details=(*cost_of_leaving(ctx.analysis, nodes), *_told(ctx.device.name, reasons)),
    )


def _told(device: str, reasons: Counter[str]) -> Iterator[str]:
    """Each limit once, with what breaks it; that the operator does not run at all is in the message."""
    broken: dict[str, list[str]] = {}
    count: Counter[str] = Counter()
    for reason, many in reasons.most_common():
        limit, _, here = reason.partition("; here ")
        if here or not reason.endswith(f"does not run on {device}"):
            broken.setdefault(limit, []).append(here)
            count[limit] += many
    for limit, told in broken.items():
        more = f" and {len(told) - _MAX_BROKEN} more" if len(told) > _MAX_BROKEN else ""
        here = f"; here {', '.join(told[:_MAX_BROKEN])}{more}" if told[0] else ""
        yield f"{f'{count[limit]}x ' if count[limit] > 1 else ''}{limit}{here}"


def _advice(ctx: Context, nodes: list[Node]) -> str:
    """What to do where no edit of the graph mends it."""
    node = nodes[0]
    if node.op_type == "Slice" and (sliced := focus(ctx.graph)) is not None and node in sliced.slices:
        return "Do the slicing in preprocessing (exact)."
    if ends_the_network(ctx.analysis, nodes):
        return "Nothing behind it needs the device: export the network up to it, and compute the rest after each run."
    # what the profile has to say of this very operator
    note = next((note for note in ctx.device.notes if re.search(rf"\b{re.escape(node.op_type)}\b", note)), "")
    return f"onnxlint has no form of it that {ctx.device.name} runs.{' ' if note else ''}{' '.join(note.split())}"


def _small(ctx: Context, nodes: list[Node]) -> Finding:
    operators = Counter(node.qualified_op for node in nodes)
    many = f"{len(nodes)} small operators ({_listed(operators)})"
    return Finding(
        message=f"{many} leave {ctx.device.name}",
        suggestion=f"Each takes below {percent(LEAST_SHARE)} of the latency beside others that leave: those first.",
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        severity="info",
        details=tuple(f"{count}x {name}" for name, count in operators.most_common()),
    )


def _unknown(ctx: Context, nodes: list[Node]) -> Finding:
    operators, name = Counter(node.qualified_op for node in nodes), ctx.device.name
    hosted = sum(node.key in ctx.analysis.placement.on_host for node in nodes)
    many, verb = (f"{len(nodes)} nodes", "are") if len(nodes) > 1 else ("one node", "is")
    if hosted == len(nodes):
        priced = f"{many} {verb} priced on the host, beside what leaves {name}"
    elif hosted:
        priced = f"{hosted} of {many} are priced on the host, the others as if they ran there"
    else:
        priced = f"{many} {verb} priced as if {'they' if len(nodes) > 1 else 'it'} ran there"
    return Finding(
        message=f"whether {name} runs {_listed(operators)} is not public",
        suggestion=f"{priced}:\ntry {'them' if len(nodes) > 1 else 'it'} in the vendor's toolchain first.",
        nodes=tuple(node.key for node in nodes),
        places=len(nodes),
        severity="info",
        details=tuple(f"{count}x {op}" for op, count in operators.most_common()) if len(operators) > 1 else (),
    )


def _listed(operators: Counter[str]) -> str:
    names = ", ".join(name for name, _ in operators.most_common(_MAX_NAMES))
    return f"{names} and {len(operators) - _MAX_NAMES} more" if len(operators) > _MAX_NAMES else names


_NORM = """
norm (float[1,64,28,28] x) => (float[1,32,28,28] y)
<float[64,64,1,1] w, float[32,64,1,1] v, float[64] scale, float[64] shift> {
  a = Conv(x, w)
  b = InstanceNormalization(a, scale, shift)
  y = Conv(b, v)
}
"""
VALID = [
    Valid("net (float[1,64,56,56] x) => (float[1,64,56,56] y) { y = Relu(x) }", device="hi3519"),
    Valid(_NORM, device="t4"),
]
INVALID = [
    Invalid(_NORM, device="hi3519", severity="error"),
    Invalid("net (float[1,64,56,56] x) => (float[1,64,56,56] y) { y = Softmax(x) }", device="cv22", severity="info"),
]
