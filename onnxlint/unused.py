"""What a file holds that nothing reads: nodes, weights, functions, opset imports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx

from onnxlint.scope import domain_of
from onnxlint.tensor import dtype_bits
from onnxlint.text import text


@dataclass(frozen=True, slots=True)
class Unused:
    """`nodes` by their keys, `weights` by name with the bytes of all together; `functions` as `domain:name`."""

    nodes: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    weight_bytes: int = 0
    functions: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


NOTHING = Unused()


def find_unused(proto: onnx.ModelProto) -> Unused:
    """What of the model's main graph, functions and imports no output depends on."""
    graph = proto.graph
    live, read = _live(graph)
    weights = [tensor for tensor in graph.initializer if text(tensor.name) not in read]
    sparse = [tensor for tensor in graph.sparse_initializer if text(tensor.values.name) not in read]
    tensors = [*weights, *(tensor.values for tensor in sparse)]
    functions, domains = _functions_and_domains(proto)
    return Unused(
        tuple(_key(node, position) for position, node in enumerate(graph.node) if position not in live),
        tuple(text(tensor.name) for tensor in tensors),
        sum((max(0, math.prod(tensor.dims)) * dtype_bits(tensor.data_type) + 7) // 8 for tensor in tensors),
        tuple(functions),
        tuple(domain for domain in dict.fromkeys(map(_domain, proto.opset_import)) if domain and domain not in domains),
    )


def _domain(entry: onnx.OperatorSetIdProto) -> str:
    return domain_of(entry.domain)


def _key(node: onnx.NodeProto, position: int) -> str:
    """As the reader of graphs locates the node."""
    return next((text(raw) for raw in node.output if raw), f"{text(node.op_type)}#{position}")


def _live(graph: onnx.GraphProto) -> tuple[set[int], set[str]]:
    """The positions of the nodes that the outputs depend on, and the names that these and the outputs read."""
    writers = {text(raw): position for position, node in enumerate(graph.node) for raw in node.output if raw}
    live: set[int] = set()
    read: set[str] = set()
    pending = [text(info.name) for info in graph.output]
    while pending:
        name = pending.pop()
        if name in read:
            continue
        read.add(name)
        position = writers.get(name)
        if position is not None and position not in live:
            live.add(position)
            pending += _reads(graph.node[position])
    return live, read


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The names that a node and its bodies read; what a body binds itself too."""
    for inner, bodies in _with_bodies([node]):
        yield from map(text, inner.input)
        for body in bodies:
            yield from (text(info.name) for info in body.output)


def _functions_and_domains(proto: onnx.ModelProto) -> tuple[list[str], set[str]]:
    """The functions that no node calls, and the domains of all nodes that may run."""
    known = {(domain_of(f.domain), text(f.name), text(f.overload)): f for f in proto.functions}
    called: set[tuple[str, str, str]] = set()
    domains: set[str] = set()
    pending: list[Iterable[onnx.NodeProto]] = [proto.graph.node]
    while pending:
        for node, _ in _with_bodies(pending.pop()):
            call = (domain_of(node.domain), text(node.op_type), text(node.overload))
            domains.add(call[0])
            if call in known and call not in called:
                called.add(call)
                pending.append(known[call].node)
    return [":".join(filter(None, key[:2])) for key in known if key not in called], domains


def _with_bodies(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, list[onnx.GraphProto]]]:
    """The nodes and those of their bodies, at every depth, each with its own bodies."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        bodies = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
        bodies += [body for attribute in node.attribute for body in attribute.graphs]
        yield node, bodies
        for body in bodies:
            pending += body.node
