"""Activations that the device lacks, or runs as passes of their own.

## What it does
Finds activations (HardSwish, SiLU, GELU, Mish, HardSigmoid, …), as one operator or spelled out with Erf, Tanh, Sigmoid
or Clip, of which the device lacks any part; and, on NPUs and DSPs, spelled-out ones that it runs, but neither as one
operator nor within the convolution before them. Spellings are recognised by their values, in any order of operators.
What of an activation leaves the device is told here and not by OPS001.

## Why it costs
EfficientFormer (arXiv 2206.01191, observation 4) measures it: whether ReLU, HardSwish or GELU is cheap depends on the
hardware and its compiler, not on the formula. ReLU ends a convolution for free everywhere. An activation that the
device lacks cuts the network behind each convolution: MobileNetV3-Large has 21 HardSwish and 8 HardSigmoid.

## How to fix
Offered, priced, where the device runs the operators (and its toolchain reads an opset that has them) and none of it
costs more than now:
- exact: the spelled-out form as the one operator, or the one operator spelled out: HardSwish as Mul, Add, Clip and Mul,
  GELU with Erf, SiLU as Sigmoid and Mul;
- close: GELU by its tanh form, which is at most 5e-4 off;
- lossy, when retraining: HardSwish (within 0.15 of SiLU), ReLU, or HardSigmoid for a sigmoid gate.
It is an error where the activation leaves the device; else it is judged by what the best of these saves, and an info
where the profile's figures are assumed. Silent where the device has the activation, or runs it within the convolution
before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Edit, Finding, Fix
from onnxlint.gains import bearable, gaining
from onnxlint.graph import Node
from onnxlint.kernels import ANCHORS
from onnxlint.partitions import cost_of_leaving, leaves, severity_of_leaving
from onnxlint.patterns.activations import NAMES, Activation, OtherForm, activations, other_forms
from onnxlint.patterns.placement import cause
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import percent

RULE = Rule(code="OPS005", name="costly-activation", severity="warning")
_LEAST_SHARE = 0.005
_MAX_SHAPES = 32


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each kind of activation that leaves, one for each that runs as passes of its own."""
    leaving: dict[str, dict[str, Activation]] = {}
    slow: dict[str, dict[str, Activation]] = {}
    table = ctx.analysis.target.table
    for key, one in activations(ctx.graph).items():
        node = ctx.graph.node(key)
        why = cause(ctx.graph, table, node, ctx.support(node))
        if why == "activation":
            leaving.setdefault(one.kind, {})[one.output] = one
        elif not why and _is_slow(ctx, one):
            slow.setdefault(one.kind, {})[one.output] = one
    for kind, found in leaving.items():
        yield _leaving(ctx, kind, list(found.values()))
    for kind, found in slow.items():
        places = [one for output, one in found.items() if output not in leaving.get(kind, {})]
        nodes = [node for one in places for node in one.nodes]
        if ctx.share(nodes) < _LEAST_SHARE:
            continue
        # spelled another way it would run as the same number of passes
        fixes = tuple(fix for fix in _fixes(ctx, places) if fix.safety != "exact" or " as one " in fix.title)
        fixes = gaining(ctx.analysis, fixes)
        if fixes:
            yield _slow(ctx, kind, places, nodes, fixes)


def _is_slow(ctx: Context, one: Activation) -> bool:
    """Spelled out on an accelerator that has no such operator, outside the kernels of convolutions and products."""
    if one.spelled is None or ctx.device.kind not in ("npu", "dsp"):
        return False
    table, kernel_of = ctx.analysis.target.table, ctx.analysis.kernel_of
    names = [f"{op.domain}:{op.op_type}" if op.domain else op.op_type for op in one.spelled.operators]
    if any(table.named(name) == "supported" for name in names):
        return False
    hosted = ctx.analysis.placement.on_host
    if any(node.key in hosted or ctx.support(node).status != "supported" for node in one.nodes):
        return False
    return any(ctx.kernels[kernel_of[node.key]].main.op_type not in ANCHORS for node in one.nodes)


def _leaving(ctx: Context, kind: str, places: list[Activation]) -> Finding:
    broken = [node for one in places for node in one.nodes if ctx.support(node).status == "unsupported"]
    told = [node for one in places for node in one.nodes if _is_own(ctx, node)]
    fixes = bearable(ctx.analysis, _fixes(ctx, places))
    spelled = sum(one.spelled is not None for one in places)
    name = NAMES.get(kind, kind) + (" (spelled out)" if spelled == len(places) else "")
    return Finding(
        message=leaves(ctx.analysis, name, len(places), broken),
        suggestion=_advice(fixes) or f"No activation that costs less on {ctx.device.name} stands in for it.",
        nodes=tuple(node.key for node in told),
        places=len(places),
        fixes=fixes,
        severity=severity_of_leaving(ctx.analysis, told),
        details=(*cost_of_leaving(ctx.analysis, broken), *sorted({_limit(ctx, node) for node in broken} - {""})),
    )


