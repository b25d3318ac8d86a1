"""If, Loop and Scan on devices that run no control flow.

## What it does
Finds control flow that the device does not run, or of which nobody published that it does. An If whose condition is
known when the model is read is decided there: what is left depends on data.

## Why it costs
An accelerator runs a list of commands that is fixed when the model is compiled. A branch or a loop hands over to the
host at each decision, and everything that stands in its body goes with it, convolutions included; many toolchains
refuse the model instead.

## How to fix
- A Loop with a constant number of trips is the same body that many times, each with its own iteration number: exact,
  offered and priced up to 64 trips of a small body. Exporting with the Python loop traced gives the same.
- An If: export the branch that the deployment takes (most choose between training and inference, or by a shape that
  is fixed there), or compute both and select by Where, which is exact as long as neither branch can fail.
- A Scan or a Loop over a sequence: the recurrent operator (LSTM, GRU) that it spells out, or a fixed length.
Silent on CPUs and on devices whose profile lists the operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.graph import Node
from onnxlint.partitions import cost_of_leaving, leaves
from onnxlint.patterns.unrolled import unrolled
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="OPS007", name="control-flow", severity="error")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each of the operators."""
    found: dict[tuple[str, str], list[Node]] = {}
    for node in ctx.graph.compute_nodes:
        status = ctx.support(node).status
        if node.is_control_flow and status != "supported":
            found.setdefault((node.op_type, status), []).append(node)
    for (name, known), nodes in found.items():
        whole = [(node, edits) for node in nodes if (edits := unrolled(ctx.graph, node))]
        where = f" in {len(whole)} of {len(nodes)} places" if len(whole) < len(nodes) else ""
        fixes = (Fix(f"unrolled{where}", "exact", tuple(e for _, edits in whole for e in edits)),) if whole else ()
        if known == "unsupported":
            message = leaves(ctx.analysis, name, len(nodes), nodes)
        else:
            message = f"whether {ctx.device.name} runs {name} is not public"
        yield Finding(
            message=message,
            suggestion=_advice(name, nodes, [node for node, _ in whole]),
            nodes=tuple(node.key for node in nodes),
            places=len(nodes),
            fixes=fixes,
            severity="error" if known == "unsupported" else "info",
            details=(*_bodies(nodes), *cost_of_leaving(ctx.analysis, nodes)),
        )


def _advice(name: str, nodes: list[Node], whole: list[Node]) -> str:
    if name == "If":
        return "Export the branch that the deployment takes, or compute both and select with Where."
    if whole:
        trips = sorted({node.trips for node in whole if node.trips is not None})
        return f"Unroll {'it' if len(nodes) == 1 else 'them'}: {', '.join(map(str, trips))} trips of constant number."
    known = [node.trips for node in nodes if node.trips is not None]
    if known:
        return f"{max(known)} trips are too many to unroll here: export the recurrent operator that it spells out."
    return "Fix the number of trips, or export the recurrent operator that it spells out."


def _bodies(nodes: list[Node]) -> Iterator[str]:
    """What goes with it."""
    inside: Counter[str] = Counter()
    for node in nodes:
        for body in node.bodies.values():
            inside.update(inner.op_type for inner in body.compute_nodes)
    if inside:
        names = ", ".join(f"{count}x {op}" for op, count in inside.most_common(4))
        more = f" and {len(inside) - 4} more operators" if len(inside) > 4 else ""
        yield f"inside: {names}{more}"


_LOOP = """
loop (float[1,8] x) => (float[1,8] y)
<int64 trips = {4}, bool go = {1}> {
  y = Loop (trips, go, x) <body = step (int64 i, bool c, float[1,8] s) => (bool d, float[1,8] t) {
    d = Identity(c)
    t = Relu(s)
  }>
}
"""
VALID = [Valid(_LOOP, device="cortex-a76"), Valid(_LOOP, device="t4")]
INVALID = [Invalid(_LOOP, device="rk3588", severity="error")]
