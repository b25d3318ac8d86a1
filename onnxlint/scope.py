"""The nodes of a ModelProto with every name resolved: bodies scoped, functions inlined, nodes in execution order.

A value of the main graph keeps its name; one inside an If/Loop/Scan body or a function call carries the path of the
enclosing node in front (`outer/then_branch/inner`), so that a name is an identity across the whole model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
import onnx

from onnxlint.attributes import SharedAttributes, left_out
from onnxlint.load import MAX_NODES, LoadError
from onnxlint.resolved import GraphDef, NodeDef, domain_of, in_order, opsets
from onnxlint.signatures import bodies_problem, call_problem, function_problems, graph_problems, input_problems
from onnxlint.text import printable, text
from onnxlint.validity import INVALID, node_problem

MAX_INLINED_NODES = 100_000
MAX_DEPTH = 64
MAX_ATTRIBUTES = 10_000
MAX_NAME_CHARACTERS = 1 << 27
_SHOWN_INVALID = 8
_NO_ATTRIBUTES: Mapping[str, onnx.AttributeProto] = {}
_NO_BODIES: Mapping[str, GraphDef] = {}


def read_graph(proto: onnx.ModelProto) -> GraphDef:
    """Resolve the model's main graph; raises LoadError for cycles, values written twice and runaway functions."""
    functions = {(domain_of(f.domain), text(f.name), text(f.overload)): f for f in proto.functions}
    reader = _Reader(functions, proto.ir_version)
    reader.invalid += [*function_problems(proto.functions), *input_problems(proto.graph)]
    graph = reader.graph(proto.graph, "", None, opsets(proto.opset_import) or {"": 1})
    graph.problems = [*_problems(graph), *reader.problems()]
    graph.has_invalid = bool(reader.invalid)
    return graph


def _problems(graph: GraphDef) -> Iterator[str]:
    if dangling := sorted(graph.captured):
        names = ", ".join(printable(name, 60) for name in dangling[:3]) + (", …" if len(dangling) > 3 else "")
        are = "value is" if len(dangling) == 1 else "values are"
        yield f"{len(dangling)} {are} read that nothing writes ({names})"
    if not graph.outputs:
        yield "the graph has no outputs"


class _Names(dict[str, str]):
    """What the names of one scope stand for; one that is not bound there is the enclosing scope's, or its own."""

    def __init__(self, path: str, outer: _Names | None, bound: Mapping[str, str]) -> None:
        super().__init__(bound)
        self.path, self.outer = path, outer
        self[""] = ""  # no name, but an omitted input or output

    def __missing__(self, raw: str | bytes) -> str:
        name, scope = text(raw), self
        while name not in scope and scope.outer is not None:
            scope = scope.outer
        return dict.get(scope, name, self.path + name)


