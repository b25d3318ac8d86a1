"""The nodes of a ModelProto with every name resolved: bodies scoped, functions inlined, nodes in execution order.

A value of the main graph keeps its name; one inside an If/Loop/Scan body or a function call carries the path of the
enclosing node in front (`outer/then_branch/inner`), so that a name is an identity across the whole model.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx

from onnxlint.load import LoadError
from onnxlint.text import printable, text

MAX_NODES = 2_000_000
_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})


@dataclass(slots=True)
class NodeDef:
    """One operator call; `inputs` keeps order and repetition, with "" for an omitted one."""

    op_type: str
    domain: str
    version: int
    name: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, onnx.AttributeProto]
    bodies: dict[str, GraphDef] = field(default_factory=dict)

    def reads(self) -> set[str]:
        """Every value the node needs: its inputs and what its bodies take from outside."""
        names = {name for name in self.inputs if name}
        for body in self.bodies.values():
            names |= body.captured
        return names


@dataclass(slots=True)
class GraphDef:
    """A graph or body: `inputs` without initializers, `declared` the types that the file states."""

    path: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[NodeDef] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    sparse: dict[str, onnx.SparseTensorProto] = field(default_factory=dict)
    declared: dict[str, onnx.TypeProto] = field(default_factory=dict)
    captured: set[str] = field(default_factory=set)


def read_graph(proto: onnx.ModelProto) -> GraphDef:
    """Resolve the model's main graph; raises LoadError for cycles, values written twice and runaway functions."""
    functions = {(domain_of(f.domain), text(f.name), text(f.overload)): f for f in proto.functions}
    return _Reader(functions).graph(proto.graph, "", ChainMap(), opsets(proto.opset_import))


def opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Domain → version, the default domain spelled ""."""
    return {domain_of(entry.domain): entry.version for entry in imports}


def domain_of(raw: str | bytes) -> str:
    """The domain with ONNX's two spellings of the default one made equal."""
    domain = text(raw)
    return "" if domain in _DEFAULT_DOMAINS else domain


