"""What makes a lint fail: severities, an incomplete analysis, a budget that is broken (BUD001–BUD004)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

from onnxlint.analysis import Analysis
from onnxlint.budgets import Budgets
from onnxlint.finding import SEVERITIES, Severity
from onnxlint.memory import activation_peak
from onnxlint.report import Layer, ReportedFinding, Totals
from onnxlint.rule import LoadedRule, Rule
from onnxlint.settings import Settings
from onnxlint.units import count, percent, seconds, seconds_range, size

_TO_BLAME = 3
_Share = tuple[str, str, float]
"""A layer's node, its name as shown, and its part of what the budget counts."""


def exit_code(severities: Sequence[Severity], incomplete: Sequence[str], broken: int, settings: Settings) -> int:
    """1 for a broken budget, an incomplete analysis, or a finding at or above `--fail-on`."""
    if incomplete or broken:
        return 1
    if settings.fail_on == "never":
        return 0
    return 1 if any(severity in SEVERITIES[: SEVERITIES.index(settings.fail_on) + 1] for severity in severities) else 0


def budget_findings(
    totals: Totals, layers: Sequence[Layer], analysis: Analysis, budgets: Budgets
) -> Iterator[ReportedFinding]:
    """One error for each budget that is broken, with the three layers to blame."""
    if budgets.latency_s is not None and totals.latency_s > budgets.latency_s:
        spread = f" ({seconds_range(totals.latency_low_s, totals.latency_high_s, totals.latency_s)})"
        shares = _shares(layers, lambda layer: layer.latency_s)
        yield _broken(BUDGET_RULES[0], seconds, totals.latency_s, budgets.latency_s, shares, layers, spread)
    if budgets.params is not None and totals.params > budgets.params:
        shares = _shares(layers, lambda layer: layer.params)
        yield _broken(BUDGET_RULES[1], count, totals.params, budgets.params, shares, layers)
    if budgets.macs is not None and totals.macs > budgets.macs:
        shares = _shares(layers, lambda layer: layer.macs)
        yield _broken(BUDGET_RULES[2], count, totals.macs, budgets.macs, shares, layers)
    memory = totals.weight_bytes + totals.peak_activation_bytes
    if budgets.memory_bytes is not None and memory > budgets.memory_bytes:
        made_of = (
            f": {size(totals.weight_bytes)} of weights, {size(totals.peak_activation_bytes)} of activations at once"
        )
        shares = _memory_shares(analysis)
        yield _broken(BUDGET_RULES[3], size, memory, budgets.memory_bytes, shares, layers, made_of)


def _shares(layers: Sequence[Layer], amount: Callable[[Layer], float]) -> list[_Share]:
    most = sorted((layer for layer in layers if amount(layer)), key=amount, reverse=True)[:_TO_BLAME]
    return [(layer.node, layer.name or layer.node, amount(layer)) for layer in most]


def _memory_shares(analysis: Analysis) -> list[_Share]:
    """The largest of the weights and of the values that are alive at the peak, with the nodes that hold them."""
    held = [(key, "weights of", float(params.stored_bytes)) for key, params in analysis.costs.params.items()]
    for name, taken in activation_peak(analysis).alive:
        writer = analysis.graph.producer(name)
        if writer is not None:
            held.append((writer.key, "activations of", float(taken)))
    held.sort(key=lambda entry: -entry[2])
    return [(key, f"{what} {analysis.graph.node(key).name or key}", taken) for key, what, taken in held[:_TO_BLAME]]


def _broken(
    rule: LoadedRule,
    show: Callable[[float], str],
    total: float,
    budget: float,
    shares: Sequence[_Share],
    layers: Sequence[Layer],
    more: str = "",
) -> ReportedFinding:
    what = rule.name.removesuffix("-budget").replace("macs", "MACCs").replace("parameter", "parameters")
    blamed = {node for node, _, _ in shares}
    together = sum(amount for _, _, amount in shares) / total
    return ReportedFinding(
        rule=rule.code,
        name=rule.name,
        severity="error",
        message=f"{what}: {show(total)}{more}; the budget is {show(budget)}, exceeded by {percent(total / budget - 1)}",
        suggestion=f"{show(total - budget)} must go; these three layers hold {percent(together)} of the whole."
        if len(shares) == _TO_BLAME
        else f"{show(total - budget)} must go.",
        node=shares[0][0] if shares else "",
        nodes=tuple(dict.fromkeys(node for node, _, _ in shares)),
        places=1,
        hidden=False,
        latency_s=sum(layer.latency_s for layer in layers if layer.node in blamed),
        saving_s=None,
        saving_low_s=None,
        saving_high_s=None,
        saving_cumulative_s=None,
        fix=None,
        details=tuple(f"{name}: {show(amount)}, {percent(amount / total)}" for _, name, amount in shares),
        fingerprint=hashlib.sha256(rule.code.encode()).hexdigest()[:16],
    )


_HOW = """
## What it does
Compares {what} with `{option}`{how}. There is no budget unless one is given.

## Why it costs
{why}

## How to fix
The finding names the three layers that hold most of it; the other findings say what they can do without.
`{example}` makes the exit code 1 whenever the budget is broken, whatever `--fail-on` says.
"""


def _rule(number: int, slug: str, title: str, **words: str) -> LoadedRule:
    page = ModuleType(f"{__name__}.{slug.replace('-', '_')}", f"{title}\n{_HOW.format(**words)}")
    return LoadedRule(Rule(f"BUD{number:03}", slug, "error"), "budget", page)


BUDGET_RULES = (
    _rule(
        1,
        "latency-budget",
        "The predicted latency is over its budget.",
        what="the middle of the predicted latency of the whole batch",
        option="--max-latency",
        how=" (a number with `s`, `ms` or `us`)",
        why="A camera at 30 frames a second has 33 ms for everything. The range of the prediction is printed beside\n"
        "its middle: where the budget lies within it, measure.",
        example="--max-latency 10ms",
    ),
    _rule(
        2,
        "parameter-budget",
        "The model has more parameters than its budget.",
        what="the number of parameters (each shared tensor once)",
        option="--max-params",
        how=" (a number, or one with `k`, `M`, `G`)",
        why="Parameters are flash, download and, on most NPUs, memory traffic: each is read once a pass.",
        example="--max-params 5M",
    ),
    _rule(
        3,
        "macs-budget",
        "The model takes more multiply-accumulates than its budget.",
        what="the multiply-accumulates (MACCs) of one pass of the whole batch",
        option="--max-macs",
        how=" (a number, or one with `k`, `M`, `G`, `T`)",
        why="MACCs are no latency, but they are energy, and they are the same on every device.",
        example="--max-macs 1G",
    ),
    _rule(
        4,
        "memory-budget",
        "The model needs more memory than its budget.",
        what="the stored weights plus the activations that are alive at once at the peak",
        option="--max-memory",
        how=" (a number with `kB`, `MB`, `GB`, or `KiB`, `MiB`, `GiB`)",
        why="Both must be there at the same time, beside what the runtime itself takes, or the model does not load.",
        example="--max-memory 64MiB",
    ),
)
"""The budgets as rules, for their pages."""
