"""A graph's nodes at run time: of what is constant only the values are left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from onnxlint.graph import Graph, Node


@dataclass(frozen=True, eq=False, kw_only=True)
class RunTimeGraph(Graph):
    """The nodes of `whole` that run, and those that read what these write: in many files a fifth.

    Who writes a constant, and every node by its key, is known as there; who reads a constant is not, but for the nodes
    that are left.
    """

    whole: Graph

    @classmethod
    def of(cls, graph: Graph) -> RunTimeGraph:
        """The run-time nodes of the graph."""
        kept = tuple(n for n in graph.nodes if n.role == "compute" or (n.role == "shape" and _reads_data(graph, n)))
        return cls(
            kept, graph.inputs, graph.outputs, graph.types, graph.values, graph.weights, graph.outer, whole=graph
        )

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return self.whole._producers

    def get(self, key: str) -> Node | None:
        """The node of that key, or None."""
        return self.whole.get(key)

    @cached_property
    def _constants(self) -> frozenset[str]:
        return self.whole._constants

    @cached_property
    def compute_nodes(self) -> tuple[Node, ...]:
        """The nodes that are work at run time, in execution order."""
        return self.whole.compute_nodes

    @cached_property
    def writers(self) -> dict[str, list[str]]:
        """Key of a run-time node, in execution order → the run-time nodes that write what it takes in."""
        return self.whole.writers

    @cached_property
    def has_dequantized(self) -> bool:
        """Some run-time node is a DequantizeLinear."""
        return self.whole.has_dequantized


def _reads_data(graph: Graph, node: Node) -> bool:
    """The node reads the shape of something computed."""
    return not all(map(graph.is_constant, node.reads))
