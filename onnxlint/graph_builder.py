"""The Graph of a resolved model: decided branches spliced in, constants and shape computations marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from onnxlint.graph import Graph, Node, Role
from onnxlint.resolved import GraphDef, NodeDef
from onnxlint.shapes import Shapes
from onnxlint.validity import INVALID

_NONDETERMINISTIC = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


def build_graph(definition: GraphDef, shapes: Shapes) -> Graph:
    """The Graph that rules read, of a model and what inference found out about it."""
    return _Builder(shapes).graph(definition)


@dataclass(slots=True)
class _Builder:
    """Names are unique across bodies, so one set of each kind serves them all.

    `aliases` maps the outputs of spliced branches to what they stand for. `constant` depends on constants alone,
    `static` on no input's data (a superset).
    """

    shapes: Shapes
    aliases: dict[str, str] = field(default_factory=dict)
    constant: set[str] = field(default_factory=set)
    static: set[str] = field(default_factory=set)

    def graph(self, definition: GraphDef) -> Graph:
        weights: set[str] = set()
        nodes = list(self.spliced(definition, weights))
        self.constant |= weights
        self.static |= weights
        built = tuple(self.node(node) for node in nodes)
        outputs = tuple(self.resolved(name) for name in definition.outputs)
        outer = frozenset(name for name in map(self.resolved, definition.captured) if name in self.static)
        return Graph(
            built,
            tuple(definition.inputs),
            outputs,
            self.shapes.types,
            self.shapes.values,
            frozenset(weights),
            outer - weights,
        )

    def spliced(self, definition: GraphDef, weights: set[str]) -> Iterator[NodeDef]:
        weights |= definition.initializers.keys() | definition.sparse.keys()
        for node in definition.nodes:
            taken = self.shapes.branches.get(node.key) if node.bodies else None
            if taken is None:
                yield node
                continue
            body = node.bodies[taken]
            yield from self.spliced(body, weights)
            self.aliases |= {outer: inner for outer, inner in zip(node.outputs, body.outputs, strict=False) if outer}

    def node(self, definition: NodeDef) -> Node:
        inputs = definition.inputs
        if self.aliases:
            inputs = tuple(self.resolved(name) for name in inputs)
        bodies = {name: self.graph(body) for name, body in definition.bodies.items()} if definition.bodies else _NONE
        role = self.role(definition, inputs, bodies)
        if role != "compute":
            self.static.update(definition.outputs)
        if role == "constant":
            self.constant.update(definition.outputs)
        is_invalid = definition.key in self.shapes.invalid and not definition.op_type.endswith(INVALID)
        return Node(
            definition.op_type + INVALID if is_invalid else definition.op_type,
            definition.domain,
            definition.version,
            definition.key,
            definition.name,
            inputs,
            definition.outputs,
            definition.attributes,
            role,
            bodies,
            self.shapes.trips.get(definition.key) if bodies else None,
        )

    def resolved(self, name: str) -> str:
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def role(self, definition: NodeDef, inputs: Iterable[str], bodies: Mapping[str, Graph]) -> Role:
        if definition.op_type in _NONDETERMINISTIC or any(map(_is_random, bodies.values())):
            return "compute"
        if definition.op_type in ("Shape", "Size") and definition.domain == "":
            return "shape"
        needs = {*inputs, *(name for body in bodies.values() for name in body.captured)} - {""}
        if not needs <= self.static:
            return "compute"
        return "constant" if needs <= self.constant else "shape"


_NONE: Mapping[str, Graph] = {}


def _is_random(body: Graph) -> bool:
    return any(node.op_type in _NONDETERMINISTIC for graph in body.with_bodies() for node in graph.compute_nodes)
