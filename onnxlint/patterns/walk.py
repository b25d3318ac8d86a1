"""Steps through the graph that the finders of structures share: one unit back, one forward, all between two values."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.operands import integers_of
from onnxlint.patterns.permutations import UNARY, only_reader
from onnxlint.patterns.spelled_activations import SpelledActivation, spelled_activations

POINTWISE = UNARY | {"PRelu", "BatchNormalization", "InstanceNormalization"}
"""Operators that keep a feature map's shape and read nothing but it and constants."""


@lru_cache(maxsize=2)
def activations_by_output(graph: Graph) -> Mapping[str, SpelledActivation]:
    """Each spelled-out activation by the value it writes."""
    return {found.output: found for found in spelled_activations(graph)}


@lru_cache(maxsize=2)
def activations_by_source(graph: Graph) -> Mapping[str, SpelledActivation]:
    """Each spelled-out activation by the value it reads."""
    return {found.source: found for found in spelled_activations(graph)}


def data_inputs(graph: Graph, node: Node) -> list[str]:
    """What the node reads that depends on the inputs' data, each once."""
    return list(dict.fromkeys(name for name in node.inputs if name and not graph.is_constant(name)))


def is_straight(graph: Graph, nodes: Iterable[Node]) -> bool:
    """Each of the nodes takes in one value that depends on the inputs' data: no other branch joins between them."""
    return all(len(data_inputs(graph, node)) == 1 for node in nodes)


def writer(graph: Graph, value: str) -> Node | None:
    """The run-time node that writes the value."""
    node = graph.producer(value)
    return node if node is not None and node.role == "compute" else None


def step_back(graph: Graph, value: str) -> tuple[tuple[Node, ...], str] | None:
    """The node, or the spelled-out activation, that makes `value` of one value alone, and that value."""
    spelled = activations_by_output(graph).get(value)
    if spelled is not None:
        return spelled.nodes, spelled.source
    node = writer(graph, value)
    if node is None or node.bodies:
        return None
    inputs = data_inputs(graph, node)
    return ((node,), inputs[0]) if len(inputs) == 1 else None


def step_on(graph: Graph, value: str) -> tuple[tuple[Node, ...], str] | None:
    """The node, or the spelled-out activation, that alone reads `value` and nothing else, and what it writes."""
    spelled = activations_by_source(graph).get(value)
    if spelled is not None and value not in graph.is_output:
        keys = {node.key for node in spelled.nodes}
        if all(reader.key in keys for reader in graph.readers(value)):
            return spelled.nodes, spelled.output
    node = only_reader(graph, value)
    if node is None or node.bodies or len(data_inputs(graph, node)) != 1:
        return None
    return (node,), node.outputs[0]


def row_back(graph: Graph, value: str, limit: int) -> Iterator[tuple[tuple[Node, ...], str]]:
    """Up to `limit` such steps back, one after the other."""
    for _ in range(limit):
        step = step_back(graph, value)
        if step is None:
            return
        yield step
        value = step[1]


def between(graph: Graph, output: str, sources: Collection[str], limit: int = 256) -> list[Node] | None:
    """The nodes that make `output` of these values and constants; None where anything else enters, or too many do."""
    at = graph.position
    first = min((at[node.key] for name in sources if (node := graph.producer(name)) is not None), default=-1)
    found: dict[str, Node] = {}
    pending: list[tuple[int, str]] = []
    names = [output]
    while True:
        for name in names:
            if name in sources or not name or graph.is_constant(name):
                continue
            node = graph.producer(name)
            if node is None or at[node.key] <= first or node.bodies:
                return None
            if node.key not in found:
                found[node.key] = node
                heapq.heappush(pending, (-at[node.key], node.key))
        if not pending:
            return sorted(found.values(), key=lambda node: at[node.key])
        if len(found) > limit:
            return None
        names = list(graph.node(heapq.heappop(pending)[1]).inputs)


def is_private(graph: Graph, nodes: Collection[Node], outputs: Collection[str]) -> bool:
    """What the nodes compute is read by themselves alone, but for `outputs`."""
    keys = {node.key for node in nodes}
    return all(
        name in outputs or (name not in graph.is_output and all(r.key in keys for r in graph.readers(name)))
        for node in nodes
        for name in node.outputs
        if name
    )


def private_before(graph: Graph, value: str, limit: int = 256) -> list[Node]:
    """The nodes whose results end in `value` alone, in execution order: what goes when nothing reads it any more."""
    at = graph.position
    found: dict[str, Node] = {}
    pending: list[tuple[int, str]] = []
    start = writer(graph, value)
    if start is not None:
        heapq.heappush(pending, (-at[start.key], start.key))
    while pending and len(found) < limit:
        node = graph.node(heapq.heappop(pending)[1])
        if node.key in found or node.role != "compute":
            continue
        outside = [
            name
            for name in node.outputs
            if name
            and name != value
            and (name in graph.is_output or any(reader.key not in found for reader in graph.readers(name)))
        ]
        if outside or (value in node.outputs and found):
            continue
        found[node.key] = node
        for name in node.inputs:
            before = graph.producer(name) if name else None
            if before is not None and before.key not in found:
                heapq.heappush(pending, (-at[before.key], before.key))
    return sorted(found.values(), key=lambda node: at[node.key])


def reduced_axes(graph: Graph, node: Node) -> list[int] | None:
    """The axes that a reduction or global pool takes away, none negative; None where they are not known."""
    rank = graph.type_of(node.inputs[0]).rank if node.inputs else None
    if rank is None:
        return None
    if node.op_type in ("GlobalAveragePool", "GlobalMaxPool"):
        return list(range(2, rank))
    axes = node.attr("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1]:
        axes = integers_of(graph, node, 1)
        if axes is None:
            return None
    if not axes:
        return [] if node.attr("noop_with_empty_axes", 0) else list(range(rank))
    return sorted(int(axis) % rank for axis in axes) if rank else []
