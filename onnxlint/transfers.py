"""What crosses between the device and its host, and what that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxlint.device_tables import Transfer
from onnxlint.graph import Graph
from onnxlint.grouping import Grouping


def crossing_values(graph: Graph, grouping: Grouping) -> dict[str, int]:
    """Value → index of the host kernel that pays for its way to or from the host."""
    kernel_of, kernels, hosted = grouping.kernel_of, grouping.kernels, grouping.hosted
    inputs = frozenset(graph.inputs)
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


def transfer_seconds(
    grouping: Grouping, crossings: Mapping[str, int], value_bytes: Callable[[str], int], transfer: Transfer
) -> dict[int, float]:
    """Index of a host kernel → seconds of its transfers, and of the hand-over for the first of each partition."""
    paid: dict[int, float] = {}
    for name, index in crossings.items():
        seconds = value_bytes(name) / (transfer.bandwidth_gb_per_s * 1e9)
        paid[index] = paid.get(index, 0.0) + seconds
    seen: set[int] = set()
    levels = grouping.placement.level
    for index in grouping.hosted:
        level = levels[grouping.kernels[index].main.key]
        if level not in seen:
            seen.add(level)
            paid[index] = paid.get(index, 0.0) + transfer.sync_us * 1e-6
    return paid
