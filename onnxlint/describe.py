"""An analysis in the Report's words: the model, the device, the verdict, the totals, the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnxlint.analysis import Analysis
from onnxlint.binding import Bound
from onnxlint.cost import Cost
from onnxlint.graph import Graph
from onnxlint.kernels import MULTIPLIERS
from onnxlint.memory import peak_activation_bytes
from onnxlint.report import DeviceInfo, Layer, ModelInfo, ReportedFinding, Totals, ValueInfo, Verdict
from onnxlint.target import Target
from onnxlint.tensor import TensorType, dtype_name
from onnxlint.unused import NOTHING, Unused
from onnxlint.weights import NO_WEIGHTS, WeightValues

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
    unused: Unused = NOTHING
    weights: WeightValues = NO_WEIGHTS


def model_info(model: ReadModel, analysis: Analysis) -> ModelInfo:
    """The model as read, with what of it has no known cost."""
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
        unknown_node_share=min(1.0, sum(unknown.values()) / nodes) if nodes else 0.0,
        macs_coverage=analysis.costs.macs_coverage(MULTIPLIERS),
        notes=model.notes,
    )


def _value_info(graph: Graph, name: str) -> ValueInfo:
    known = graph.type_of(name)
    return ValueInfo(name, dtype_name(known.dtype), known.shape)


def device_info(analysis: Analysis) -> DeviceInfo:
    """The device as priced; its peak is that of the arithmetic that the model asks for."""
    target = analysis.target
    device = target.device
    return DeviceInfo(
        name=device.name,
        chip=device.chip,
        precision=target.precision,
        trust=_trust(target),
        cores=device.cores,
        peak_gops=analysis.peak_ops_per_s / 1e9,
        memory_mib=device.memory_mib.value if device.memory_mib is not None else None,
        note=device.attainable.note,
        source=device.attainable.source,
    )


def _trust(target: Target) -> str:
    """The profile's trust; its figures were found at the native precision and are carried over to any other."""
    device = target.device
    if target.precision == device.native_precision:
        return device.trust
    return f"{device.trust} at {device.native_precision}, carried over"


def verdict(analysis: Analysis, findings: Sequence[ReportedFinding] = ()) -> Verdict:
    """Whether the device runs the model whole, and why not; what its toolchain makes of the file."""
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
    toolchain = " ".join(f"{one.message}. {one.suggestion}" for one in findings if one.in_verdict)
    return Verdict(runs, partitions, tuple(lines[:_MAX_REASONS]), toolchain)  # type: ignore[arg-type]


def totals(analysis: Analysis) -> Totals:
    """Sums over the model, for the whole batch."""
    cost = sum(analysis.kernel_costs, Cost())
    params = list(analysis.costs.params.values())
    middle, low, high = analysis.spread(analysis.total)
    batch = analysis.target.batch_factor * (_leading(analysis.graph) or 1)
    peak = analysis.peak_ops_per_s
    # what a run costs before its first kernel overlaps with the run before
    interval = middle - float(analysis.target.machine.run.mean()) if analysis.target.device.pipelined else middle
    by_bound: dict[str, float] = {}
    for bound, seconds in zip(analysis.bounds, analysis.times.mean(axis=1).tolist(), strict=True):
        by_bound[bound] = by_bound.get(bound, 0.0) + seconds
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
        interval_s=interval,
        throughput_fps=batch / interval if interval else 0.0,
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


def layers(analysis: Analysis, *, alone: bool = False) -> list[Layer]:
    """Every run-time node, in execution order; `alone` asks for what each would move by itself."""
    rows: dict[str, Layer] = {}
    graph, costs, factor = analysis.graph, analysis.costs, analysis.target.batch_factor
    params_of = costs.params.get
    seconds = analysis.times.mean(axis=1).tolist()
    spelled: dict[TensorType, str] = {}
    for index, kernel in enumerate(analysis.kernels):
        whole, label = analysis.kernel_costs[index], kernel.label
        for node in kernel.nodes:
            if node.is_control_flow:
                is_known, (macs, other_flops) = costs.is_known(node), costs.arithmetic(node)
            else:
                work = costs.work(node)
                is_known = work is not None
                macs, other_flops = (work.macs, work.other_flops) if work is not None else (0, 0)
            if kernel.is_free:
                macs = other_flops = 0
            is_main = node is kernel.main
            params = params_of(node.key)
            kind = graph.type_of(node.outputs[0])
            output = spelled.get(kind) or spelled.setdefault(kind, str(kind))
            rows[node.key] = Layer(
                node=node.key,
                name=node.name,
                op=node.qualified_op,
                kernel=index,
                kernel_ops=label,
                macs=macs * factor,
                flops=(2 * macs + other_flops) * factor,
                params=params.count if params else 0,
                read_bytes=whole.read_bytes + whole.weight_bytes if is_main else 0,
                written_bytes=whole.written_bytes if is_main else 0,
                latency_s=seconds[index] if is_main else 0.0,
                bound=analysis.bounds[index],
                on_host=kernel.on_host,
                output=output,
                alone_bytes=costs.cost((node,)).scaled(factor).memory_access_bytes if alone else 0,
                is_known=is_known,
            )
    return [rows[node.key] for node in graph.compute_nodes]
