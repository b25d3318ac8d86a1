"""The graph that rules read: nodes in execution order, values with types, and what of it is work at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import onnx

from onnxlint.attributes import attribute
from onnxlint.operators import CONTROL_FLOW, Call
from onnxlint.tensor import TensorType
from onnxlint.values import Array

if TYPE_CHECKING:
    import networkx

Role = Literal["compute", "constant", "shape"]
LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
"""Operators whose body runs once per trip."""
_UNKNOWN = TensorType(0, None)


class Node(msgspec.Struct, frozen=True, eq=False):
    """One operator call, located by `key`: its first output's name.

    `inputs` keeps order and repetition ("" for an omitted one). `role` is "constant" for what depends on constants
    alone and "shape" for what depends on the inputs' shapes but not their data: neither is work at run time.
    """

    op_type: str
    domain: str
    version: int
    key: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, onnx.AttributeProto]
    role: Role = "compute"
    bodies: Mapping[str, Graph] = msgspec.field(default_factory=dict)
    trips: int | None = None

    @property
    def qualified_op(self) -> str:
        """`Conv`, or `com.microsoft:FusedConv` outside ai.onnx."""
        return f"{self.domain}:{self.op_type}" if self.domain else self.op_type

    @property
    def is_control_flow(self) -> bool:
        """The node runs its bodies and does nothing else."""
        return bool(self.bodies) and self.op_type in CONTROL_FLOW and self.domain == ""

    @property
    def reads(self) -> tuple[str, ...]:
        """The values that the node, or a body of it, reads, each once."""
        own = dict.fromkeys(self.inputs)
        if self.bodies:
            for body in self.bodies.values():
                own |= dict.fromkeys(body.captured)
        own.pop("", None)
        return tuple(own)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute's Python value, or `default`."""
        return attribute(self.attributes, name, default)

    def ints(self, name: str) -> list[int] | None:
        """An attribute's integers; None where there is none, or it holds anything else."""
        found = self.attr(name, ())
        return [*found] if found and all(isinstance(one, int) for one in found) else None


_key = attrgetter("key")


def dequantizes(node: Node) -> bool:
    """A DequantizeLinear that is work at run time."""
    return node.op_type == "DequantizeLinear" and node.role == "compute"


