"""Squeeze-and-excite gates, by what they take on this device.

## What it does
Finds gates per channel: the mean of a map over its positions, two small layers, a sigmoid, a product with the map. It
prices the graph without them, all together and stage by stage. All gates of the model are one finding.

## Why it costs
In FLOPs a gate is nothing. But the mean needs the whole map before the first product can begin, so nothing around it
fuses: the map is written, read for the mean, and read again for the product, and four or five launches compute a
handful of numbers each. Where the pooling or the sigmoid is no operator of the device, each gate cuts the network
twice. MobileNetV3 (arXiv 1905.02244, tables 1 and 2) has gates in some stages only; EfficientNet-Lite drops them all,
since they "are not well supported for some mobile accelerators" (its README, tensorflow/tpu).

## How to fix
Train without the gates, stage by stage: drop those first that take most time, and keep the others, the late ones above
all, as long as the budget allows. The finding names the stages by their price. It needs retraining; what it does to the
accuracy is not known here.

## Where it is silent
On attention over positions, on gates without a layer between mean and sigmoid, and where they take less than is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from onnxlint.finding import Finding, Fix
from onnxlint.patterns.squeeze_excite import SqueezeExcite, squeeze_excites
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import EditError, saving

RULE = Rule(code="STR004", name="squeeze-excite", severity="warning")

_PRICED_STAGES = 4


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all gates."""
    gates = squeeze_excites(ctx.graph)
    if not gates or not ctx.total_s:
        return
    stages: dict[tuple[int, ...], list[SqueezeExcite]] = {}
    for gate in gates:
        stages.setdefault(gate.positions, []).append(gate)
    ranked = sorted(stages.values(), key=lambda stage: -_seconds(ctx, stage))
    try:
        gain = float(saving(ctx.analysis, _fix(gates, "all").edits).mean())
    except EditError:
        return
    latest = min(stages.values(), key=lambda stage: prod(stage[0].positions))
    nodes = [node for gate in gates for node in gate.nodes]
    macs = sum(work.macs for node in nodes if (work := ctx.analysis.costs.work(node)) is not None)
    whole = sum(cost.macs for cost in ctx.analysis.kernel_costs) or 1
    many = plural(len(gates), "squeeze-excite gate")
    fixes = [_fix(gates, f"drop all {many}" if len(gates) > 1 else "drop the gate")]
    if len(ranked) > 1:
        fixes += [_fix(stage, f"drop {_named(stage)}") for stage in ranked[:_PRICED_STAGES]]
    yield Finding(
        message=f"{many}: {_percent(100 * macs * ctx.analysis.target.batch_factor / whole)} % of the MACs, "
        f"and {100 * max(gain, 0) / ctx.total_s:.0f} % less time without {'them' if len(gates) > 1 else 'it'}",
        suggestion=f"{_advice(ranked, latest)}.\nIt needs retraining.",
        nodes=tuple(node.key for node in nodes),
        places=len(gates),
        fixes=tuple(fixes),
        details=tuple(f"{_named(stage)}: {_widths(stage)}" for stage in ranked),
    )


def _advice(ranked: Sequence[Sequence[SqueezeExcite]], latest: Sequence[SqueezeExcite]) -> str:
    """The dearest stages first, the latest kept unless it is one of them."""
    if len(ranked) == 1:
        return f"Drop {_named(ranked[0])}, if the accuracy bears it"
    kept = f"; keep {_named(latest)} as long as the budget allows" if latest not in ranked[:2] else ""
    return f"Drop the dearest first, {_named(ranked[0])}, then {_named(ranked[1])}{kept}"


def _seconds(ctx: Context, stage: Sequence[SqueezeExcite]) -> float:
    return ctx.seconds([node for gate in stage for node in gate.nodes])


def _fix(gates: Sequence[SqueezeExcite], title: str) -> Fix:
    return Fix(title, "lossy", tuple(edit for gate in gates for edit in gate.without))


def _named(stage: Sequence[SqueezeExcite]) -> str:
    at = "x".join(map(str, stage[0].positions))
    return f"the {len(stage)} at {at}" if len(stage) > 1 else f"the one at {at}"


def _widths(stage: Sequence[SqueezeExcite]) -> str:
    return ", ".join(dict.fromkeys(f"{gate.channels} channels through {gate.hidden}" for gate in stage))


def _percent(share: float) -> str:
    return f"{share:.1f}" if share < 9.5 else f"{share:.0f}"


_GATED = """gated (float[1,72,28,28] x) => (float[1,40,28,28] y)
<float[24,72,1,1] a, float[24] b, float[72,24,1,1] c, float[72] d, float[40,72,1,1] w> {
    p = GlobalAveragePool (x)
    q = Conv (p, a, b)
    r = Relu (q)
    s = Conv (r, c, d)
    g = HardSigmoid <alpha = 0.16666667, beta = 0.5> (s)
    m = Mul (x, g)
    y = Conv (m, w)
}"""

VALID = [
    # an activation, no gate
    Valid(
        """silu (float[1,72,28,28] x) => (float[1,40,28,28] y) <float[40,72,1,1] w> {
            s = Sigmoid (x)
            m = Mul (x, s)
            y = Conv (m, w)
        }"""
    ),
    # a gate from another map
    Valid(
        """other (float[1,72,28,28] x, float[1,72,14,14] z) => (float[1,72,28,28] y) <float[72,72,1,1] w> {
            p = GlobalAveragePool (z)
            q = Conv (p, w)
            s = Sigmoid (q)
            y = Mul (x, s)
        }"""
    ),
]
INVALID = [Invalid(_GATED, device="hi3519", severity="warning"), Invalid(_GATED, device="t4", severity="warning")]
