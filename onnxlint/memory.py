"""The peak of live activations over the schedule."""

from __future__ import annotations

from onnxlint.analysis import Analysis
from onnxlint.operators import VIEWS


def peak_activation_bytes(analysis: Analysis) -> int:
    """The most bytes of activations alive at once, running the kernels in order; a view shares its source's memory.

    Values inside a kernel take no memory of their own; a graph input lives from the start to its last reader.
    """
    graph = analysis.graph
    owner: dict[str, str] = {}
    for node in graph.compute_nodes:
        if node.op_type in VIEWS and node.domain == "" and node.inputs and node.outputs:
            source = node.inputs[0]
            owner[node.outputs[0]] = owner.get(source, source)
    last: dict[str, int] = {}
    for index, kernel in enumerate(analysis.kernels):
        for node in kernel.nodes:
            for name in node.inputs:
                if name and not graph.is_constant(name):
                    last[owner.get(name, name)] = index
    end = len(analysis.kernels)
    for name in graph.outputs:
        last[owner.get(name, name)] = end
    alive: dict[str, int] = {name: analysis.value_bytes(name) for name in graph.inputs}
    expiring: dict[int, list[str]] = {}
    for name, index in last.items():
        expiring.setdefault(index, []).append(name)
    now = peak = sum(alive.values())
    for index, kernel in enumerate(analysis.kernels):
        for name in analysis.costs.leaving(kernel.nodes):
            held = owner.get(name, name)
            if held not in alive and held in last:
                alive[held] = analysis.value_bytes(held)
                now += alive[held]
        peak = max(peak, now)
        for name in expiring.get(index, ()):
            now -= alive.pop(name, 0)
    return peak
