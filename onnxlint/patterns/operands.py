"""What is stored in the inputs of a node that are numbers: axes, pads, repeats, limits."""

from __future__ import annotations

from onnxlint.graph import Graph, Node


def integers_of(graph: Graph, node: Node, index: int) -> list[int] | None:
    """The integers in the input of that index; None where it is not given or not stored."""
    name = node.inputs[index] if index < len(node.inputs) else ""
    value = graph.values.get(name) if name else None
    return None if value is None else [int(one) for one in value.reshape(-1)]
