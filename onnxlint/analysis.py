"""One graph on one device: its kernels, what each costs and how long each takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from msgspec.structs import replace

from onnxlint.cost import Cost
from onnxlint.costs import CostModel, Wiring
from onnxlint.device import Device, load_device
from onnxlint.device_types import Precision
from onnxlint.edited_graph import EditedGraph
from onnxlint.finding import Edit
from onnxlint.graph import Graph, Node
from onnxlint.grouping import Grouping
from onnxlint.groups import Rules
from onnxlint.kernels import Kernel
from onnxlint.latency import Bound, Machine, Seconds
from onnxlint.layout import conversions
from onnxlint.loads import Load, load_of
from onnxlint.placement import Placement, place
from onnxlint.quantization import forms_of
from onnxlint.regrouping import Regrouping
from onnxlint.run_time_graph import RunTimeGraph
from onnxlint.support import SupportTable
from onnxlint.variants import cost_of

_KEPT_FOR_KERNELS = 2
_BY_LAYOUT = frozenset({"Resize"})
"""Operators whose load depends on where their input comes from."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a graph is priced for: a device at a precision, its host, and how often a fixed batch is repeated."""

    device: Device
    precision: Precision
    host: Device
    batch_factor: int
    table: SupportTable
    machine: Machine
    host_machine: Machine


def target_for(device: Device, precision: Precision | None = None, batch_factor: int = 1) -> Target:
    """The Target for a device; raises DeviceError for a precision that it lacks or a host that does not exist."""
    host = load_device(device.host) if device.host else device
    chosen = precision or device.native_precision
    machine = Machine(device, chosen)
    host_machine = Machine(host, host.native_precision) if device.host else machine
    return Target(device, chosen, host, batch_factor, SupportTable(device), machine, host_machine)


