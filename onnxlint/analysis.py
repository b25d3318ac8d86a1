"""One graph on one device: its kernels, what each costs and how long each takes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from onnxlint.cost import Cost
from onnxlint.costs import CostModel, Wiring
from onnxlint.edited_graph import EditedGraph
from onnxlint.finding import Edit
from onnxlint.graph import Graph, Node
from onnxlint.grouping import Grouping
from onnxlint.groups import Rules
from onnxlint.kernel_loads import KernelLoads
from onnxlint.kernels import Kernel
from onnxlint.latency import Bound, Seconds
from onnxlint.loads import Load
from onnxlint.placement import Placement, place
from onnxlint.quantization import forms_of
from onnxlint.regrouping import Regrouping
from onnxlint.run_time_graph import RunTimeGraph
from onnxlint.target import Target
from onnxlint.transfers import crossing_values, transfer_seconds


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
        self.kernel_costs: tuple[Cost, ...] = tuple(self._costs_of_kernels(base))
        self._loads = KernelLoads(graph, target, self.costs, self.kernels, self.kernel_costs)
        self._own_times, self._own_bounds = self._alone(base)
        self.savings: dict[int, tuple[tuple[Edit, ...], Seconds]] = {}
        self.last_applied: tuple[tuple[Edit, ...], EditedGraph] | None = None
        self.best_trial: tuple[tuple[Edit, ...], Analysis, float] | None = None
        self.times, self.bounds = self._estimate()

    def _grouped(self, base: Analysis | None) -> tuple[Grouping, Placement]:
        graph, target = self.graph, self.target
        if base is None or not isinstance(graph, EditedGraph):
            placement = place(graph, target.device, target.table)
            rules = Rules(target.device.fusion), Rules(target.host.fusion)
            return Grouping(graph, placement, *rules), placement
        self.costs.adopt(base.costs, graph)
        placement = place(graph, target.device, target.table, base.placement)
        return Regrouping(graph, placement, base.grouping), placement

    def _costs_of_kernels(self, base: Analysis | None) -> list[Cost]:
        kernels, sources = self.kernels, self.grouping.sources
        known, free = base.kernel_costs if base is not None else (), Cost()
        costs = [known[source] if source >= 0 else free for source in sources]
        anew = [index for index, source in enumerate(sources) if source < 0]
        graph = self.graph
        wirings = base._wirings if base is not None and isinstance(graph, EditedGraph) and graph.has_same_wiring else {}
        alike: dict[tuple[object, ...], Cost] = {}
        for index in anew:
            kernel = kernels[index]
            if kernel.is_free:
                continue
            wiring = wirings.get(kernel.nodes) or self.costs.wiring(kernel.nodes)
            self._wirings[kernel.nodes] = wiring
            mark = self.costs.mark(wiring)
            found = alike.get(mark) if mark is not None else None
            if found is None:
                found = self.costs.cost(kernel.nodes, wiring.leaving).scaled(self.target.batch_factor)
                if mark is not None:
                    alike[mark] = found
            costs[index] = found
        return costs

    def _alone(self, base: Analysis | None) -> tuple[Seconds, list[Bound]]:
        """Times and bounds of the kernels without what the run, free views and transfers add."""
        target = self.target
        times = np.zeros((len(self.kernels), len(target.machine.overhead)))
        bounds: list[Bound] = ["free"] * len(self.kernels)
        kept = self._loads.take_over(base._loads, self.grouping.sources) if base is not None else {}
        if base is not None and kept:
            times[list(kept)] = base._own_times[list(kept.values())]
            for index, source in kept.items():
                bounds[index] = base._own_bounds[source]
        anew = [i for i, kernel in enumerate(self.kernels) if not kernel.is_free and i not in kept]
        for hosted, machine in ((False, target.machine), (True, target.host_machine)):
            indices = [i for i in anew if self.kernels[i].on_host == hosted]
            seconds, found = machine.times(self._loads.find(indices, machine))
            for row, index in enumerate(indices):
                # the host's own sets are independent of the device's: its mean stands in each of them
                times[index] = seconds[row].mean() if hosted else seconds[row]
                bounds[index] = "fallback" if hosted else found[row]
        return times, bounds

    def _estimate(self) -> tuple[Seconds, list[Bound]]:
        target = self.target
        times, bounds = self._own_times.copy(), [*self._own_bounds]
        if target.machine.view.any():
            times[[i for i, kernel in enumerate(self.kernels) if kernel.is_free and not kernel.on_host]] = (
                target.machine.view
            )
        if self.kernels:
            times[0] += target.machine.run
        for index, seconds_more in self.transfers.items():
            times[index] += seconds_more
            bounds[index] = "fallback"
        return times, bounds

    @property
    def peak_ops_per_s(self) -> float:
        """The peak that the model's multiply-accumulates could run at: each kernel's own, that of integers apart."""
        machine = self.target.machine
        macs = np.zeros(len(machine.peaks))
        for index, cost in enumerate(self.kernel_costs):
            kernel = self.kernels[index]
            if cost.macs:
                load = None if kernel.on_host else self.load(index)
                macs[load.class_index if load is not None else 0] += float(cost.macs)
        total = macs.sum()
        return float(total / (macs / np.array(machine.peaks)).sum()) if total else machine.peaks[0]

    def load(self, index: int) -> Load | None:
        """What a kernel asks of the machine that it runs on; None for one that is free."""
        return self._loads.found[index]

    def device_loads(self) -> list[Load]:
        """What each kernel that runs on the device asks of it, free ones left out (for fitting profiles)."""
        loads = zip(self.kernels, self._loads.found, strict=True)
        return [load for kernel, load in loads if not kernel.on_host and load is not None]

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

    def value_bytes(self, name: str) -> int:
        """Bytes of the whole value at the executed precision, for the whole batch; 0 where the shape is unknown."""
        return self._loads.value_bytes(name)

    @cached_property
    def crossings(self) -> dict[str, int]:
        """Value → index of the host kernel that pays for its way to or from the host."""
        return crossing_values(self.graph, self.grouping)

    @cached_property
    def transfers(self) -> dict[int, float]:
        """Index of a host kernel → seconds of its transfers, and of the hand-over for the first of each partition."""
        transfer = self.target.device.transfer
        if transfer is None or not self.placement.on_host:
            return {}
        return transfer_seconds(self.grouping, self.crossings, self.value_bytes, transfer)

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