def _is_own(ctx: Context, node: Node) -> bool:
    """The node runs, or leaves for being part of the activation: no other rule speaks of it."""
    support = ctx.support(node)
    return support.status == "supported" or cause(ctx.graph, ctx.analysis.target.table, node, support) == "activation"


def _limit(ctx: Context, node: Node) -> str:
    """The limit that the node breaks, if it is more than that its operator does not run."""
    support = ctx.support(node)
    return support.reason.partition("; here ")[0] if support.limits else ""


def _slow(ctx: Context, kind: str, places: list[Activation], nodes: list[Node], fixes: tuple[Fix, ...]) -> Finding:
    operators = "+".join(node.op_type for node in places[0].nodes)
    many = f"{len(places)} {NAMES.get(kind, kind)} run" if len(places) > 1 else f"{NAMES.get(kind, kind)} runs"
    return Finding(
        message=f"{many} as {operators} on {ctx.device.name}: {percent(ctx.share(nodes))} of the latency",
        suggestion=_advice(fixes),
        nodes=tuple(node.key for node in nodes),
        places=len(places),
        fixes=fixes,
        severity=None if ctx.device.attainable.trust in ("fitted", "calibrated") else "info",
    )


def _advice(fixes: tuple[Fix, ...]) -> str:
    """The titles, what keeps the outputs first."""
    lines = []
    for word, safeties in (("Exact", ("exact",)), ("Close", ("close",)), ("When retraining", ("lossy",))):
        titles = [fix.title for fix in fixes if fix.safety in safeties]
        if titles:
            lines.append(f"{word}: {'; '.join(titles)}.")
    return "\n".join(lines[:3])


def _fixes(ctx: Context, places: list[Activation]) -> Iterator[Fix]:
    """Each other form in all the places where the device runs it; of two forms of a kind the shorter."""
    shapes: dict[object, list[Activation]] = {}
    for one in places:
        shapes.setdefault(ctx.graph.type_of(one.output), []).append(one)
    edits: dict[tuple[str, tuple[str, ...]], list[Edit]] = {}
    forms: dict[tuple[str, tuple[str, ...]], tuple[OtherForm, int]] = {}
    for alike in list(shapes.values())[:_MAX_SHAPES]:
        taken: set[str] = set()
        for form in other_forms(ctx.graph, alike[0]):
            listed = all(":" not in op or op in ctx.device.operators.supported for op in form.operators)
            if form.kind in taken or not listed or not ctx.runs(form.edits):
                continue
            taken.add(form.kind)
            key = (form.kind, form.operators)
            _, before = forms.get(key, (form, 0))
            forms[key] = (form, before + len(alike))
            for one in alike:
                same = (other for other in other_forms(ctx.graph, one) if (other.kind, other.operators) == key)
                edits.setdefault(key, []).extend(edit for other in same for edit in other.edits)
    for key, (form, count) in forms.items():
        where = f" in {count} of {len(places)} places" if count < len(places) else ""
        yield Fix(_title(places[0].kind, form) + where, form.safety, tuple(edits[key]))


def _title(kind: str, form: OtherForm) -> str:
    names = list(dict.fromkeys(op.rpartition(":")[2] for op in form.operators))
    spelled = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    wanted = NAMES.get(form.kind, form.kind)
    if form.kind == kind:
        return f"{wanted} as {spelled if len(names) > 1 else f'one {names[0]}'}"
    return f"{NAMES.get(kind, kind)} as {wanted}" + (f" ({spelled})" if len(names) > 1 else "")


_SWISH = """
swish (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float[64,64,1,1] w, float[64,64,1,1] v> {
  a = Conv(x, w)
  b = HardSwish(a)
  y = Conv(b, v)
}
"""
_SILU = """
silu (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float[64,64,1,1] w, float[64,64,1,1] v> {
  a = Conv(x, w)
  s = Sigmoid(a)
  b = Mul(a, s)
  y = Conv(b, v)
}
"""
VALID = [
    Valid(_SWISH, device="t4"),
    Valid(_SWISH, device="rk3588"),
    Valid(_SILU, device="rk3588"),
    Valid(_SILU, device="x5"),
    Valid("relu (float[1,64,56,56] x) => (float[1,64,56,56] y) { y = Relu(x) }", device="hi3519"),
]
INVALID = [
    Invalid(_SWISH, device="hi3519", severity="error"),
    Invalid(_SILU, device="x3", severity="error"),
]
