"""Parameters: which stored tensors reach an operator as data, each counted once, at its first reader."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from onnxlint.graph import Graph, Node
from onnxlint.operators import is_learnable_input, is_parameter_input, weights_per_element
from onnxlint.tensor import QUANTIZED, WIDE_FLOATS, TensorType, UnknownShape, dtype_bits

_INT32 = 6
_TAKES_INT32 = frozenset({"DequantizeLinear", "QLinearConv", "QLinearConvTranspose", "QGemm"})
_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}


class Params(msgspec.Struct, frozen=True):
    """Weights: elements, those of them that training moves, and bytes as stored (quantization scales included)."""

    count: int = 0
    learnable: int = 0
    stored_bytes: int = 0

    def __add__(self, other: Params) -> Params:
        return Params(
            self.count + other.count, self.learnable + other.learnable, self.stored_bytes + other.stored_bytes
        )


_NONE = Params()


def params_by_node(graph: Graph) -> dict[str, Params]:
    """Node key → the weights that this node, or a body of it, is the first to read."""
    return dict(_Counter([graph]).by_node())


class _Counter:
    """One walk over a graph and its bodies; `graphs` are the enclosing ones, innermost last."""

    def __init__(self, graphs: list[Graph], seen: set[str] | None = None) -> None:
        self.graphs = graphs
        self.seen: set[str] = set() if seen is None else seen

    def by_node(self) -> Iterator[tuple[str, Params]]:
        graph = self.graphs[-1]
        for node in graph.compute_nodes:
            found = _NONE
            for index, name in enumerate(node.inputs):
                if name and name not in self.seen and graph.is_constant(name):
                    found += self.behind(node, index, name)
            for body in node.bodies.values():
                for _, inner in _Counter([*self.graphs, body], self.seen).by_node():
                    found += inner
            if found.stored_bytes:
                yield node.key, found

    def behind(self, reader: Node, index: int, name: str) -> Params:
        """The stored tensors that a constant input is made of: initializers, Constants, ConstantOfShape weights."""
        is_learnable = is_learnable_input(reader.domain, reader.op_type, index)
        packed = _packing(reader, index)
        total = _NONE
        pending = [(reader, index, name)]
        while pending:
            node, at, name = pending.pop()
            is_weight = is_parameter_input(node.domain, node.op_type, at) and at not in _STATES.get(node.op_type, ())
            source = self.producer(name)
            if name in self.seen or not (is_weight or self.is_quantization(node)):
                continue
            if source is not None and source.op_type != "ConstantOfShape" and any(source.inputs):
                if is_weight:
                    self.seen.add(name)
                    pending += [(source, i, before) for i, before in enumerate(source.inputs) if before]
            elif self.type_of(name).dtype in _WEIGHTS:
                self.seen.add(name)
                found = self.leaf(node, name, source, packed)
                count = found.count if is_weight else 0
                total += Params(count, count if is_learnable else 0, found.stored_bytes)
        return total

    def leaf(self, reader: Node, name: str, source: Node | None, packed: tuple[int, int]) -> Params:
        """A stored tensor; a scalar is a number in a formula, no parameter."""
        known = self.type_of(name)
        if source is not None and source.role != "constant":
            return _NONE
        if known.dtype == _INT32 and reader.op_type not in _TAKES_INT32:
            return _NONE
        try:
            elements = known.elements
        except UnknownShape:
            return _NONE
        per_byte, most = packed
        count = elements if dtype_bits(known.dtype) != 8 else min(elements * per_byte, most)
        is_scalar = known.rank == 0 or (elements == 1 and source is not None)
        return Params(0 if is_scalar else count, 0, (elements * dtype_bits(known.dtype) + 7) // 8)

    def is_quantization(self, node: Node) -> bool:
        """The node's scales and zero points are stored beside its quantized weights."""
        return any(name and self.type_of(name).dtype in QUANTIZED for name in node.inputs)

    def producer(self, name: str) -> Node | None:
        for graph in reversed(self.graphs):
            found = graph.producer(name)
            if found is not None:
                return found
        return None

    def type_of(self, name: str) -> TensorType:
        return self.graphs[0].type_of(name)


_WEIGHTS = WIDE_FLOATS | QUANTIZED | {_INT32}


def _packing(reader: Node, index: int) -> tuple[int, int]:
    """How many weights a stored byte of this input holds, and how many the operator has at most (blocks are padded)."""
    per_byte = weights_per_element(reader.domain, reader.op_type, index, reader.attr)
    rows, columns = reader.attr("N", 0), reader.attr("K", 0)
    whole = rows * columns if per_byte > 1 and isinstance(rows, int) and isinstance(columns, int) else 0
    return per_byte, whole or 2**63
