"""Residual blocks: a sum of a value and what a few layers make of that same value alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.walk import between, data_inputs, row_back

_SHORTCUT = frozenset({"Conv", "BatchNormalization", "AveragePool", "MaxPool", "Identity", "Mul"})
_MAX_SHORTCUT = 4


@dataclass(frozen=True, slots=True)
class Residual:
    """`body` makes `inner` of `source`, `shortcut` (empty for the identity) what is added to it by `join`."""

    join: Node
    source: str
    inner: str
    body: tuple[Node, ...]
    shortcut: tuple[Node, ...]

    @property
    def output(self) -> str:
        """The sum."""
        return self.join.outputs[0]


@lru_cache(maxsize=2)
def residuals(graph: Graph) -> tuple[Residual, ...]:
    """Every residual sum of two equal shapes, in execution order."""
    found = (_joined(graph, node) for node in graph.compute_nodes if node.op_type == "Add" and not node.domain)
    return tuple(one for one in found if one is not None)


def _joined(graph: Graph, join: Node) -> Residual | None:
    inputs = data_inputs(graph, join)
    known = graph.type_of(join.outputs[0])
    if len(inputs) != 2 or not known.is_known or any(graph.type_of(name).shape != known.shape for name in inputs):
        return None
    # the body is the operand that is written last, or the other where this one is the shortcut's projection
    for inner, other in (inputs, inputs[::-1]):
        body = between(graph, inner, {other})
        if body:
            return Residual(join, other, inner, tuple(body), ())
    for inner, other in (inputs, inputs[::-1]):
        shortcut: list[Node] = []
        for nodes, source in row_back(graph, other, _MAX_SHORTCUT):
            if any(node.op_type not in _SHORTCUT for node in nodes):
                break
            shortcut += nodes
            body = between(graph, inner, {source})
            if body and len(body) > len(shortcut):
                return Residual(join, source, inner, tuple(body), tuple(shortcut[::-1]))
    return None
