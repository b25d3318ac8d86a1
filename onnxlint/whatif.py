"""Edits applied to a graph's nodes and types only, so that the change can be priced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import onnx

from onnxlint.analysis import Analysis
from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove, Reorder
from onnxlint.graph import Graph, Node
from onnxlint.latency import Seconds
from onnxlint.ordering import CycleError, execution_order


class EditError(Exception):
    """Edits that do not fit the graph: a node that is not there, a cycle."""


def apply(graph: Graph, edits: Iterable[Edit]) -> Graph:
    """The graph after the edits; raises EditError.

    The result is for pricing: a value that lost its writer stays readable with the type it had.
    """
    edits = tuple(edits)
    renamed: dict[str, str] = {}
    types, weights = dict(graph.types), set(graph.weights)
    removed: set[str] = set()
    inserted: list[Insert] = []
    position = dict(graph.position)
    for edit in edits:
        match edit:
            case Remove(key):
                if key not in graph.position or key in removed:
                    raise EditError(f"there is no node {key!r}")
                removed.add(key)
            case Insert():
                inserted.append(edit)
            case Reconnect(value, to):
                renamed[value] = to
            case Declare(value, known, is_weight):
                types[value] = known
                if is_weight:
                    weights.add(value)
            case Reorder(keys):
                position |= dict.fromkeys(position, -1) | {key: index for index, key in enumerate(keys)}
    kept = [_rewired(node, renamed) for node in graph.nodes if node.key not in removed]
    at = min((position[key] for key in removed), default=0)
    version = next((node.version for node in graph.nodes if node.domain == ""), 17)
    order = [(position[node.key], 1, node) for node in kept]
    order += [(at, 0, _new_node(edit, version)) for edit in inserted]
    nodes = _sorted([node for *_, node in sorted(order, key=lambda entry: entry[:2])])
    outputs = tuple(_final(renamed, name) for name in graph.outputs)
    return Graph(nodes, graph.inputs, outputs, types, graph.values, frozenset(weights))


def saving(before: Analysis, edits: Iterable[Edit]) -> Seconds:
    """Seconds that the edits save, one per parameter set; raises EditError."""
    edits = tuple(edits)
    if all(_is_idle(before.graph, edit) for edit in edits):
        return np.zeros_like(before.total)
    after = Analysis(apply(before.graph, edits), before.target, before)
    saved: Seconds = before.total - after.total
    return saved


def _is_idle(graph: Graph, edit: Edit) -> bool:
    """The edit stores what a constant computes, as it is: no work at run time changes."""
    match edit:
        case Remove(key):
            node = graph.get(key)
            if node is None:
                raise EditError(f"there is no node {key!r}")
            return node.role != "compute"
        case Declare(value, known, is_weight):
            return is_weight and graph.is_constant(value) and known == graph.type_of(value)
        case _:
            return False


def alone(analysis: Analysis, edits: Iterable[Edit]) -> Analysis:
    """The inserted nodes by themselves, each reading what it names from memory; raises EditError.

    A quick way to time alternatives of single kernels: no other node of the graph is looked at.
    """
    graph = analysis.graph
    edits = tuple(edit for edit in edits if isinstance(edit, Insert | Declare))
    constants = {n for e in edits if isinstance(e, Insert) for n in e.inputs if n and graph.is_constant(n)}
    bare = Graph((), (), (), graph.types, graph.values, graph.weights | constants)
    return Analysis(apply(bare, edits), analysis.target)


def _final(renamed: dict[str, str], name: str) -> str:
    for _ in range(len(renamed) + 1):
        if name not in renamed:
            return name
        name = renamed[name]
    raise EditError("values are renamed in a circle")


def _rewired(node: Node, renamed: dict[str, str]) -> Node:
    if not renamed or not any(name in renamed for name in node.inputs):
        return node
    return replace(node, inputs=tuple(_final(renamed, name) for name in node.inputs))


def _new_node(edit: Insert, version: int) -> Node:
    attributes = {name: onnx.helper.make_attribute(name, value) for name, value in edit.attributes}
    return Node(edit.op_type, edit.domain, version, edit.outputs[0], "", edit.inputs, edit.outputs, attributes)


def _sorted(nodes: list[Node]) -> tuple[Node, ...]:
    """The nodes in an order that keeps theirs wherever data flow allows it."""
    writer = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    needs = [{writer[name] for name in node.reads if name in writer} for node in nodes]
    try:
        return tuple(nodes[index] for index in execution_order(needs))
    except CycleError:
        raise EditError("the edits close a cycle") from None
