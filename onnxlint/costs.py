"""What nodes cost at a precision: the registry's work turned into bytes, weights told from activations.

Control flow costs as its bodies: an If its dearer branch, a Loop or Scan its body times the constant trip count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from onnxlint.cost import Cost
from onnxlint.device_types import PRECISION_BITS, Precision
from onnxlint.edited_graph import EditedGraph
from onnxlint.graph import Graph, Node
from onnxlint.operators import Work, cost_function
from onnxlint.params import Params, params_by_node
from onnxlint.quantization import IntegerForms, integer_bits, integer_sources, read_as_floats
from onnxlint.tensor import QUANTIZED, WIDE_FLOATS, UnknownShape, dtype_bits

_INT4_ACTIVATION_BITS = 8
_NO_WORK = Work()
_Known = tuple[Work | None, Node]
"""The work of nodes that are alike, and the first of them."""


class Wiring(NamedTuple):
    """How the nodes of a group hang together: the values that leave it, its constants, and where each value stands."""

    nodes: tuple[Node, ...]
    leaving: list[str]
    constants: list[str]
    places: tuple[int, ...]


class CostModel:
    """Costs of one graph's nodes at one precision, each computed once; `outer` is the model of the enclosing graph.

    `forms` are the integer forms of the device's runtime. `work` is None for an operator without a cost function or
    with unknown shapes: such a node's cost is unknown, never zero.
    """

    def __init__(
        self,
        graph: Graph,
        precision: Precision,
        outer: CostModel | None = None,
        forms: IntegerForms | None = None,
    ) -> None:
        self.graph, self.precision, self.outer, self.forms = graph, precision, outer, forms
        self._works: dict[str, _Known] = {}
        self._alike: dict[tuple[object, ...], _Known] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._bodies: dict[int, CostModel] = {}
        self._flows: dict[str, Cost] = {}

    def adopt(self, other: CostModel, edited: EditedGraph) -> None:
        """Take over from the model of the graph before the edits what they leave as it was."""
        self._works = other._works.copy()
        for key in edited.touched:
            self._works.pop(key, None)
        if any(node.role == "constant" for node in edited.new):
            return
        lost = {name for node in edited.gone if node.role == "constant" for name in node.outputs}
        known = other._leaf_bits
        self._leaf_bits = {name: bits for name, bits in known.items() if name not in lost} if lost else known
        # integers reach through views: what a value is read as may depend on nodes far from it
        if not (lost or self.integers or other.integers):
            self._sizes = other._sizes.copy()
            for name in edited.recast:
                self._sizes.pop(name, None)

    def work(self, node: Node) -> Work | None:
        """The node's arithmetic and what it touches, None where unknown; nothing of its own for control flow."""
        return self._known(node)[0]

    def _known(self, node: Node) -> _Known:
        found = self._works.get(node.key)
        if found is None:
            mark = self.graph.mark(node)
            found = self._alike.get(mark)
            if found is None:
                # with the node, since a mark is good as long as what it points to lives
                found = self._alike[mark] = self._work(node), node
            self._works[node.key] = found
        return found

    def _work(self, node: Node) -> Work | None:
        if node.is_control_flow:
            return _NO_WORK
        function = cost_function(node.domain, node.op_type)
        if function is None:
            return None
        try:
            return function(self.graph.call(node))
        except UnknownShape:
            return None

    def arithmetic(self, node: Node) -> tuple[int, int]:
        """The node's multiply-accumulates and other operations, bodies included; zeros where unknown."""
        if node.is_control_flow:
            inner = self._control_flow(node)
            return inner.macs, inner.other_flops
        work = self.work(node)
        return (work.macs, work.other_flops) if work is not None else (0, 0)

    def size(self, name: str) -> tuple[int, int]:
        """Elements of the value (0 where unknown) and bits of each at the executed precision."""
        found = self._sizes.get(name)
        if found is None:
            known = self.graph.type_of(name)
            found = self._sizes[name] = known.elements if known.is_known else 0, self._bits(name, known.dtype)
        return found

    def bits(self, name: str) -> int:
        """Bits of one element of the value at the executed precision; weights stored in fewer keep theirs."""
        return self.size(name)[1]

    def _bits(self, name: str, dtype: int) -> int:
        if dtype not in WIDE_FLOATS:
            return dtype_bits(dtype)
        executed = PRECISION_BITS[self.precision]
        if self.graph.is_constant(name):
            return min(executed, self._stored_bits(name) or executed)
        source = None if name in self._as_floats else self.integers.get(name)
        if source is not None:
            executed = min(executed, integer_bits(self.graph, source)) or executed
        return max(executed, _INT4_ACTIVATION_BITS) if self.precision == "int4" else executed

    def _stored_bits(self, name: str) -> int | None:
        """Bits of the quantized weights that a constant is computed from."""
        model: CostModel | None = self
        while model is not None:
            if name in model._leaf_bits:
                return model._leaf_bits[name]
            model = model.outer
        return None

    @cached_property
    def integers(self) -> Mapping[str, Node]:
        """The float values that are read as integers, with the DequantizeLinear behind each."""
        return integer_sources(self.graph, self.forms)

    @cached_property
    def _as_floats(self) -> frozenset[str]:
        """Those of them that a reader needs as floats: they are written, and counted, as floats."""
        return read_as_floats(self.graph, self.integers, self.forms)

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
        return (elements * self.size(name)[1] + 7) // 8

    def cost(self, nodes: Iterable[Node], written: Iterable[str] | None = None) -> Cost:
        """The cost of nodes that run as one: what passes between them is not moved.

        `written` are the values that must leave the group (default: all that others read). Params are not counted
        here: a tensor may be shared (see `params`).
        """
        nodes = tuple(nodes)
        inner = {name for node in nodes for name in node.outputs}
        macs = flops = 0
        reads: dict[str, int] = {}
        special: dict[str, int] = {}
        extra = None
        for node in nodes:
            if node.is_control_flow:
                own = self._control_flow(node)
                extra = own if extra is None else extra + own
                continue
            work = self.work(node) or _NO_WORK
            macs += work.macs
            flops += work.other_flops
            touched = work.reads
            for index, name in enumerate(node.inputs):
                if name and name not in inner:
                    count = touched[index] if index in touched else self.size(name)[0]
                    if count > reads.get(name, -1):
                        reads[name] = count
            for index, count in work.writes.items():
                if index < len(node.outputs):
                    special[node.outputs[index]] = count
        weights = read = out = 0
        is_constant = self.graph.is_constant
        for name, count in reads.items():
            moved = (count * self.size(name)[1] + 7) // 8
            if is_constant(name):
                weights += moved
            else:
                read += moved
        for name in self.leaving(nodes) if written is None else written:
            elements, bits = self.size(name)
            out += (special.get(name, elements) * bits + 7) // 8
        whole = Cost(0, 0, macs, flops, weights, read, out)
        return whole if extra is None else whole + extra

    def mark(self, wiring: Wiring) -> tuple[object, ...] | None:
        """Equal for groups of nodes that `cost` can't tell apart; None where that would take as long as the cost.

        Nodes alike, wired alike, reading constants stored alike, of which the same values leave the group.
        """
        nodes = wiring.nodes
        if self.integers or any(node.bodies for node in nodes):
            return None
        return (wiring.places, *[id(self._known(node)) for node in nodes], *map(self.size, wiring.constants))

    def wiring(self, nodes: tuple[Node, ...]) -> Wiring:
        """How the nodes hang together; the same in every graph of the same nodes and constants."""
        if len(nodes) == 1:
            names = [*nodes[0].inputs, *nodes[0].outputs]
        else:
            names = [name for node in nodes for name in (*node.inputs, *node.outputs)]
        each = dict.fromkeys(names)
        places = dict(zip(each, range(len(each)), strict=True))
        leaving = self.leaving(nodes)
        constants = [*filter(self.graph.is_constant, places)]
        wired = range(len(names)) if len(places) == len(names) else map(places.__getitem__, names)
        stand = (*wired, -1, *map(places.__getitem__, leaving), -1, *map(places.__getitem__, constants))
        return Wiring(nodes, leaving, constants, stand)

    def leaving(self, nodes: tuple[Node, ...]) -> list[str]:
        """The values written by `nodes` that another node reads or that the graph returns; not those of bodies."""
        graph, returned = self.graph, self.graph.is_output
        if len(nodes) == 1 and not nodes[0].bodies:
            consumers = graph.consumers
            return [name for name in nodes[0].outputs if name and (name in returned or consumers(name))]
        keys = {node.key for node in nodes}
        return [
            name
            for node in nodes
            if not node.is_control_flow
            for name in node.outputs
            if name and (name in returned or any(reader.key not in keys for reader in graph.consumers(name)))
        ]

    def body(self, graph: Graph) -> CostModel:
        """The cost model of a body."""
        if id(graph) not in self._bodies:
            self._bodies[id(graph)] = CostModel(graph, self.precision, self, self.forms)
        return self._bodies[id(graph)]

    def _control_flow(self, node: Node) -> Cost:
        """All that the bodies move and compute: what they take from outside is read there, once per trip."""
        found = self._flows.get(node.key)
        if found is None:
            costs = [
                sum((self.body(body).cost((inner,)) for inner in body.compute_nodes), Cost())
                for body in node.bodies.values()
            ]
            if node.op_type == "If":
                found = max(costs, key=lambda cost: (cost.macs, cost.memory_access_bytes))
            else:
                found = sum(costs, Cost()).repeated(1 if node.trips is None else node.trips)
            self._flows[node.key] = found
        return found

    @cached_property
    def params(self) -> Mapping[str, Params]:
        """Node key → the weights that this node, or a body of it, is the first to read."""
        return params_by_node(self.graph)

    def is_known(self, node: Node) -> bool:
        """The node, and every one in its bodies, has a known cost."""
        if node.is_control_flow:
            return not any(self.body(body).unknown for body in node.bodies.values())
        return self.work(node) is not None

    def macs_coverage(self, operators: frozenset[str]) -> float:
        """The part of the nodes of these operators, bodies included, whose cost is known; 1 where there are none."""
        missing = sum(node.op_type in operators for node in self.unknown)
        if not missing:
            return 1.0
        whole = sum(n.op_type in operators for graph in self.graph.with_bodies() for n in graph.compute_nodes)
        return 1 - missing / whole

    @cached_property
    def unknown(self) -> tuple[Node, ...]:
        """The run-time nodes, bodies included, without a known cost: no cost function, or shapes that nothing tells."""
        found = [node for node in self.graph.compute_nodes if self.work(node) is None]
        for node in self.graph.compute_nodes:
            for body in node.bodies.values() if node.is_control_flow else ():
                found += self.body(body).unknown
        return tuple(found)