class Analysis:
    """The graph's kernels with their costs and times (seconds, kernels × parameter sets).

    `base` is the analysis of a graph that this one differs little from: what the edits between them did not touch
    is taken from there.
    """

    def __init__(self, graph: Graph, target: Target, base: Analysis | None = None) -> None:
        self.graph, self.target = graph, target
        self.costs = CostModel(graph, target.precision, forms=forms_of(target.device.fusion))
        self.grouping, self.placement = self._grouped(base)
        self.kernels: tuple[Kernel, ...] = tuple(self.grouping.kernels)
        self._wirings: dict[tuple[Node, ...], Wiring] = {}
        self._loads: list[Load | None] = [None] * len(self.kernels)
        self._loads_alike: dict[tuple[object, ...], Load] = {}
        self.kernel_costs: tuple[Cost, ...] = tuple(self._costs_of_kernels(base))
        self._own_times, self._own_bounds = self._alone(base)
        self.savings: dict[int, tuple[tuple[Edit, ...], Seconds]] = {}
        self.last_applied: tuple[tuple[Edit, ...], EditedGraph] | None = None
        self.best_trial: tuple[tuple[Edit, ...], Analysis, float] | None = None
        self.times, self.bounds = self._estimate()

    def _grouped(self, base: Analysis | None) -> tuple[Grouping, Placement]:
        graph, target = self.graph, self.target
        rules = Rules(target.device.fusion), Rules(target.host.fusion)
        if base is None or not isinstance(graph, EditedGraph):
            placement = place(graph, target.device, target.table)
            return Grouping(graph, placement, *rules), placement
        self.costs.adopt(base.costs, graph)
        placement = place(graph, target.device, target.table, base.placement)
        return Regrouping(graph, placement, *rules, base.grouping), placement

    def _costs_of_kernels(self, base: Analysis | None) -> Iterator[Cost]:
        alike: dict[tuple[object, ...], Cost] = {}
        graph = self.graph
        known = base._wirings if base is not None and isinstance(graph, EditedGraph) and graph.has_same_wiring else {}
        for kernel, source in zip(self.kernels, self.grouping.sources, strict=True):
            if base is not None and source >= 0:
                yield base.kernel_costs[source]
                continue
            if kernel.is_free:
                yield Cost()
                continue
            wiring = known.get(kernel.nodes) or self.costs.wiring(kernel.nodes)
            self._wirings[kernel.nodes] = wiring
            mark = self.costs.mark(wiring)
            found = alike.get(mark) if mark is not None else None
            if found is None:
                found = self.costs.cost(kernel.nodes, wiring.leaving).scaled(self.target.batch_factor)
                if mark is not None:
                    alike[mark] = found
            yield found

    def _alone(self, base: Analysis | None) -> tuple[Seconds, list[Bound]]:
        """Times and bounds of the kernels without what the run, free views and transfers add."""
        target = self.target
        times = np.zeros((len(self.kernels), len(target.machine.overhead)))
        bounds: list[Bound] = ["free"] * len(self.kernels)
        kept = self._kept_loads(base) if base is not None else {}
        if base is not None and kept:
            times[list(kept)] = base._own_times[list(kept.values())]
            for index, source in kept.items():
                self._loads[index], bounds[index] = base._loads[source], base._own_bounds[source]
        anew = [i for i, kernel in enumerate(self.kernels) if not kernel.is_free and i not in kept]
        for hosted, machine in ((False, target.machine), (True, target.host_machine)):
            indices = [i for i in anew if self.kernels[i].on_host == hosted]
            loads = [self._load(i, machine) for i in indices]
            seconds, found = machine.times(loads)
            for row, index in enumerate(indices):
                self._loads[index] = loads[row]
                # the host's own sets are independent of the device's: its mean stands in each of them
                times[index] = seconds[row].mean() if hosted else seconds[row]
                bounds[index] = "fallback" if hosted else found[row]
        return times, bounds

    def _kept_loads(self, base: Analysis) -> dict[int, int]:
        """The kernels that ask of their machine what they asked before the edits: their indices, now and then."""
        sources = self.grouping.sources
        if self._streamed_share != base._streamed_share:
            return {}
        kept = {
            index: source
            for index, source in enumerate(sources)
            if source >= 0 and base._loads[source] is not None and self.kernels[index].main.op_type not in _BY_LAYOUT
        }
        if kept and self._has_memory:
            # what stays on chip depends on the kernels near by
            before, behind = (
                range(-_KEPT_FOR_KERNELS, 0),
                range(len(base.kernels), len(base.kernels) + _KEPT_FOR_KERNELS),
            )
            row = np.array([*before, *(source if source >= 0 else -9 for source in sources), *behind])
            follows = np.lib.stride_tricks.sliding_window_view(np.diff(row), 2 * _KEPT_FOR_KERNELS)
            steady = (follows == 1).all(axis=1)
            kept = {index: source for index, source in kept.items() if steady[index]}
        if self.target.device.fusion.blocked is not None:
            now, then = self._conversions, base._conversions
            kept = {index: source for index, source in kept.items() if now.get(index) == then.get(source)}
        return kept

    def _estimate(self) -> tuple[Seconds, list[Bound]]:
        target = self.target
        times, bounds = self._own_times.copy(), [*self._own_bounds]
        times[[i for i, kernel in enumerate(self.kernels) if kernel.is_free and not kernel.on_host]] = (
            target.machine.view
        )
        if self.kernels:
            times[0] += target.machine.run
        for index, seconds_more in self.transfers.items():
            times[index] += seconds_more
            bounds[index] = "fallback"
        return times, bounds

    def _load(self, index: int, machine: Machine) -> Load:
        kernel, cost = self.kernels[index], self.kernel_costs[index]
        if kernel.on_host and machine.precision != self.target.precision:
            cost = self._host_costs.cost(kernel.nodes).scaled(self.target.batch_factor)
        factor = self.target.batch_factor
        kept, memory = self._kept_bytes(index), self.target.device.weight_memory
        streams = memory is not None and not kernel.on_host
        load = self._load_alone(kernel, cost, machine, kept + (cost.weight_bytes if streams else 0))
        if streams and self._streamed_share:
            cut = memory is not None and memory.reload == "all"
            load = replace(load, streamed_bytes=cost.weight_bytes * self._streamed_share, switches=int(cut))
        if factor != 1:
            load = replace(load, converted_bytes=load.converted_bytes * factor)
        if not kernel.on_host and kernel.main.op_type in self.target.device.fusion.weights_again:
            form = "WeightLayout" if kernel.kernel_class in ("pointwise", "gemm") else "WeightLayout.window"
            moved = 2.0 * cost.weight_bytes * cost_of(self.target.device.move_cost, form)
            load = replace(load, converted_bytes=load.converted_bytes + moved)
        converted = self._conversions.get(index, ())
        if converted and not kernel.on_host:
            moved = 2.0 * sum(map(self.value_bytes, converted))
            load = replace(
                load, converted_bytes=load.converted_bytes + moved, conversions=load.conversions + len(converted)
            )
        if factor == 1:
            return load
        return replace(
            load,
            operations=load.operations * factor,
            vector_operations=load.vector_operations * factor,
            out_elements=load.out_elements * factor,
            positions=load.positions * (factor if load.operations else 1),
            # a pipeline takes one sample after the other, whatever comes as a batch
            launches=factor if self.target.device.pipelined and not kernel.on_host else 1,
        )

    def _load_alone(self, kernel: Kernel, cost: Cost, machine: Machine, on_chip_bytes: int) -> Load:
        """The kernel's load but for what the kernels around it add; those alike, which share their Cost, share it."""
        mark = (id(cost), kernel.kernel_class, kernel.group, on_chip_bytes)
        shares = not kernel.on_host and kernel.main.op_type not in _BY_LAYOUT
        found = self._loads_alike.get(mark) if shares else None
        if found is None:
            found = load_of(kernel, cost, self.costs, machine.device, on_chip_bytes)
            if shares:
                self._loads_alike[mark] = found
        return found

    @cached_property
    def _conversions(self) -> Mapping[int, tuple[str, ...]]:
        """Index of a kernel → the values whose layout is converted for it."""
        blocked = self.target.device.fusion.blocked
        return conversions(self.graph, self.kernels, blocked) if blocked is not None else {}

    @property
    def peak_ops_per_s(self) -> float:
        """The peak that the model's multiply-accumulates could run at: each kernel's own, that of integers apart."""
        machine = self.target.machine
        macs = np.zeros(len(machine.peaks))
        for index, cost in enumerate(self.kernel_costs):
            kernel = self.kernels[index]
            if cost.macs:
                load = None if kernel.on_host else self._loads[index]
                macs[load.class_index if load is not None else 0] += float(cost.macs)
        total = macs.sum()
        return float(total / (macs / np.array(machine.peaks)).sum()) if total else machine.peaks[0]

    def load(self, index: int) -> Load | None:
        """What a kernel asks of the machine that it runs on; None for one that is free."""
        return self._loads[index]

    def device_loads(self) -> list[Load]:
        """What each kernel that runs on the device asks of it, free ones left out (for fitting profiles)."""
        loads = zip(self.kernels, self._loads, strict=True)
        return [load for kernel, load in loads if not kernel.on_host and load is not None]

    @cached_property
    def _host_costs(self) -> CostModel:
        target = self.target
        return CostModel(self.graph, target.host_machine.precision, forms=forms_of(target.host.fusion))

    @cached_property
    def _streamed_share(self) -> float:
        """The part of the weights that the device's weight memory can't keep from run to run."""
        memory = self.target.device.weight_memory
        if memory is None:
            return 0.0
        own = [i for i, kernel in enumerate(self.kernels) if not kernel.on_host and not kernel.is_free]
        total = sum(self.kernel_costs[i].weight_bytes for i in own)
        room = memory.room_bytes(len(own))
        if memory.reload == "all":
            return float(total > room or (memory.kernels is not None and len(own) > memory.kernels))
        return min(1.0, max(0.0, 1 - room / total)) if total else 0.0

    @property
    def _has_memory(self) -> bool:
        """What a kernel moves depends on the kernels around it."""
        return bool(self._chip_bytes) or self.target.device.weight_memory is not None

    @property
    def _chip_bytes(self) -> float:
        chip = self.target.device.on_chip_kib
        return chip.value * 1024 if chip is not None and chip.value is not None else 0.0

    def _kept_bytes(self, index: int) -> int:
        """Bytes of the kernel's activations that stay on chip: small values whose writer and readers are near."""
        kernel = self.kernels[index]
        room = self._chip_bytes / 2
        if not room or kernel.on_host:
            return 0
        names = {n for node in kernel.nodes for n in (*node.inputs, *node.outputs) if n in self._kernel_writing}
        kept = 0
        for name in names:
            writer = self._kernel_writing[name]
            last = self._last_reading.get(name, writer)
            if last == writer or name in self.graph.is_output or last - writer > _KEPT_FOR_KERNELS:
                continue
            size = self.value_bytes(name)
            if size <= room:
                kept += size
        return kept

    @cached_property
    def at_run_time(self) -> Graph:
        """The graph as what-ifs edit it: the nodes that run, and little else."""
        graph = self.graph
        return graph if isinstance(graph, EditedGraph) else RunTimeGraph.of(graph)

    @property
    def kernel_of(self) -> dict[str, int]:
        """Node key → index of its kernel."""
        return self.grouping.kernel_of

    def next_kernel(self, index: int) -> int | None:
        """The one kernel that reads what this one computes, if it computes a single value and nothing else reads it."""
        out = self.kernels[index].nodes[-1].outputs
        readers = {self.kernel_of[node.key] for node in self.graph.readers(out[0])} if len(out) == 1 else set()
        if len(readers) != 1 or out[0] in self.graph.is_output:
            return None
        return readers.pop()

    @cached_property
    def _kernel_writing(self) -> dict[str, int]:
        return {
            name: index
            for index, kernel in enumerate(self.kernels)
            for node in kernel.nodes
            for name in node.outputs
            if name
        }

    @cached_property
    def _last_reading(self) -> dict[str, int]:
        """Value → index of the last kernel that reads it, in a body or not."""
        return {
            name: index for index, kernel in enumerate(self.kernels) for node in kernel.nodes for name in node.reads
        }

    def value_bytes(self, name: str) -> int:
        """Bytes of the whole value at the executed precision, for the whole batch; 0 where the shape is unknown."""
        known = self.graph.type_of(name)
        if not known.is_known:
            return 0
        factor = 1 if self.graph.is_constant(name) else self.target.batch_factor
        return self.costs.bytes(name, known.elements) * factor

    @cached_property
    def crossings(self) -> dict[str, int]:
        """Value → index of the host kernel that pays for its way to or from the host."""
        graph, kernel_of, kernels = self.graph, self.kernel_of, self.kernels
        inputs = frozenset(graph.inputs)
        hosted = [index for index, kernel in enumerate(kernels) if kernel.on_host]
        written = {name: i for i in hosted for node in kernels[i].nodes for name in node.outputs if name}
        reading = {kernel_of[reader.key] for name in written for reader in graph.readers(name)}
        found: dict[str, int] = {}
        for index in sorted(reading.union(hosted)):
            is_hosted = kernels[index].on_host
            for name in [name for node in kernels[index].nodes for name in node.inputs]:
                if name in written:
                    if not is_hosted:
                        found.setdefault(name, written[name])
                elif is_hosted and (name in inputs or ((node := graph.producer(name)) and node.role == "compute")):
                    found.setdefault(name, index)
        return found

    @cached_property
    def transfers(self) -> dict[int, float]:
        """Index of a host kernel → seconds of its transfers, and of the hand-over for the first of each partition."""
        transfer = self.target.device.transfer
        if transfer is None or not self.placement.on_host:
            return {}
        paid: dict[int, float] = {}
        for name, index in self.crossings.items():
            seconds = self.value_bytes(name) / (transfer.bandwidth_gb_per_s * 1e9)
            paid[index] = paid.get(index, 0.0) + seconds
        seen: set[int] = set()
        for index, kernel in enumerate(self.kernels):
            if kernel.on_host and (level := self.placement.level[kernel.main.key]) not in seen:
                seen.add(level)
                paid[index] = paid.get(index, 0.0) + transfer.sync_us * 1e-6
        return paid

    @cached_property
    def total(self) -> Seconds:
        """Seconds of the whole graph, one per parameter set."""
        summed: Seconds = self.times.sum(axis=0)
        return summed

    @cached_property
    def host_seconds(self) -> float:
        """The part of the total that runs on the host, transfers included."""
        return float(sum(self.times[i].mean() for i, k in enumerate(self.kernels) if k.on_host))

    def spread(self, per_set: Seconds) -> tuple[float, float, float]:
        """Middle, low and high of an amount of seconds given per parameter set."""
        factor = self.target.machine.spread
        values = sorted(
            (per_set.min() / factor, per_set.min() * factor, per_set.max() / factor, per_set.max() * factor)
        )
        return float(per_set.mean()), float(values[0]), float(values[-1])

    def seconds(self, indices: Iterable[int]) -> Seconds:
        """Seconds of some kernels together, one per parameter set."""
        chosen = sorted(set(indices))
        summed: Seconds = self.times[chosen].sum(axis=0) if chosen else np.zeros(self.times.shape[1])
        return summed

    def seconds_of(self, nodes: Iterable[Node]) -> Seconds:
        """Seconds of all kernels that these nodes are part of."""
        return self.seconds(self.kernel_of[node.key] for node in nodes if node.key in self.kernel_of)

    @cached_property
    def unknown_nodes(self) -> tuple[Node, ...]:
        """The run-time nodes whose cost is unknown: no cost function, or shapes that nothing tells."""
        return self.costs.unknown