class _Reader:
    """Walks bodies and function calls, at most MAX_DEPTH inside each other."""

    def __init__(self, functions: Mapping[tuple[str, str, str], onnx.FunctionProto], ir_version: int) -> None:
        self.functions = functions
        self.count = self.inlined = self.depth = self.calls = self.characters = 0
        self.attributes = SharedAttributes(ir_version)
        self.unversioned: dict[str, int] = {}
        self.invalid: list[str] = []

    def problems(self) -> Iterator[str]:
        """The operators of domains that the model does not import: which version is meant can't be known."""
        for domain, nodes in self.unversioned.items():
            yield f"{nodes} operators are of the domain {printable(domain or 'ai.onnx')!r}, which is not imported"
        yield from self.invalid[:_SHOWN_INVALID]
        if len(self.invalid) > _SHOWN_INVALID:
            yield f"{len(self.invalid) - _SHOWN_INVALID} more nodes contradict their operators' schemas"

    @contextmanager
    def deeper(self, what: str) -> Iterator[None]:
        """One more body or call around what follows; raises LoadError where there are too many."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LoadError(
                f"has bodies or functions more than {MAX_DEPTH} deep inside each other (at {printable(what)!r})"
            )
        yield
        self.depth -= 1

    def graph(
        self,
        proto: onnx.GraphProto,
        path: str,
        outer: _Names | None,
        versions: Mapping[str, int],
        references: Mapping[str, onnx.AttributeProto] | None = None,
    ) -> GraphDef:
        graph = GraphDef(path)
        self.invalid += graph_problems(proto)
        graph.initializers = {path + text(tensor.name): tensor for tensor in proto.initializer}
        graph.sparse = {path + text(tensor.values.name): tensor for tensor in proto.sparse_initializer}
        names = {name[len(path) :]: name for name in (*graph.initializers, *graph.sparse)}
        for info in proto.input:
            name = path + text(info.name)
            names[text(info.name)] = name
            graph.declared[name] = info.type
            if name not in graph.initializers and name not in graph.sparse:
                graph.inputs.append(name)
        for info in (*proto.output, *proto.value_info):
            graph.declared.setdefault(path + text(info.name), info.type)
        own = set(names.values())
        scope = _Scope(path, _Names(path, outer, names), versions, own, references, is_body=True)
        graph.nodes = in_order(self.nodes(proto.node, scope))
        graph.outputs = [scope.names[info.name] or path for info in proto.output]
        read = set[str]().union(*(node.reads() for node in graph.nodes))
        read.discard("")
        read.update(graph.outputs)
        graph.captured = read.difference(own, *(node.outputs for node in graph.nodes))
        return graph

    def nodes(self, protos: Sequence[onnx.NodeProto], scope: _Scope) -> list[NodeDef]:
        """The nodes of one scope, whose names gain their outputs."""
        names, path = scope.names, scope.path
        for proto in protos:
            for raw in proto.output:
                name = text(raw)
                # a body's own value hides an outer one of its name; a function's outputs are bound by its caller
                if name and (scope.is_body or name not in names):
                    names[name] = path + name
                    self.characters += len(path) + len(name)
            if self.characters > MAX_NAME_CHARACTERS:
                raise LoadError(f"has names of more than {MAX_NAME_CHARACTERS >> 20} MiB once they are resolved")
        nodes: list[NodeDef] = []
        for position, proto in enumerate(protos):
            nodes += self.node(proto, position, scope)
        return nodes

    def node(self, proto: onnx.NodeProto, position: int, scope: _Scope) -> list[NodeDef]:
        """The node itself, or those of the function that it calls."""
        names, written = scope.names, scope.written
        self._count()
        inputs = tuple(map(names.__getitem__, proto.input))
        outputs = tuple(map(names.__getitem__, proto.output)) or ("",)
        domain, op_type = domain_of(proto.domain), text(proto.op_type)
        key = outputs[0] or next(filter(None, outputs), f"{scope.path}{op_type}#{position}")
        if len(proto.attribute) > MAX_ATTRIBUTES:
            raise LoadError(f"has a node of {len(proto.attribute):,} attributes, at {printable(key)!r}")
        attributes = self.attributes.of(proto.attribute, scope.references) if proto.attribute else _NO_ATTRIBUTES
        if self.functions:
            function = self.functions.get((domain, op_type, text(proto.overload)))
            if function is not None:
                problem = call_problem(function, proto.input, proto.output)
                if problem is not None:
                    self.invalid.append(
                        f"the node {printable(key)!r} is no valid call of {printable(op_type)}: it {problem}"
                    )
                self._version(domain, scope)
                with self.deeper(op_type):
                    return self.call(function, key, inputs, outputs, attributes, written)
        for name in outputs:
            if name:
                if name in written:
                    raise LoadError(f"is no valid graph: the value {printable(name)!r} is written twice")
                written.add(name)
        version = self._version(domain, scope)
        bodies = self.bodies(op_type, key, attributes, scope) if attributes else _NO_BODIES
        problem = node_problem(op_type, domain, version, inputs, outputs, attributes)
        if len(attributes) < len(proto.attribute):
            problem = problem or left_out(proto.attribute, in_function=scope.references is not None)
        if bodies and not domain:
            problem = problem or bodies_problem(op_type, version, inputs, proto.output, attributes, bodies)
        if problem is not None:
            self.invalid.append(f"the node {printable(key)!r} is no valid {printable(op_type)}: it {problem}")
            op_type += INVALID
        return [NodeDef(op_type, domain, version, text(proto.name), key, inputs, outputs, attributes, bodies)]

    def bodies(
        self, op_type: str, key: str, attributes: Mapping[str, onnx.AttributeProto], scope: _Scope
    ) -> Mapping[str, GraphDef]:
        """The graphs among a node's attributes."""
        found: dict[str, GraphDef] = {}
        for name, attribute in attributes.items():
            if attribute.type == onnx.AttributeProto.GRAPH:
                with self.deeper(op_type):
                    inner = f"{key}/{name}/"
                    found[name] = self.graph(attribute.g, inner, scope.names, scope.versions, scope.references)
        return found or _NO_BODIES

    def _version(self, domain: str, scope: _Scope) -> int:
        """The version of the domain's operators that counts there; 0, which is told of, where none is imported."""
        version = scope.versions.get(domain, 0)
        if not version:
            self.unversioned[domain] = self.unversioned.get(domain, 0) + 1
        return version

    def _count(self) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise LoadError(f"has more than {MAX_NODES:,} nodes")
        if self.calls:
            self.inlined += 1
            if self.inlined > MAX_INLINED_NODES:
                raise LoadError(f"has more than {MAX_INLINED_NODES:,} nodes in its functions once they are inlined")

    def call(
        self,
        function: onnx.FunctionProto,
        key: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attributes: Mapping[str, onnx.AttributeProto],
        written: set[str],
    ) -> list[NodeDef]:
        """The nodes of a function's body, its formal values replaced by the caller's."""
        bound = {text(formal): "" for formal in function.input}
        bound |= dict(zip(map(text, function.input), inputs, strict=False))
        bound |= {formal: actual for formal, actual in zip(map(text, function.output), outputs, strict=False) if actual}
        defaults = {text(attribute.name): attribute for attribute in function.attribute_proto}
        path, references = f"{key}/{text(function.name)}/", {**defaults, **attributes}
        names = _Names(path, None, bound)
        scope = _Scope(path, names, opsets(function.opset_import), written, references, is_body=False)
        self.calls += 1
        nodes = self.nodes(function.node, scope)
        self.calls -= 1
        return nodes


class _Scope(msgspec.Struct, frozen=True):
    """Where nodes stand: `names` resolves theirs, `written` gathers what they write, `references` are the actual
    attributes of the function around them."""

    path: str
    names: _Names
    versions: Mapping[str, int]
    written: set[str]
    references: Mapping[str, onnx.AttributeProto] | None
    is_body: bool