@dataclass(frozen=True, eq=False)
class Graph:
    """A read-only graph: `nodes` in execution order, `types` of all values, `weights` (initializers) by name.

    `values` holds small constants. Every name is resolved: a body's values carry the path of the enclosing node.
    `outer` are the values from outside a body that do not depend on the inputs' data.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, TensorType]
    values: Mapping[str, Array]
    weights: frozenset[str]
    outer: frozenset[str] = frozenset()

    def type_of(self, name: str) -> TensorType:
        """The value's type; unknown (dtype 0, no shape) for a name that nothing tells of."""
        return self.types.get(name, _UNKNOWN)

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.reads:
                readers.setdefault(name, []).append(node)
        return readers

    @cached_property
    def captured(self) -> frozenset[str]:
        """The values that this graph, as a body, reads from outside."""
        own = {name for node in self.nodes for name in node.outputs} | set(self.inputs) | self.weights
        read = {name for node in self.nodes for name in node.reads} | set(self.outputs)
        return frozenset(read - own)

    @cached_property
    def position(self) -> dict[str, int]:
        """Node key → place in execution order."""
        return dict(zip(map(_key, self.nodes), range(len(self.nodes)), strict=True))

    @cached_property
    def is_output(self) -> frozenset[str]:
        """The graph's outputs as a set."""
        return frozenset(self.outputs)

    def node(self, key: str) -> Node:
        """The node of that key; raises KeyError."""
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def get(self, key: str) -> Node | None:
        """The node of that key, or None."""
        index = self.position.get(key)
        return self.nodes[index] if index is not None else None

    def producer(self, name: str) -> Node | None:
        """The node that writes the value, None for inputs, weights and values from outside."""
        return self._producers.get(name)

    def consumers(self, name: str) -> list[Node]:
        """The nodes that read the value, each once, in execution order."""
        return self._consumers.get(name, [])

    @cached_property
    def _readers(self) -> dict[str, list[Node]]:
        return {}

    def readers(self, name: str) -> list[Node]:
        """The consumers that are work at run time, found where asked for."""
        found = self._readers.get(name)
        if found is None:
            nodes = self.consumers(name)
            found = self._readers[name] = [node for node in nodes if node.role == "compute"]
        return found

    def sole_reader(self, name: str) -> Node | None:
        """The one node that reads the value, if exactly one does and it is no output of the graph."""
        readers = self.consumers(name)
        return readers[0] if len(readers) == 1 and name not in self.is_output else None

    @cached_property
    def _constants(self) -> frozenset[str]:
        return self.weights.union(
            self.outer, (name for node in self.nodes if node.role != "compute" for name in node.outputs)
        )

    def is_constant(self, name: str) -> bool:
        """The value does not depend on the inputs' data."""
        return name in self._constants

    @cached_property
    def compute_nodes(self) -> tuple[Node, ...]:
        """The nodes that are work at run time, in execution order."""
        return tuple(node for node in self.nodes if node.role == "compute")

    @cached_property
    def writers(self) -> dict[str, list[str]]:
        """Key of a run-time node, in execution order → the run-time nodes that write what it takes in."""
        wrote = {name: node.key for node in self.compute_nodes for name in node.outputs if name}
        return {node.key: [wrote[name] for name in node.inputs if name in wrote] for node in self.compute_nodes}

    @cached_property
    def has_dequantized(self) -> bool:
        """Some run-time node is a DequantizeLinear."""
        return any(map(dequantizes, self.nodes))

    @cached_property
    def unresolved(self) -> tuple[str, ...]:
        """The values read or returned at run time whose shape is not known, bodies included."""
        inputs = tuple(name for name in self.inputs if self.consumers(name) and not self.type_of(name).is_known)
        return inputs + tuple(
            name
            for graph in self.with_bodies()
            for node in graph.compute_nodes
            for name in node.outputs
            if name and not graph.type_of(name).is_known and (graph.consumers(name) or name in graph.is_output)
        )

    @cached_property
    def uncounted_loops(self) -> tuple[str, ...]:
        """The keys of the loops whose trip count is data, bodies included."""
        return tuple(
            node.key
            for graph in self.with_bodies()
            for node in graph.compute_nodes
            if node.op_type in LOOPS and node.bodies and node.trips is None
        )

    def with_bodies(self) -> Iterator[Graph]:
        """This graph and those of the bodies of its run-time nodes, at every depth."""
        pending = [self]
        while pending:
            graph = pending.pop()
            yield graph
            pending += [body for node in graph.compute_nodes if node.bodies for body in node.bodies.values()]

    @cached_property
    def network(self) -> networkx.MultiDiGraph[str]:
        """The graph of node keys in networkx: one edge a value read, with the value's name as its key."""
        import networkx

        network: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        network.add_nodes_from((node.key, {"node": node}) for node in self.nodes)
        for writer in self.nodes:
            for name in writer.outputs:
                for reader in self.consumers(name) if name else ():
                    network.add_edge(writer.key, reader.key, key=name)
        return network

    def mark(self, node: Node) -> tuple[object, ...]:
        """Equal for nodes that a cost function can't tell apart: one operator, attributes, types and known values.

        By the identities of objects that nodes alike share: a mark is good as long as the graph and the node live.
        """
        types, values, inputs, outputs = self.types.get, self.values.get, node.inputs, node.outputs
        # what is left out has no type, and neither has what nothing tells of
        absent = [name == "" for name in (*inputs, *outputs)] if "" in inputs or "" in outputs else ()
        return (
            node.op_type,
            node.domain,
            node.version,
            id(node.attributes),
            len(inputs),
            *map(id, map(types, inputs)),
            *map(id, map(values, inputs)),
            *map(id, map(types, outputs)),
            *absent,
        )

    def call(self, node: Node) -> Call:
        """The node as a cost function sees it."""
        types, values = self.types, self.values
        return Call(
            node.op_type,
            node.version,
            node.attributes,
            tuple([types.get(name, _UNKNOWN) if name else None for name in node.inputs]),
            tuple([types.get(name, _UNKNOWN) if name else None for name in node.outputs]),
            tuple([values.get(name) for name in node.inputs]),
        )
