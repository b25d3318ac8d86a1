"""What a file holds that nothing reads: nodes, weights, functions, opset imports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec
import onnx

from onnxlint.resolved import domain_of
from onnxlint.tensor import dtype_bits
from onnxlint.text import text


class Unused(msgspec.Struct, frozen=True):
    """`nodes` by their keys, `weights` by name with the bytes of all together; `functions` as `domain:name`."""

    nodes: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    weight_bytes: int = 0
    functions: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


NOTHING = Unused()
_Name = str | bytes
"""As protobuf gives it: bytes where it is no UTF-8."""


def find_unused(proto: onnx.ModelProto) -> Unused:
    """What of the model's main graph, functions and imports no output depends on."""
    graph = proto.graph
    nodes = list(graph.node)
    with_bodies = {position for position, node in enumerate(nodes) if node.attribute and any(_bodies(node))}
    live, read = _live(graph, nodes, with_bodies)
    tensors = [tensor for tensor in graph.initializer if tensor.name not in read]
    tensors += [sparse.values for sparse in graph.sparse_initializer if sparse.values.name not in read]
    functions, domains = _functions_and_domains(proto, nodes, with_bodies)
    imports = dict.fromkeys(domain_of(entry.domain) for entry in proto.opset_import)
    return Unused(
        tuple(_key(node, position) for position, node in enumerate(nodes) if position not in live),
        tuple(text(tensor.name) for tensor in tensors),
        sum((max(0, math.prod(tensor.dims)) * dtype_bits(tensor.data_type) + 7) // 8 for tensor in tensors),
        tuple(functions),
        tuple(domain for domain in imports if domain and domain not in domains),
    )


def _key(node: onnx.NodeProto, position: int) -> str:
    """As the reader of graphs locates the node."""
    return next((text(raw) for raw in node.output if raw), f"{text(node.op_type)}#{position}")


def _live(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], with_bodies: set[int]) -> tuple[set[int], set[_Name]]:
    """The positions of the nodes that the outputs depend on, and the names that these and the outputs read."""
    writers: dict[_Name, int] = {raw: position for position, node in enumerate(nodes) for raw in node.output if raw}
    live: set[int] = set()
    read: set[_Name] = set()
    pending: list[_Name] = [info.name for info in graph.output]
    while pending:
        name = pending.pop()
        if name in read:
            continue
        read.add(name)
        position = writers.get(name)
        if position is not None and position not in live:
            live.add(position)
            pending += _reads(nodes[position]) if position in with_bodies else nodes[position].input
    return live, read


def _reads(node: onnx.NodeProto) -> Iterator[_Name]:
    """The names that a node and its bodies read; what a body binds itself too."""
    for inner in _with_bodies([node]):
        yield from inner.input
        for body in _bodies(inner):
            yield from (info.name for info in body.output)


def _functions_and_domains(
    proto: onnx.ModelProto, nodes: list[onnx.NodeProto], with_bodies: set[int]
) -> tuple[list[str], set[str]]:
    """The functions that no node calls, and the domains of all nodes that may run."""
    known = {(domain_of(f.domain), text(f.name), text(f.overload)): f for f in proto.functions}
    if not known and not with_bodies:
        return [], {domain_of(raw) for raw in {node.domain for node in nodes}}
    called: set[tuple[str, str, str]] = set()
    domains: set[str] = set()
    pending: list[Iterable[onnx.NodeProto]] = [nodes]
    while pending:
        for node in _with_bodies(pending.pop()):
            call = (domain_of(node.domain), text(node.op_type), text(node.overload))
            domains.add(call[0])
            if call in known and call not in called:
                called.add(call)
                pending.append(known[call].node)
    return [":".join(filter(None, key[:2])) for key in known if key not in called], domains


def _with_bodies(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and those of their bodies, at every depth."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        if node.attribute:
            for body in _bodies(node):
                pending += body.node


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs
