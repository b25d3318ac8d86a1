"""The pure centre: a graph, a device and rules become a Report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from onnxlint import __version__
from onnxlint.analysis import Analysis, Target, target_for
from onnxlint.binding import Bound, bind
from onnxlint.cost import Cost
from onnxlint.device import Device
from onnxlint.finding import SEVERITIES, Finding, Fix, Severity
from onnxlint.graph import Graph
from onnxlint.graph_builder import build_graph
from onnxlint.latency import Seconds
from onnxlint.memory import peak_activation_bytes
from onnxlint.report import (
    Alternative,
    DeviceInfo,
    FixInfo,
    Layer,
    ModelInfo,
    Report,
    ReportedFinding,
    Summary,
    Tool,
    Totals,
    ValueInfo,
    Verdict,
)
from onnxlint.rule import Context, LoadedRule
from onnxlint.scope import opsets, read_graph
from onnxlint.settings import Settings
from onnxlint.shapes import infer
from onnxlint.tensor import dtype_name
from onnxlint.whatif import EditError, apply

TOOL = Tool("onnxlint", __version__)
WARNING_SHARE = 0.02
"""A warning that saves less than this part of the latency, at the low end of its range, is an info."""
_MAX_REASONS = 8


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A model ready to be linted on any device: its graph with bound shapes, and what was said on the way."""

    path: str
    ir_version: int
    opsets: dict[str, int]
    graph: Graph
    bound: Bound
    notes: tuple[str, ...]
    incomplete: tuple[str, ...]


def read_model(proto: onnx.ModelProto, settings: Settings, path: str = "", notes: Sequence[str] = ()) -> ReadModel:
    """Resolve names, bind dims, infer shapes; raises LoadError and BindingError."""
    definition = read_graph(proto)
    bound = bind(definition, settings.bindings)
    shapes = infer(proto, definition, bound, settings.limits)
    graph = build_graph(definition, shapes)
    incomplete = [*definition.problems, *shapes.incomplete]
    if graph.unresolved:
        incomplete.append(f"the shapes of {len(graph.unresolved)} values are unknown: what needs them is not priced")
    if graph.uncounted_loops:
        loops = len(graph.uncounted_loops)
        incomplete.append(f"how often {loops} {'loop runs' if loops == 1 else 'loops run'} is data: counted as once")
    return ReadModel(path, proto.ir_version, opsets(proto.opset_import), graph, bound, tuple(notes), tuple(incomplete))


def lint_graph(model: ReadModel, device: Device, rules: Sequence[LoadedRule], settings: Settings) -> Report:
    """Lint a read model on a device; raises DeviceError for a precision that the device lacks."""
    target = target_for(device, settings.precision, model.bound.batch_factor)
    analysis = Analysis(model.graph, target)
    findings, problems = _findings(Context(analysis, model.bound.assumed), rules, settings)
    if analysis.unknown_nodes:
        problems.append(f"{len(analysis.unknown_nodes)} nodes have no known cost: they are in no total")
    incomplete = (*model.incomplete, *problems)
    shown = [finding for finding in findings if not finding.hidden]
    return Report(
        tool=TOOL,
        model=_model_info(model, analysis),
        device=_device_info(target),
        verdict=_verdict(analysis),
        totals=_totals(analysis),
        layers=tuple(_layers(analysis)),
        findings=tuple(findings),
        summary=Summary(
            **{severity: sum(finding.severity == severity for finding in shown) for severity in SEVERITIES},
            hidden=len(findings) - len(shown),
            fixable=sum(finding.fix is not None and finding.fix.safety in ("exact", "close") for finding in shown),
        ),
        incomplete=incomplete,
        exit_code=_exit_code([finding.severity for finding in findings], incomplete, settings),
    )


def unreadable(path: str, error: str) -> Report:
    """The report on a model that could not be read."""
    return Report(
        tool=TOOL, model=ModelInfo(path=path), device=None, verdict=None, totals=None, error=error, exit_code=2
    )


def _exit_code(severities: Sequence[Severity], incomplete: Sequence[str], settings: Settings) -> int:
    if settings.fail_on == "never":
        return 1 if incomplete else 0
    failing = SEVERITIES[: SEVERITIES.index(settings.fail_on) + 1]
    return 1 if incomplete or any(severity in failing for severity in severities) else 0


def _findings(
    context: Context, rules: Sequence[LoadedRule], settings: Settings
) -> tuple[list[ReportedFinding], list[str]]:
    """All findings by price, and the rules that failed."""
    analysis = context.analysis
    priced: list[_Priced] = []
    problems: list[str] = []
    for rule in rules:
        setting = analysis.target.device.rules.get(rule.code)
        if setting is not None and setting.silent:
            continue
        try:
            found = list(rule.check(context))
        except (Exception, SystemExit) as error:  # a rule of a stranger's pack must not take the others down
            problems.append(f"rule {rule.code} failed ({type(error).__name__}: {error})")
            continue
        override = setting.severity if setting is not None else None
        priced += [_price(analysis, rule, finding, override) for finding in found]
    priced.sort(key=_Priced.order)
    cumulative = _cumulative(analysis, priced)
    total = float(analysis.total.mean())
    return [
        _reported(analysis, one, more, total, settings) for one, more in zip(priced, cumulative, strict=True)
    ], problems


@dataclass(frozen=True, slots=True)
class _Priced:
    rule: LoadedRule
    finding: Finding
    severity: Severity
    at_stake_s: float
    best: Fix | None
    saved: Seconds | None
    others: tuple[Alternative, ...]

    def order(self) -> tuple[float, float, str]:
        """By what it saves (an error that can't be priced: by all that is at stake), then by stake and code."""
        saved = float(self.saved.mean()) if self.saved is not None else 0.0
        weight = self.at_stake_s if self.severity == "error" and self.saved is None else max(saved, 0.0)
        return (-weight, -self.at_stake_s, self.rule.code)


def _price(analysis: Analysis, rule: LoadedRule, finding: Finding, override: Severity | None) -> _Priced:
    nodes = [analysis.graph.node(key) for key in finding.nodes if key in analysis.graph.position]
    at_stake = float(analysis.seconds_of(nodes).mean())
    savings: list[tuple[Fix, Seconds]] = []
    for fix in finding.fixes:
        try:
            savings.append((fix, analysis.total - Analysis(apply(analysis.graph, fix.edits), analysis.target).total))
        except EditError:
            continue
    savings.sort(key=lambda entry: -entry[1].mean())
    best, saved = savings[0] if savings else (None, None)
    others = tuple(Alternative(fix.title, fix.safety, float(gain.mean())) for fix, gain in savings[1:])
    severity = override or finding.severity or rule.rule.severity
    if severity == "warning" and finding.severity is None and override is None:
        low = analysis.spread(saved)[1] if saved is not None else at_stake
        if low < WARNING_SHARE * float(analysis.total.mean()):
            severity = "info"
    return _Priced(rule, finding, severity, at_stake, best, saved, others)


def _cumulative(analysis: Analysis, priced: Sequence[_Priced]) -> list[float | None]:
    """What each fix saves after all those before it; those that don't fit together any more add nothing."""
    before = analysis
    saved = 0.0
    column: list[float | None] = []
    for one in priced:
        if one.best is None or one.saved is None:
            column.append(None)
            continue
        if one.saved.mean() > 0:
            try:
                graph = apply(before.graph, one.best.edits)
            except EditError:
                column.append(saved)
                continue
            after = Analysis(graph, analysis.target)
            gain = float((before.total - after.total).mean())
            if gain > 0:
                saved += gain
                before = after
        column.append(saved)
    return column


def _reported(
    analysis: Analysis, one: _Priced, cumulative: float | None, total_s: float, settings: Settings
) -> ReportedFinding:
    middle = low = high = None
    if one.saved is not None:
        middle, low, high = analysis.spread(one.saved)
    finding = one.finding
    is_small = middle is not None and middle < settings.min_impact * total_s
    return ReportedFinding(
        rule=one.rule.code,
        name=one.rule.name,
        severity=one.severity,
        message=finding.message,
        suggestion=finding.suggestion,
        node=finding.nodes[0] if finding.nodes else "",
        nodes=finding.nodes,
        places=finding.places,
        hidden=is_small and one.severity != "error" and finding.severity != "warning",
        latency_s=one.at_stake_s,
        saving_s=middle,
        saving_low_s=low,
        saving_high_s=high,
        saving_cumulative_s=cumulative,
        fix=FixInfo(one.best.title, one.best.safety) if one.best is not None else None,
        alternatives=one.others,
        details=finding.details,
        fingerprint=_fingerprint(one.rule.code, finding),
    )


