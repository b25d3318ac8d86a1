"""What nodes cost at a precision: the registry's work turned into bytes, weights told from activations.

Control flow costs as its bodies: an If its dearer branch, a Loop or Scan its body times the constant trip count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from onnxlint.cost import Cost
from onnxlint.device import PRECISION_BITS, Precision
from onnxlint.graph import Graph, Node
from onnxlint.operators import Work, cost_function
from onnxlint.operators.positions import is_learnable_input, is_parameter_input
from onnxlint.tensor import QUANTIZED, WIDE_FLOATS, UnknownShape, dtype_bits

_INT4_ACTIVATION_BITS = 8
_INT32 = 6
_TAKES_INT32_WEIGHTS = frozenset({"DequantizeLinear", "QLinearConv"})


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a node moves when it runs alone: elements touched of each value read and written."""

    reads: Mapping[str, int]
    writes: Mapping[str, int]


class CostModel:
    """Costs of one graph's nodes at one precision, each computed once.

    `node_work` is None for an operator without a cost function or with unknown shapes: such a node's cost is
    unknown, never zero.
    """

    def __init__(self, graph: Graph, precision: Precision) -> None:
        self.graph, self.precision = graph, precision
        self._works: dict[str, Work | None] = {}
        self._bodies: dict[int, CostModel] = {}

    def work(self, node: Node) -> Work | None:
        """The node's arithmetic and what it touches, None where unknown."""
        if node.key not in self._works:
            self._works[node.key] = self._work(node)
        return self._works[node.key]

    def _work(self, node: Node) -> Work | None:
        function = cost_function(node.domain, node.op_type)
        if function is None:
            return None
        try:
            return function(self.graph.call(node))
        except UnknownShape:
            return None

    def traffic(self, node: Node) -> Traffic:
        """Elements that the node reads and writes; a value read twice counts once, what is unknown counts 0."""
        work = self.work(node) or Work()
        reads: dict[str, int] = {}
        for index, name in enumerate(node.inputs):
            if name:
                touched = work.reads[index] if index in work.reads else self._elements(name)
                reads[name] = max(reads.get(name, 0), touched)
        writes = {
            name: work.writes[index] if index in work.writes else self._elements(name)
            for index, name in enumerate(node.outputs)
            if name
        }
        return Traffic(reads, writes)

    def _elements(self, name: str) -> int:
        try:
            return self.graph.type_of(name).elements
        except UnknownShape:
            return 0

    def bits(self, name: str) -> int:
        """Bits of one element of the value at the executed precision; weights stored in fewer keep theirs."""
        dtype = self.graph.type_of(name).dtype
        own = dtype_bits(dtype)
        if dtype not in WIDE_FLOATS:
            return own
        leaves = self._leaf_bits.get(name) if self.graph.is_constant(name) else None
        executed = PRECISION_BITS[self.precision]
        if self.precision == "int4" and not self.graph.is_constant(name):
            executed = _INT4_ACTIVATION_BITS
        return min(executed, leaves) if leaves else executed

    @cached_property
    def _leaf_bits(self) -> dict[str, int]:
        """Bits of quantized weights, carried through the constant nodes between them and their reader."""
        bits: dict[str, int] = {}
        for node in self.graph.nodes:
            if node.role == "constant" and node.inputs and node.outputs:
                first = node.inputs[0]
                dtype = self.graph.type_of(first).dtype
                stored = dtype_bits(dtype) if dtype in QUANTIZED else bits.get(first)
                if stored:
                    bits[node.outputs[0]] = stored
        return bits

    def bytes(self, name: str, elements: int) -> int:
        """Bytes of so many elements of the value, sub-byte types packed."""
        return (elements * self.bits(name) + 7) // 8

    def cost(self, nodes: Iterable[Node], written: Iterable[str] | None = None) -> Cost:
        """The cost of nodes that run as one: what passes between them is not moved.

        `written` are the values that must leave the group (default: all that others read). Params are not counted
        here: a tensor may be shared (see `params`).
        """
        nodes = tuple(nodes)
        inner = {name for node in nodes for name in node.outputs if name}
        if written is None:
            written = self.leaving(nodes)
        macs = flops = 0
        reads: dict[str, int] = {}
        writes: dict[str, int] = {}
        extra = Cost()
        for node in nodes:
            if node.bodies:
                extra += self._control_flow(node)
            work = self.work(node)
            if work is not None:
                macs += work.macs
                flops += work.other_flops
            traffic = self.traffic(node)
            for name, touched in traffic.reads.items():
                if name not in inner:
                    reads[name] = max(reads.get(name, 0), touched)
            writes.update(traffic.writes)
        weights = sum(self.bytes(name, n) for name, n in reads.items() if self.graph.is_constant(name))
        read = sum(self.bytes(name, n) for name, n in reads.items() if not self.graph.is_constant(name))
        out = sum(self.bytes(name, writes[name]) for name in written if name in writes)
        return Cost(0, 0, macs, flops, weights, read, out) + extra

    def leaving(self, nodes: tuple[Node, ...]) -> list[str]:
        """The values written by `nodes` that another node reads or that the graph returns."""
        keys = {node.key for node in nodes}
        return [
            name
            for node in nodes
            for name in node.outputs
            if name
            and (name in self.graph.is_output or any(reader.key not in keys for reader in self.graph.consumers(name)))
        ]

    def body(self, graph: Graph) -> CostModel:
        """The cost model of a body."""
        if id(graph) not in self._bodies:
            self._bodies[id(graph)] = CostModel(graph, self.precision)
        return self._bodies[id(graph)]

    def _control_flow(self, node: Node) -> Cost:
        costs = [
            sum((self.body(body).cost((inner,)) for inner in body.compute_nodes), Cost())
            for body in node.bodies.values()
        ]
        if node.op_type == "If":
            return max(costs, key=lambda cost: (cost.macs, cost.memory_access_bytes))
        return sum(costs, Cost()).scaled(1 if node.trips is None else node.trips)

    @cached_property
    def params(self) -> dict[str, Params]:
        """Node key → the weights that this node is the first to read."""
        counted: set[str] = set()
        return dict(self._params(counted))

    def _params(self, counted: set[str]) -> Iterable[tuple[str, Params]]:
        for node in self.graph.compute_nodes:
            found = Params()
            for index, name in enumerate(node.inputs):
                if name and self.graph.is_constant(name) and is_parameter_input(node.domain, node.op_type, index):
                    learnable = is_learnable_input(node.domain, node.op_type, index)
                    for leaf in self._leaves(node, name):
                        if leaf not in counted:
                            counted.add(leaf)
                            found += self._one(leaf, learnable)
            for body in node.bodies.values():
                for _, inner in self.body(body)._params(counted):
                    found += inner
            if found.count:
                yield node.key, found

    def _one(self, leaf: str, learnable: bool) -> Params:
        count = self._elements(leaf)
        stored = (count * dtype_bits(self.graph.type_of(leaf).dtype) + 7) // 8
        return Params(count, count if learnable else 0, stored)

    def _leaves(self, reader: Node, name: str) -> Iterable[str]:
        """The stored tensors behind a constant value: initializers, Constants and ConstantOfShape weights."""
        pending, seen = [(reader, name)], {name}
        while pending:
            node, name = pending.pop()
            source = self.graph.producer(name)
            if source is None or not any(source.inputs) or source.op_type == "ConstantOfShape":
                dtype = self.graph.type_of(name).dtype
                if dtype in WIDE_FLOATS or dtype in QUANTIZED or self._is_int32_weight(node, dtype):
                    if source is None or source.role == "constant":
                        yield name
                continue
            for index, before in enumerate(source.inputs):
                is_weight = is_parameter_input(source.domain, source.op_type, index)
                if before and before not in seen and is_weight:
                    seen.add(before)
                    pending.append((source, before))

    def _is_int32_weight(self, reader: Node, dtype: int) -> bool:
        return dtype == _INT32 and reader.op_type in _TAKES_INT32_WEIGHTS


@dataclass(frozen=True, slots=True)
class Params:
    """Weights: elements, those of them that training moves, and bytes as stored."""

    count: int = 0
    learnable: int = 0
    stored_bytes: int = 0

    def __add__(self, other: Params) -> Params:
        return Params(
            self.count + other.count, self.learnable + other.learnable, self.stored_bytes + other.stored_bytes
        )
