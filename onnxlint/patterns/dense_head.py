"""Fully connected layers over a whole feature map, and all that follows them up to the model's output."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import UnknownShape

_VIEWS = frozenset({"Flatten", "Reshape", "Squeeze"})
_BETWEEN = ELEMENTWISE | _VIEWS | {"BatchNormalization", "Dropout", "GlobalAveragePool", "Identity"}
_MAX_STEPS = 32


@dataclass(frozen=True, slots=True)
class DenseHead:
    """`nodes` from the view (or the convolution as large as the map) to the last product; `products` among them.

    `source` is the feature map, `output` the last product's result, of `classes` columns.
    """

    source: str
    nodes: tuple[Node, ...]
    products: tuple[Node, ...]
    output: str
    classes: int

    @property
    def view(self) -> Node | None:
        """The node that flattens the map, if there is one."""
        return self.nodes[0] if self.nodes[0].op_type in _VIEWS else None


def dense_heads(graph: Graph) -> Iterator[DenseHead]:
    """Every product whose weight has an element for each channel and position of a map, with what follows it."""
    for node in graph.compute_nodes:
        try:
            head = _head(graph, node)
        except UnknownShape:
            continue
        if head is not None:
            yield head


def _head(graph: Graph, node: Node) -> DenseHead | None:
    if node.domain or not node.inputs or (node.op_type != "Conv" and node.op_type not in _VIEWS):
        return None
    source = node.inputs[0]
    known = graph.type_of(source)
    if known.rank is None or known.rank < 3 or not known.is_known or math.prod(known.dims[2:]) < 2:
        return None
    if node.op_type == "Conv":
        if not _covers(graph, node):
            return None
        nodes, first = [node], node
    elif node.op_type in _VIEWS:
        flat = graph.type_of(node.outputs[0])
        if not flat.is_known or flat.dims != (known.dims[0], math.prod(known.dims[1:])):
            return None
        nodes = [node]
        product = _next(graph, nodes)
        if product is None or not is_product(graph, product):
            return None
        first = product
    else:
        return None
    products = [first]
    while (following := _next(graph, nodes)) is not None and is_product(graph, following):
        products.append(following)
    last = products[-1]
    nodes = nodes[: nodes.index(last) + 1]
    out = graph.type_of(last.outputs[0]).dims
    if math.prod(out) != out[0] * out[1]:
        return None
    return DenseHead(source, tuple(nodes), tuple(products), last.outputs[0], out[1])


def is_product(graph: Graph, node: Node) -> bool:
    """A product with a constant weight, or a 1×1 convolution of one position."""
    if len(node.inputs) < 2 or node.domain or not graph.is_constant(node.inputs[1]):
        return False
    if node.op_type == "Conv":
        return _covers(graph, node)
    return node.op_type in ("Gemm", "MatMul") and graph.type_of(node.inputs[0]).rank == 2


def _covers(graph: Graph, node: Node) -> bool:
    """A dense convolution with one window, as large as its input."""
    if len(node.inputs) < 2 or not graph.is_constant(node.inputs[1]) or node.attr("group", 1) != 1:
        return False
    data, weight = graph.type_of(node.inputs[0]).dims, graph.type_of(node.inputs[1]).dims
    out = graph.type_of(node.outputs[0]).dims
    return len(data) > 2 and data[2:] == weight[2:] and set(out[2:]) == {1} and data[1] == weight[1]


def _next(graph: Graph, nodes: list[Node]) -> Node | None:
    """The next node that is no element-wise step or view, appended to `nodes` with all those in between."""
    for _ in range(_MAX_STEPS):
        reader = only_reader(graph, nodes[-1].outputs[0])
        if reader is None or len(reader.outputs) != 1:
            return None
        nodes.append(reader)
        if reader.op_type not in _BETWEEN or reader.domain:
            return reader
        if sum(not graph.is_constant(name) for name in reader.inputs if name) != 1:
            return None
    return None
