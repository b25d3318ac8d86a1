"""The pure centre: a graph, a device and rules become a Report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx

from onnxlint import __version__, describe
from onnxlint.analysis import Analysis
from onnxlint.binding import bind
from onnxlint.describe import ReadModel
from onnxlint.device import Device
from onnxlint.finding import SEVERITIES
from onnxlint.gate import budget_findings, exit_code
from onnxlint.graph_builder import build_graph
from onnxlint.load import LoadedModel
from onnxlint.pricing import priced_findings
from onnxlint.report import ModelInfo, Report, Summary, Tool
from onnxlint.resolved import opsets
from onnxlint.rule import Context, LoadedRule
from onnxlint.scope import read_graph
from onnxlint.settings import Settings
from onnxlint.shapes import infer
from onnxlint.target import target_for
from onnxlint.unused import find_unused
from onnxlint.weights import WeightValues, weight_values

TOOL = Tool("onnxlint", __version__)


def read_model(
    proto: onnx.ModelProto,
    settings: Settings,
    path: str = "",
    notes: Sequence[str] = (),
    problems: Sequence[str] = (),
    source: LoadedModel | None = None,
) -> ReadModel:
    """Resolve names, bind dims, infer shapes; `problems` of reading are handed on; raises LoadError, BindingError.

    `source` is the file whose large tensors were left out of `proto`: their values are read from there if need be.
    """
    definition = read_graph(proto)
    bound = bind(definition, settings.bindings)
    shapes = infer(proto, definition, bound, settings.limits)
    graph = build_graph(definition, shapes)
    incomplete = [*problems, *definition.problems, *shapes.incomplete]
    if graph.unresolved:
        incomplete.append(f"the shapes of {len(graph.unresolved)} values are unknown: what needs them is not priced")
    if graph.uncounted_loops:
        loops = len(graph.uncounted_loops)
        incomplete.append(f"how often {loops} {'loop runs' if loops == 1 else 'loops run'} is data: counted as once")
    imports, unused = opsets(proto.opset_import), find_unused(proto)
    weights = weight_values(definition, graph, settings.weights, source)
    return ReadModel(path, proto.ir_version, imports, graph, bound, tuple(notes), tuple(incomplete), unused, weights)


def lint_graph(
    model: ReadModel,
    device: Device,
    rules: Sequence[LoadedRule],
    settings: Settings,
    *,
    bytes_alone: bool = False,
) -> Report:
    """Lint a read model on a device; raises DeviceError for a precision that the device lacks.

    `bytes_alone` asks for what each node would move by itself, beside its kernel's bytes.
    """
    target = target_for(device, settings.precision, model.bound.batch_factor)
    return report_on(model, Analysis(model.graph, target), rules, settings, bytes_alone=bytes_alone)


def report_on(
    model: ReadModel,
    analysis: Analysis,
    rules: Sequence[LoadedRule],
    settings: Settings,
    *,
    bytes_alone: bool = False,
) -> Report:
    """The report on a model that is analysed already."""
    rules, not_run = _runnable(rules, model.weights)
    context = Context(analysis, model.bound.assumed, model.unused, model.weights)
    priced = priced_findings(context, rules, settings)
    problems = list(priced.problems)
    notes = tuple(filter(None, (*model.notes, not_run, model.weights.note())))
    if analysis.unknown_nodes:
        problems.append(f"{len(analysis.unknown_nodes)} nodes have no known cost: they are in no total")
    incomplete = (*model.incomplete, *problems)
    totals, layers = describe.totals(analysis), tuple(describe.layers(analysis, alone=bytes_alone))
    broken = list(budget_findings(totals, layers, analysis, settings.budgets))
    findings = [*broken, *priced.findings]
    shown = [finding for finding in findings if not finding.hidden]
    return Report(
        tool=TOOL,
        model=describe.model_info(replace(model, notes=notes), analysis),
        device=describe.device_info(analysis),
        verdict=describe.verdict(analysis, findings),
        totals=totals,
        layers=layers,
        findings=tuple(findings),
        summary=Summary(
            **{severity: sum(finding.severity == severity for finding in shown) for severity in SEVERITIES},
            hidden=len(findings) - len(shown),
            fixable=sum(finding.fix is not None and finding.fix.safety in ("exact", "close") for finding in shown),
            saving_without_retraining_s=priced.without_retraining_s,
        ),
        incomplete=incomplete,
        exit_code=exit_code([finding.severity for finding in findings], incomplete, len(broken), settings),
    )


def _runnable(rules: Sequence[LoadedRule], weights: WeightValues) -> tuple[Sequence[LoadedRule], str]:
    """The rules that can run, and what must be said of those that need values which are not read."""
    without = [rule.code for rule in rules if rule.rule.needs_weights] if weights.why_not else []
    if not without:
        return rules, ""
    names = ", ".join(sorted(without))
    return [rule for rule in rules if not rule.rule.needs_weights], f"not run: {names} ({weights.why_not})"


def unreadable(path: str, error: str) -> Report:
    """The report on a model that could not be read."""
    return Report(
        tool=TOOL, model=ModelInfo(path=path), device=None, verdict=None, totals=None, error=error, exit_code=2
    )
