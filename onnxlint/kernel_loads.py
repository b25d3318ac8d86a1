"""What each kernel of a graph asks of its machine: its own load, and what the kernels around it make of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from msgspec.structs import replace

from onnxlint.cost import Cost
from onnxlint.costs import CostModel
from onnxlint.graph import Graph
from onnxlint.kernels import Kernel
from onnxlint.latency import Machine
from onnxlint.layout import conversions
from onnxlint.loads import Load, load_of
from onnxlint.quantization import forms_of
from onnxlint.target import Target
from onnxlint.variants import cost_of

_KEPT_FOR_KERNELS = 2
_BY_LAYOUT = frozenset({"Resize"})
"""Operators whose load depends on where their input comes from."""


class KernelLoads:
    """The kernels' loads by index, None for one that is free; `find` fills them in."""

    def __init__(
        self, graph: Graph, target: Target, costs: CostModel, kernels: Sequence[Kernel], kernel_costs: Sequence[Cost]
    ) -> None:
        self.graph, self.target, self.costs = graph, target, costs
        self.kernels, self.kernel_costs = kernels, kernel_costs
        self.found: list[Load | None] = [None] * len(kernels)
        self._alike: dict[tuple[object, ...], Load] = {}

    def find(self, indices: Sequence[int], machine: Machine) -> list[Load]:
        """The loads of these kernels, which run on the machine."""
        loads = [self._load(index, machine) for index in indices]
        for index, load in zip(indices, loads, strict=True):
            self.found[index] = load
        return loads

    def take_over(self, base: KernelLoads, sources: Sequence[int]) -> dict[int, int]:
        """Take the loads of the kernels that ask of their machine what they asked before the edits.

        `sources` are the indices that the kernels had then, -1 for another one. Which were taken: indices now and then.
        """
        if self._streamed_share != base._streamed_share:
            return {}
        loads, kernels = base.found, self.kernels
        kept = {
            index: source
            for index, source in enumerate(sources)
            if source >= 0 and loads[source] is not None and kernels[index].main.op_type not in _BY_LAYOUT
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
        for index, source in kept.items():
            self.found[index] = loads[source]
        return kept

    def value_bytes(self, name: str) -> int:
        """Bytes of the whole value at the executed precision, for the whole batch; 0 where the shape is unknown."""
        elements, bits = self.costs.size(name)
        factor = 1 if self.target.batch_factor == 1 or self.graph.is_constant(name) else self.target.batch_factor
        return (elements * bits + 7) // 8 * factor

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
        found = self._alike.get(mark) if shares else None
        if found is None:
            found = load_of(kernel, cost, self.costs, machine.device, on_chip_bytes)
            if shares:
                self._alike[mark] = found
        return found

    @cached_property
    def _conversions(self) -> Mapping[int, tuple[str, ...]]:
        """Index of a kernel → the values whose layout is converted for it."""
        blocked = self.target.device.fusion.blocked
        return conversions(self.graph, self.kernels, blocked) if blocked is not None else {}

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
        writing = self._kernel_writing
        names = {n for node in kernel.nodes for n in (*node.inputs, *node.outputs) if n in writing}
        kept = 0
        for name in names:
            writer = writing[name]
            last = self._last_reading.get(name, writer)
            if last == writer or name in self.graph.is_output or last - writer > _KEPT_FOR_KERNELS:
                continue
            size = self.value_bytes(name)
            if size <= room:
                kept += size
        return kept

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
