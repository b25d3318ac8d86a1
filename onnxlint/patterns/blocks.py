"""Blocks of convolutions: depthwise-separable ones, and parallel branches between a fork and a Concat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.graph import Graph, Node
from onnxlint.patterns.permutations import UNARY, is_dense, is_depthwise, only_reader

_THROUGH = UNARY | {"BatchNormalization", "PRelu"}
_MAX_BETWEEN = 4
_MAX_BRANCH = 12


@dataclass(frozen=True, slots=True)
class Block:
    """Nodes that compute `output` from `source` and nothing else; `kernel` is their largest window."""

    nodes: tuple[Node, ...]
    source: str
    output: str
    kernel: tuple[int, ...]


def separable_blocks(graph: Graph) -> Iterator[Block]:
    """A depthwise and a pointwise convolution behind it, with the pointwise expansion before it if there is one."""
    projections: set[str] = set()
    for node in graph.compute_nodes:
        if not is_depthwise(graph, node):
            continue
        behind = _next(graph, node)
        if behind is None:
            continue
        between, project = behind
        nodes = [node, *between, project]
        before = _previous(graph, node)
        source = node.inputs[0]
        if before is not None and before[0].key not in projections:
            expand, above = before
            nodes, source = [expand, *above, *nodes], expand.inputs[0]
        projections.add(project.key)
        yield Block(tuple(nodes), source, project.outputs[0], kernel_of(graph, node))


def dense_convolutions(graph: Graph) -> Iterator[Block]:
    """Convolutions of one group, window above 1×1, from more channels than an image has."""
    for node in graph.compute_nodes:
        if node.op_type == "Conv" and is_dense(graph, node):
            kernel = kernel_of(graph, node)
            weight = graph.type_of(node.inputs[1]).shape
            if kernel and max(kernel) > 1 and weight is not None and (weight[1] or 0) > 4:
                yield Block((node,), node.inputs[0], node.outputs[0], kernel)


def branched_blocks(graph: Graph) -> Iterator[Block]:
    """Three or more branches from one value, each a plain row of nodes with a convolution in it, to one Concat."""
    for node in graph.compute_nodes:
        if node.op_type != "Concat" or len(node.inputs) < 3:
            continue
        rows = [_row(graph, name) for name in node.inputs]
        sources = {source for _, source in rows}
        if len(sources) != 1 or sum(any(n.op_type == "Conv" for n in row) for row, _ in rows) < 3:
            continue
        kernels = [kernel_of(graph, n) for row, _ in rows for n in row if n.op_type == "Conv"]
        nodes = tuple(n for row, _ in rows for n in row)
        yield Block((*nodes, node), sources.pop(), node.outputs[0], max(kernels, key=lambda k: max(k, default=1)))


def kernel_of(graph: Graph, node: Node) -> tuple[int, ...]:
    """The window of a convolution."""
    shape = graph.type_of(node.inputs[1]).shape or ()
    return tuple(size for size in shape[2:] if size is not None)


def _is_pointwise(graph: Graph, node: Node) -> bool:
    return node.op_type == "Conv" and is_dense(graph, node) and max(kernel_of(graph, node), default=0) == 1


def _next(graph: Graph, node: Node) -> tuple[list[Node], Node] | None:
    between: list[Node] = []
    for _ in range(_MAX_BETWEEN):
        reader = only_reader(graph, (between[-1] if between else node).outputs[0])
        if reader is None:
            return None
        if _is_pointwise(graph, reader):
            return between, reader
        if reader.op_type not in _THROUGH:
            return None
        between.append(reader)
    return None


def _previous(graph: Graph, node: Node) -> tuple[Node, list[Node]] | None:
    between: list[Node] = []
    value = node.inputs[0]
    for _ in range(_MAX_BETWEEN):
        writer = graph.producer(value)
        if writer is None or writer.role != "compute" or only_reader(graph, value) is None:
            return None
        if _is_pointwise(graph, writer):
            return writer, between[::-1]
        if writer.op_type not in _THROUGH:
            return None
        between.append(writer)
        value = writer.inputs[0]
    return None


def _row(graph: Graph, value: str) -> tuple[list[Node], str]:
    row: list[Node] = []
    while len(row) < _MAX_BRANCH:
        writer = graph.producer(value)
        if writer is None or writer.role != "compute" or only_reader(graph, value) is None:
            break
        if sum(not graph.is_constant(name) for name in writer.inputs if name) != 1 or len(writer.outputs) > 1:
            break
        row.append(writer)
        value = writer.inputs[0]
    return row[::-1], value
