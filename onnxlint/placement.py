"""Where each node runs: on the device, or on the host by maximal unsupported partition."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from onnxlint.device import Device
from onnxlint.graph import Graph
from onnxlint.kernels import ANCHORS, ATTENTION, RECURRENT
from onnxlint.support import Support, SupportTable

WORTH_LEAVING = ANCHORS | ATTENTION | RECURRENT
"""Operators that the device takes back from the host, however few they are."""


class Placement(msgspec.Struct, frozen=True):
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


def place(graph: Graph, device: Device, table: SupportTable, known: Mapping[str, Support] | None = None) -> Placement:
    """Place the graph's run-time nodes: what the device does not support falls to its host.

    `known` is the support of some of the nodes, found before.

    What lies between two stretches of the host and holds no convolution or matrix product stays there as well:
    runtimes don't hand over for a few element-wise operators, they have a least size of a partition.
    """
    support: dict[str, Support] = {}
    on_host: set[str] = set()
    after_first = False
    known = known or {}
    alike: dict[tuple[object, ...], Support] = {}
    for node in graph.compute_nodes:
        found = known.get(node.key) or table.by_operator(node)
        if found is None:
            mark = (*graph.mark(node), *map(graph.is_constant, node.inputs))
            found = alike.get(mark) or alike.setdefault(mark, table.of(graph, node))
        support[node.key] = found
        if found.status == "unsupported" or (after_first and device.operators.one_partition):
            on_host.add(node.key)
            after_first = True
    before = _writers(graph) if on_host else {}
    level = _levels(graph, on_host, before)
    while on_host and (kept := _not_worth_leaving(graph, on_host, level, before)):
        on_host |= kept
        level = _levels(graph, on_host, before)
    return Placement(support, frozenset(on_host), level)


def _levels(graph: Graph, on_host: set[str], writers: Mapping[str, list[str]]) -> dict[str, int]:
    if not on_host:
        return dict.fromkeys((node.key for node in graph.compute_nodes), 0)
    level: dict[str, int] = {}
    for node in graph.compute_nodes:
        here = node.key in on_host
        most = 1 if here and not writers[node.key] else 0
        for key in writers[node.key]:
            one = level[key] + ((key in on_host) != here)
            if one > most:
                most = one
        level[node.key] = most
    return level


def _writers(graph: Graph) -> dict[str, list[str]]:
    """Run-time node → those that write what it reads."""
    found: dict[str, list[str]] = {}
    for node in graph.compute_nodes:
        before = [graph.producer(name) for name in node.inputs if name]
        found[node.key] = [writer.key for writer in before if writer is not None and writer.role == "compute"]
    return found


def _not_worth_leaving(
    graph: Graph, on_host: set[str], level: Mapping[str, int], writers: Mapping[str, list[str]]
) -> set[str]:
    """The device's nodes in stretches without a convolution or matrix product that the host feeds and reads.

    A stretch: nodes of one level that are connected. One that reads a graph input or makes an output stays.
    """
    parent: dict[str, str] = {}
    worth: set[str] = set()
    fed: set[str] = set()
    read: set[str] = set()

    def stretch(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    inputs = frozenset(graph.inputs)
    for node in graph.compute_nodes:
        before = writers[node.key]
        if node.key in on_host:
            read.update(other for other in before if other not in on_host)
            continue
        parent[node.key] = node.key
        for other in before:
            if other in on_host:
                fed.add(node.key)
            elif level[other] == level[node.key]:
                parent[stretch(other)] = stretch(node.key)
        ends = not (inputs.isdisjoint(node.inputs) and graph.is_output.isdisjoint(node.outputs))
        if ends or node.bodies or node.op_type in WORTH_LEAVING:
            worth.add(node.key)
    busy = {stretch(key) for key in worth}
    light = {stretch(key) for key in fed} & {stretch(key) for key in read} - busy
    return {key for key in parent if stretch(key) in light}
