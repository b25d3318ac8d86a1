"""Attention by data flow: a product of two values, a softmax over it, a product with a third; or one fused operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.kernels import ATTENTION
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.walk import data_inputs, writer

_PRODUCTS = frozenset({"MatMul", "Einsum", "Gemm", "FusedMatMul", "MatMulInteger"})
_BEFORE = VIEWS | {"Mul", "Div", "Add", "Sub", "Where", "Cast", "Clip", "Tanh", "Max", "Transpose", "Conv"}
_BEHIND = VIEWS | {"Cast", "Where", "Mul", "Transpose", "Conv", "Slice"}
_MAX_STEPS = 12


@dataclass(frozen=True, slots=True)
class Attention:
    """`nodes` from the product of queries and keys to the product with the values; sizes of one product.

    `batch` counts heads, windows and samples together. `is_fused`: one operator does it all; `mask` is what is added to
    the scores ("" for nothing).
    """

    nodes: tuple[Node, ...]
    query: str
    key: str
    value: str
    output: str
    batch: int
    queries: int
    keys: int
    width: int
    mask: str = ""
    is_fused: bool = False

    @property
    def scores(self) -> int:
        """Elements of the score matrix."""
        return self.batch * self.queries * self.keys

    @property
    def softmax(self) -> Node | None:
        """The softmax, unless it is inside one operator."""
        return next((node for node in self.nodes if node.op_type == "Softmax"), None)


@lru_cache(maxsize=2)
def attentions(graph: Graph) -> tuple[Attention, ...]:
    """Every attention of two products and a softmax, in execution order."""
    found: list[Attention] = []
    for node in graph.compute_nodes:
        one = None
        if node.op_type in ATTENTION:
            one = _fused(graph, node)
        elif node.op_type == "Softmax" and not node.domain:
            one = _spelled(graph, node)
        if one is not None:
            found.append(one)
    return tuple(found)


def _spelled(graph: Graph, softmax: Node) -> Attention | None:
    scores = graph.type_of(softmax.inputs[0])
    if not scores.is_known or not 2 <= len(scores.dims) <= 6:
        return None
    before = _product_before(graph, softmax)
    behind = _product_behind(graph, softmax)
    if before is None or behind is None:
        return None
    (first, above, mask), (last, below, probabilities) = before, behind
    product = graph.type_of(first.outputs[0])
    query = graph.type_of(first.inputs[0])
    value = next((name for name in last.inputs if name != probabilities), "")
    types = [product, *map(graph.type_of, (*first.inputs[:2], value))]
    if not all(known.is_known and len(known.dims) > 1 for known in types):
        return None
    if any(graph.is_constant(name) for name in (*first.inputs[:2], *last.inputs[:2])):
        return None
    queries, keys = product.dims[-2:]
    axis = int(softmax.attr("axis", -1 if softmax.version >= 13 else 1)) % len(scores.dims)
    if axis == len(scores.dims) - 2:  # softmax down the columns: keys come first
        queries, keys = keys, queries
    elif axis != len(scores.dims) - 1 and math.prod(scores.dims[axis:]) != scores.dims[-1]:
        return None
    nodes = (first, *above, softmax, *below, last)
    width = query.dims[-1] if query.dims[-2] == product.dims[-2] else query.dims[-2]
    batch = math.prod(product.dims[:-2])
    return Attention(nodes, first.inputs[0], first.inputs[1], value, last.outputs[0], batch, queries, keys, width, mask)


def _product_before(graph: Graph, softmax: Node) -> tuple[Node, list[Node], str] | None:
    """The product that the scores come from, the nodes between, and what is added to them."""
    above: list[Node] = []
    value, mask = softmax.inputs[0], ""
    elements = graph.type_of(value).elements
    for _ in range(_MAX_STEPS):
        node = writer(graph, value)
        if node is None:
            return None
        is_mixing = any(map(graph.is_constant, node.inputs[:2]))  # heads mixed by weights: talking heads
        if node.op_type in _PRODUCTS and not is_mixing:
            return node, above, mask
        if node.op_type not in _BEFORE | _PRODUCTS or node.domain not in ("", "com.microsoft"):
            return None
        whole = [name for name in node.inputs if name and graph.type_of(name).is_known and not graph.is_constant(name)]
        whole = [name for name in whole if graph.type_of(name).elements == elements]
        if not whole:
            return None
        value = max(whole, key=lambda name: (_from_product(graph, name), name))
        if node.op_type == "Add":
            mask = next((name for name in node.inputs if name != value), "")
        above.insert(0, node)
    return None


def _from_product(graph: Graph, value: str) -> bool:
    """A product lies few steps back: what is masked, not the mask."""
    for _ in range(_MAX_STEPS):
        node = writer(graph, value)
        if node is None:
            return False
        if node.op_type in _PRODUCTS:
            return True
        if node.op_type not in _BEFORE or not node.inputs:
            return False
        value = node.inputs[1 if node.op_type == "Where" and graph.is_constant(node.inputs[2]) else 0]
    return False


def _product_behind(graph: Graph, softmax: Node) -> tuple[Node, list[Node], str] | None:
    """The product with the values, the nodes between, and the probabilities that it reads."""
    below: list[Node] = []
    value = softmax.outputs[0]
    for _ in range(_MAX_STEPS):
        readers = [node for node in graph.readers(value) if node.op_type not in ("IsNaN", "Shape")]
        node = readers[0] if len(readers) == 1 else None
        if node is None:
            return None
        if node.op_type in _PRODUCTS and not any(map(graph.is_constant, node.inputs[:2])):
            return node, below, value
        is_alone = node.op_type == "Where" or len(data_inputs(graph, node)) == 1
        if node.op_type not in _BEHIND | {"Add"} | _PRODUCTS or not is_alone:
            return None
        below += [reader for reader in graph.readers(value) if reader.op_type == "IsNaN"]
        below.append(node)
        value = node.outputs[0]
    return None


def _fused(graph: Graph, node: Node) -> Attention | None:
    data = [name for name in node.inputs[:3] if name]
    types = [graph.type_of(name) for name in data]
    out = graph.type_of(node.outputs[0]) if node.outputs else None
    if not types or not all(known.is_known for known in types) or out is None or not out.is_known:
        return None
    heads = node.attr("num_heads", node.attr("q_num_heads", 1))
    first, dims = types[0].dims, out.dims
    if len(first) < 2 or not dims or not isinstance(heads, int) or heads < 1:
        return None
    if len(first) == 4:
        batch, queries, width = first[0] * first[1], first[2], first[3]
    else:
        batch, queries, width = first[0] * heads, first[-2], dims[-1] // heads
    packed = node.op_type in ("Attention", "QAttention") and node.domain != ""
    other = first if packed or len(types) < 2 else types[1].dims
    keys = other[-2] if len(other) >= 2 else queries
    query, key, value = (data[0],) * 3 if packed else (*data, *data[-1:] * 2)[:3]
    return Attention((node,), query, key, value, node.outputs[0], batch, queries, keys, width, is_fused=True)
