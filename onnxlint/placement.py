"""Where each node runs: on the device, or on the host by maximal unsupported partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxlint.device import Device
from onnxlint.graph import Graph
from onnxlint.support import Support, SupportTable


@dataclass(frozen=True, slots=True)
class Placement:
    """`support` of every run-time node by key; `level` counts the changes of place on the longest way to a node.

    Nodes on the host with the same level are one partition: they run between the same two stretches of the device.
    """

    support: Mapping[str, Support]
    on_host: frozenset[str]
    level: Mapping[str, int]

    @property
    def host_partitions(self) -> int:
        """How many times execution leaves the device."""
        return len({self.level[key] for key in self.on_host})

    @property
    def device_partitions(self) -> int:
        """Into how many stretches the device's part falls."""
        return len({level for key, level in self.level.items() if key not in self.on_host})


def place(graph: Graph, device: Device, table: SupportTable) -> Placement:
    """Place the graph's run-time nodes: what the device does not support falls to its host."""
    support: dict[str, Support] = {}
    level: dict[str, int] = {}
    on_host: set[str] = set()
    after_first = False
    for node in graph.compute_nodes:
        found = support[node.key] = table.of(graph, node)
        if found.status == "unsupported" or (after_first and device.operators.one_partition):
            on_host.add(node.key)
            after_first = True
        here = node.key in on_host
        level[node.key] = max(
            (
                level[before.key] + ((before.key in on_host) != here)
                for name in node.inputs
                if name and (before := graph.producer(name)) is not None and before.role == "compute"
            ),
            default=1 if here else 0,
        )
    return Placement(support, frozenset(on_host), level)
