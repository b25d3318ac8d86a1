"""Where each node runs: on the device, or on the host by maximal unsupported partition."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from onnxlint.device import Device
from onnxlint.edited_graph import EditedGraph
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS, ATTENTION, RECURRENT
from onnxlint.support import Support, SupportTable

WORTH_LEAVING = ANCHORS | ATTENTION | RECURRENT
"""Operators that the device takes back from the host, however few they are."""


class Placement(msgspec.Struct, frozen=True):
    """`support` of every run-time node by key; `level` counts the changes of place on the longest way to a node.

    Nodes on the host with the same level are one partition: they run between the same two stretches of the device.
    `unsupported` are those of them that the device can't run.
    """

    support: Mapping[str, Support]
    unsupported: frozenset[str]
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


def place(graph: Graph, device: Device, table: SupportTable, before: Placement | None = None) -> Placement:
    """Place the graph's run-time nodes: what the device does not support falls to its host.

    `before` is the placement of the graph that this one was edited from.

    What lies between two stretches of the host and holds no convolution or matrix product stays there as well:
    runtimes don't hand over for a few element-wise operators, they have a least size of a partition.
    """
    support, unsupported = _supported(graph, table, before)
    is_same = isinstance(graph, EditedGraph) and graph.has_same_nodes
    if before is not None and is_same and unsupported == before.unsupported:
        return Placement(support, unsupported, before.on_host, before.level)
    on_host = set(unsupported)
    if on_host and device.operators.one_partition:
        on_host = _behind_first(graph, on_host)
    if not on_host:
        return Placement(support, unsupported, unsupported, dict.fromkeys(support, 0))
    level = _levels(graph, on_host)
    while kept := _not_worth_leaving(graph, on_host, level):
        on_host |= kept
        level = _levels(graph, on_host)
    return Placement(support, unsupported, frozenset(on_host), level)


def _supported(
    graph: Graph, table: SupportTable, before: Placement | None
) -> tuple[dict[str, Support], frozenset[str]]:
    """The support of each run-time node, and which of them the device can't run.

    Nodes alike are asked for once, those that no edit touched not at all.
    """
    alike: dict[tuple[object, ...], Support] = {}

    def ask(node: Node) -> Support:
        found = table.by_operator(node)
        if found is None:
            mark = (*graph.mark(node), *map(graph.is_constant, node.inputs))
            found = alike.get(mark) or alike.setdefault(mark, table.of(graph, node))
        return found

    if before is None or not isinstance(graph, EditedGraph):
        support = {node.key: ask(node) for node in graph.compute_nodes}
        return support, _not_run(support)
    nodes = [node for key in graph.touched if (node := graph.get(key)) is not None and node.role == "compute"]
    anew = {node.key: ask(node) for node in nodes}
    support = dict(before.support)
    for key in graph.touched.difference(anew):
        support.pop(key, None)
    support.update(anew)
    return support, before.unsupported.difference(graph.touched).union(_not_run(anew))


def _not_run(support: Mapping[str, Support]) -> frozenset[str]:
    return frozenset(key for key, found in support.items() if found.status == "unsupported")


def _behind_first(graph: Graph, on_host: set[str]) -> set[str]:
    """All from the first node on that the device does not support."""
    keys = [node.key for node in graph.compute_nodes]
    first = next(index for index, key in enumerate(keys) if key in on_host)
    return set(keys[first:])


def _levels(graph: Graph, on_host: set[str]) -> dict[str, int]:
    level: dict[str, int] = {}
    for key, before in graph.writers.items():
        if key in on_host:
            most = 0 if before else 1
            for other in before:
                one = level[other] + (other not in on_host)
                if one > most:
                    most = one
        else:
            most = 0
            for other in before:
                one = level[other] + (other in on_host)
                if one > most:
                    most = one
        level[key] = most
    return level


def _takers(graph: Graph, node: Node) -> list[str]:
    """The keys of the nodes that take in what the node writes, without those that read it in a body alone."""
    readers = [(name, reader) for name in node.outputs if name for reader in graph.readers(name)]
    return [reader.key for name, reader in readers if not reader.bodies or name in reader.inputs]


def _not_worth_leaving(graph: Graph, on_host: set[str], level: Mapping[str, int]) -> set[str]:
    """The device's nodes in stretches without a convolution or matrix product that the host feeds and reads.

    A stretch: nodes of one level that are connected. One that reads a graph input or makes an output stays.
    """
    inputs, writers = frozenset(graph.inputs), graph.writers
    nodes, position = graph.nodes, graph.position
    seen: set[str] = set()
    light: set[str] = set()
    for fed in [key for key, before in writers.items() if key not in on_host and not on_host.isdisjoint(before)]:
        if fed in seen:
            continue
        stretch, pending, is_read, own = {fed}, [fed], False, level[fed]
        while pending:
            key = pending.pop()
            node = nodes[position[key]]
            ends = not (inputs.isdisjoint(node.inputs) and graph.is_output.isdisjoint(node.outputs))
            if ends or node.bodies or node.op_type in WORTH_LEAVING:
                break
            behind = _takers(graph, node)
            is_read = is_read or not on_host.isdisjoint(behind)
            near = [other for other in (*behind, *writers[key]) if level[other] == own and other not in on_host]
            if not seen.isdisjoint(near):
                break  # part of a stretch that is worth it
            pending += [other for other in near if other not in stretch]
            stretch.update(near)
        else:
            if is_read:
                light |= stretch
        seen |= stretch
    return light
