"""Local response normalization spelled out: the squares averaged over neighbouring channels with a 5-D pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.permutations import only_reader


@dataclass(frozen=True, slots=True)
class SpelledLrn:
    """`source` over a power of the mean of its squares; `nodes` from the square to the Div, `size` channels wide."""

    nodes: tuple[Node, ...]
    source: str
    out: str
    size: int

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The same as one LRN: exact."""
        removed = tuple(Remove(node.key) for node in self.nodes)
        return (*removed, Insert("LRN", (self.source,), (self.out,), (("size", self.size),)))


def spelled_lrns(graph: Graph) -> Iterator[SpelledLrn]:
    """Every one of the graph."""
    for node in graph.compute_nodes:
        if node.op_type == "AveragePool" and not node.domain and graph.type_of(node.inputs[0]).rank == 5:
            found = _around(graph, node)
            if found is not None:
                yield found


def _around(graph: Graph, pool: Node) -> SpelledLrn | None:
    before: list[Node] = []
    node = graph.producer(pool.inputs[0])
    while node is not None and (node.op_type in VIEWS or node.op_type == "Pad") and _has_one_reader(graph, node):
        before.insert(0, node)
        node = graph.producer(node.inputs[0])
    if node is None or not _has_one_reader(graph, node):
        return None
    is_square = node.op_type == "Mul" and node.inputs[0] == node.inputs[1]
    if not is_square and not (node.op_type == "Pow" and graph.is_constant(node.inputs[1])):
        return None
    source, after = node.inputs[0], [pool]
    reader = only_reader(graph, pool.outputs[0])
    while reader is not None and (
        reader.op_type in VIEWS
        or (reader.op_type in ("Mul", "Add", "Pow") and any(graph.is_constant(name) for name in reader.inputs))
    ):
        after.append(reader)
        reader = only_reader(graph, reader.outputs[0])
    if reader is None or reader.op_type != "Div" or after[-1].op_type != "Pow":
        return None
    if reader.inputs != (source, after[-1].outputs[0]):
        return None
    size = max(size for size in pool.attr("kernel_shape") or [1])
    return SpelledLrn((node, *before, *after, reader), source, reader.outputs[0], size)


def _has_one_reader(graph: Graph, node: Node) -> bool:
    return only_reader(graph, node.outputs[0]) is not None or len(graph.readers(node.outputs[0])) == 1