def _fingerprint(code: str, finding: Finding) -> str:
    text = "\0".join((code, *sorted(finding.nodes)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _model_info(model: ReadModel, analysis: Analysis) -> ModelInfo:
    graph = model.graph
    unknown: dict[str, int] = {}
    for node in analysis.unknown_nodes:
        unknown[node.qualified_op] = unknown.get(node.qualified_op, 0) + 1
    nodes = len(graph.compute_nodes)
    return ModelInfo(
        path=model.path,
        ir_version=model.ir_version,
        opsets=model.opsets,
        inputs=tuple(_value_info(graph, name) for name in graph.inputs),
        outputs=tuple(_value_info(graph, name) for name in graph.outputs),
        nodes=len(graph.nodes),
        compute_nodes=nodes,
        batch=model.bound.batch,
        assumed=model.bound.assumed,
        unresolved=(*graph.unresolved, *(f"{key} (trip count)" for key in graph.uncounted_loops)),
        unknown_operators=unknown,
        unknown_node_share=sum(unknown.values()) / nodes if nodes else 0.0,
        notes=model.notes,
    )


def _value_info(graph: Graph, name: str) -> ValueInfo:
    known = graph.type_of(name)
    return ValueInfo(name, dtype_name(known.dtype), known.shape)


def _device_info(target: Target) -> DeviceInfo:
    device = target.device
    return DeviceInfo(
        name=device.name,
        chip=device.chip,
        precision=target.precision,
        trust=device.trust,
        cores=device.cores,
        peak_gops=device.peak_ops_per_s(target.precision) / 1e9,
        note=device.attainable.note,
        source=device.attainable.source,
    )


def _verdict(analysis: Analysis) -> Verdict:
    placement, device = analysis.placement, analysis.target.device
    reasons: dict[str, int] = {}
    for found in placement.support.values():
        if found.status != "supported":
            reasons[found.reason] = reasons.get(found.reason, 0) + 1
    lines = [
        reason if n == 1 else f"{reason} ({n} nodes)" for reason, n in sorted(reasons.items(), key=lambda r: -r[1])
    ]
    statuses = {found.status for found in placement.support.values()}
    if placement.on_host:
        runs = "partitioned" if device.host else "unconvertible"
        partitions = placement.host_partitions + placement.device_partitions
    else:
        runs = "unknown" if "unknown" in statuses else "native"
        partitions = 1
    return Verdict(runs, partitions, tuple(lines[:_MAX_REASONS]))  # type: ignore[arg-type]


def _totals(analysis: Analysis) -> Totals:
    cost = sum(analysis.kernel_costs, Cost())
    params = list(analysis.costs.params.values())
    middle, low, high = analysis.spread(analysis.total)
    batch = analysis.target.batch_factor * (_leading(analysis.graph) or 1)
    peak = analysis.target.device.peak_ops_per_s(analysis.target.precision)
    by_bound: dict[str, float] = {}
    for bound, seconds in zip(analysis.bounds, analysis.times.mean(axis=1), strict=True):
        by_bound[bound] = by_bound.get(bound, 0.0) + float(seconds)
    return Totals(
        params=sum(p.count for p in params),
        learnable_params=sum(p.learnable for p in params),
        macs=cost.macs,
        flops=cost.flops,
        weight_bytes=sum(p.stored_bytes for p in params),
        memory_access_bytes=cost.memory_access_bytes,
        peak_activation_bytes=peak_activation_bytes(analysis),
        latency_s=middle,
        latency_low_s=low,
        latency_high_s=high,
        interval_s=middle,
        throughput_fps=batch / middle if middle else 0.0,
        utilisation=2 * cost.macs / (middle * peak) if middle else 0.0,
        required_bandwidth_gb_per_s=cost.memory_access_bytes / middle / 1e9 if middle else 0.0,
        bound=max(by_bound, key=lambda name: by_bound[name], default="overhead"),
    )


def _leading(graph: Graph) -> int | None:
    for name in graph.inputs:
        shape = graph.type_of(name).shape
        if shape:
            return shape[0]
    return None


def _layers(analysis: Analysis) -> list[Layer]:
    layers: dict[str, Layer] = {}
    graph, costs, factor = analysis.graph, analysis.costs, analysis.target.batch_factor
    seconds = analysis.times.mean(axis=1)
    for index, kernel in enumerate(analysis.kernels):
        whole = analysis.kernel_costs[index]
        for node in kernel.nodes:
            macs, other_flops = costs.arithmetic(node) if not kernel.is_free else (0, 0)
            is_main = node is kernel.main
            params = costs.params.get(node.key)
            layers[node.key] = Layer(
                node=node.key,
                name=node.name,
                op=node.qualified_op,
                kernel=index,
                kernel_ops=kernel.label,
                macs=macs * factor,
                flops=(2 * macs + other_flops) * factor,
                params=params.count if params else 0,
                read_bytes=whole.read_bytes + whole.weight_bytes if is_main else 0,
                written_bytes=whole.written_bytes if is_main else 0,
                latency_s=float(seconds[index]) if is_main else 0.0,
                bound=analysis.bounds[index],
                on_host=kernel.on_host,
                output=str(graph.type_of(node.outputs[0])) if node.outputs else "",
            )
    return [layers[node.key] for node in graph.compute_nodes]