class _Reader:
    """Walks bodies and function calls; its depth is bounded by protobuf's own limit on nested messages."""

    def __init__(self, functions: Mapping[tuple[str, str, str], onnx.FunctionProto]) -> None:
        self.functions = functions
        self.count = 0

    def graph(
        self, proto: onnx.GraphProto, path: str, outer: ChainMap[str, str], versions: Mapping[str, int]
    ) -> GraphDef:
        graph = GraphDef(path)
        graph.initializers = {path + text(tensor.name): tensor for tensor in proto.initializer}
        graph.sparse = {path + text(tensor.values.name): tensor for tensor in proto.sparse_initializer}
        names = outer.new_child()
        for name in (*graph.initializers, *graph.sparse):
            names[name[len(path) :]] = name
        for info in proto.input:
            name = path + text(info.name)
            names[text(info.name)] = name
            graph.declared[name] = info.type
            if name not in graph.initializers and name not in graph.sparse:
                graph.inputs.append(name)
        for info in (*proto.value_info, *proto.output):
            graph.declared.setdefault(path + text(info.name), info.type)
        own = set(names.maps[0].values())
        nodes = self.nodes(proto.node, path, names, versions, own)
        graph.outputs = [names.get(text(info.name), path + text(info.name)) for info in proto.output]
        graph.nodes = _sorted(nodes)
        written = own | {name for node in nodes for name in node.outputs}
        graph.captured = (set().union(*(node.reads() for node in nodes)) | set(graph.outputs)) - written
        return graph

    def nodes(
        self,
        protos: Iterable[onnx.NodeProto],
        path: str,
        names: ChainMap[str, str],
        versions: Mapping[str, int],
        written: set[str],
        references: Mapping[str, onnx.AttributeProto] | None = None,
        depth: int = 0,
    ) -> list[NodeDef]:
        """The nodes of one scope; `names` gains their outputs, `references` are a function's actual attributes."""
        protos = list(protos)
        for proto in protos:
            for raw in proto.output:
                name = text(raw)
                if name and names.setdefault(name, path + name) != path + name:
                    # An inner name may shadow nothing by the standard; a function's outputs are bound by its caller.
                    if references is None:
                        names[name] = path + name
        nodes: list[NodeDef] = []
        for position, proto in enumerate(protos):
            nodes += self.node(proto, position, path, names, versions, written, references, depth)
        return nodes

    def node(
        self,
        proto: onnx.NodeProto,
        position: int,
        path: str,
        names: ChainMap[str, str],
        versions: Mapping[str, int],
        written: set[str],
        references: Mapping[str, onnx.AttributeProto] | None,
        depth: int,
    ) -> list[NodeDef]:
        self.count += 1
        if self.count > MAX_NODES:
            raise LoadError(f"has more than {MAX_NODES:,} nodes once its functions are inlined")
        inputs = tuple(names.get(text(raw), path + text(raw)) if raw else "" for raw in proto.input)
        outputs = tuple(names[text(raw)] if raw else "" for raw in proto.output)
        key = next((name for name in outputs if name), f"{path}{text(proto.op_type)}#{position}")
        attributes = _attributes(proto.attribute, references)
        domain, op_type = domain_of(proto.domain), text(proto.op_type)
        function = self.functions.get((domain, op_type, text(proto.overload)))
        if function is not None:
            if depth > _MAX_FUNCTION_DEPTH:
                raise LoadError(f"has functions that call each other without end (at {printable(op_type)!r})")
            return self.call(function, key, inputs, outputs, attributes, written, depth)
        for name in outputs:
            if name in written:
                raise LoadError(f"is no valid graph: the value {printable(name)!r} is written twice")
            if name:
                written.add(name)
        node = NodeDef(op_type, domain, versions.get(domain, 0), text(proto.name), key, inputs, outputs, attributes)
        for name, attribute in attributes.items():
            if attribute.type == onnx.AttributeProto.GRAPH:
                node.bodies[name] = self.graph(attribute.g, f"{key}/{name}/", names, versions)
        return [node]

    def call(
        self,
        function: onnx.FunctionProto,
        key: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attributes: Mapping[str, onnx.AttributeProto],
        written: set[str],
        depth: int,
    ) -> list[NodeDef]:
        bound = {text(formal): "" for formal in function.input}
        bound |= dict(zip(map(text, function.input), inputs, strict=False))
        bound |= {formal: actual for formal, actual in zip(map(text, function.output), outputs, strict=False) if actual}
        defaults = {text(attribute.name): attribute for attribute in function.attribute_proto}
        return self.nodes(
            function.node,
            f"{key}/{text(function.name)}/",
            ChainMap(bound),
            opsets(function.opset_import),
            written,
            {**defaults, **attributes},
            depth + 1,
        )


_MAX_FUNCTION_DEPTH = 64


def _attributes(
    protos: Iterable[onnx.AttributeProto], references: Mapping[str, onnx.AttributeProto] | None
) -> dict[str, onnx.AttributeProto]:
    attributes: dict[str, onnx.AttributeProto] = {}
    for proto in protos:
        if proto.ref_attr_name and references is not None:
            actual = references.get(text(proto.ref_attr_name))
            if actual is not None:
                attributes[text(proto.name)] = actual
        else:
            attributes[text(proto.name)] = proto
    return attributes


def _sorted(nodes: list[NodeDef]) -> list[NodeDef]:
    """The nodes in execution order: as the file has them where that order is valid, else topological."""
    writer = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    needs = [{writer[name] for name in node.reads() if name in writer} for node in nodes]
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return nodes
    readers: list[list[int]] = [[] for _ in nodes]
    for index, need in enumerate(needs):
        for source in need:
            readers[source].append(index)
    missing = [len(need) for need in needs]
    ready = deque(index for index, count in enumerate(missing) if not count)
    order: list[NodeDef] = []
    while ready:
        index = ready.popleft()
        order.append(nodes[index])
        for reader in readers[index]:
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if len(order) < len(nodes):
        stuck = next(node for index, node in enumerate(nodes) if missing[index])
        raise LoadError(f"is no valid graph: it has a cycle through {printable(stuck.key)!r}")
    return order
