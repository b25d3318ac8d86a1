"""Parallel linear branches of one input that a sum joins: together they are one convolution (re-parameterisation).

A branch is a convolution with constant weights, with BatchNormalization behind it or not, a BatchNormalization alone,
or the input itself. All are linear, so the weights add up: a smaller window stands inside the largest, the identity is
the window of one position with weight 1 (RepVGG, arXiv 2101.03697).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, attributes_of, sizes
from onnxlint.patterns.edits import stored

_SUMS = frozenset({"Add", "Sum"})
_MAX_SUMS = 16
"""More sums in a row are no block."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """`conv` is None for the input itself and for its BatchNormalization; `nodes` lie between source and sum."""

    nodes: tuple[Node, ...]
    conv: Node | None
    source: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Nodes of a sum of parallel linear branches and `main`, the convolution whose window holds all the others'."""

    nodes: tuple[Node, ...]
    main: Node
    source: str
    output: str

    def edits(self, graph: Graph, tag: str) -> tuple[Edit, ...]:
        """One convolution, with a bias, in place of all."""
        weight, bias = f"{self.output}~{tag}.weight", f"{self.output}~{tag}.bias"
        kind = graph.type_of(self.main.inputs[1])
        insert = Insert("Conv", (self.source, weight, bias), (self.output,), attributes_of(self.main))
        return (
            *(Remove(node.key) for node in self.nodes),
            Declare(weight, kind, is_weight=True),
            stored(bias, kind.dtype, kind.dims[:1]),
            insert,
        )


@lru_cache(maxsize=2)
def merges(graph: Graph) -> tuple[Merge, ...]:
    """The sums whose branches are linear in one value and merge exactly into the largest convolution among them."""
    return tuple(_merges(graph))


def _merges(graph: Graph) -> Iterator[Merge]:
    taken: set[str] = set()
    for node in reversed(graph.compute_nodes):
        if node.op_type not in _SUMS or node.domain or node.key in taken:
            continue
        sums, operands = _summed(graph, node)
        if len(sums) > _MAX_SUMS:
            taken.update(one.key for one in sums)
            continue
        # a constant of one number a channel, or one for all, goes into the bias: Python's sum() begins with 0
        operands = [name for name in operands if not _is_bias(graph, name, node.outputs[0])]
        found = [branch for name in operands if (branch := _branch(graph, name)) is not None]
        if (
            not operands
            or len({*operands}) < len(operands)
            or len(found) < len(operands)
            or len({b.source for b in found}) > 1
        ):
            continue
        main = _holding_all(graph, found, node)
        if main is not None:
            nodes = (*(n for branch in found for n in branch.nodes), *sums)
            taken.update(n.key for n in nodes)
            yield Merge(nodes, main, found[0].source, node.outputs[0])


def _summed(graph: Graph, last: Node) -> tuple[list[Node], list[str]]:
    """The sum with the sums before it that nothing else reads, and what they add up."""
    sums, operands, pending, seen = [last], [], list(last.inputs), {last.key}
    while pending:
        name = pending.pop()
        writer = graph.producer(name)
        inner = writer is not None and writer.op_type in _SUMS and writer.role == "compute" and not writer.domain
        if inner and writer is not None and graph.sole_reader(name) is not None and writer.key not in seen:
            seen.add(writer.key)  # a sum of a value and itself names it twice
            sums.append(writer)
            pending += writer.inputs
        else:
            operands.append(name)
    return sums, operands


def _is_bias(graph: Graph, name: str, like: str) -> bool:
    shape, wanted = graph.type_of(name).shape, graph.type_of(like).shape
    if not graph.is_constant(name) or shape is None or wanted is None or len(shape) > len(wanted):
        return False
    aligned = (1,) * (len(wanted) - len(shape)) + tuple(shape)
    return all(size == 1 or (axis == 1 and size == wanted[1]) for axis, size in enumerate(aligned))


def _branch(graph: Graph, name: str) -> _Branch | None:
    """The linear branch that ends in a value; the value itself where nothing linear writes it for the sum alone."""
    if not name or graph.is_constant(name):
        return None
    nodes: list[Node] = []
    value = name
    writer = _own(graph, value)
    if writer is not None and _is_affine(graph, writer):
        nodes.append(writer)
        value = writer.inputs[0]
        writer = _own(graph, value)
    if writer is not None and writer.op_type == "Conv" and sizes(graph, writer) is not None:
        return _Branch((*nodes, writer), writer, writer.inputs[0])
    return _Branch(tuple(nodes), None, value)


def _is_affine(graph: Graph, node: Node) -> bool:
    is_fixed = len([name for name in node.outputs if name]) == 1 and all(map(graph.is_constant, node.inputs[1:]))
    return node.op_type == "BatchNormalization" and is_fixed


def _own(graph: Graph, name: str) -> Node | None:
    writer = graph.producer(name)
    return writer if writer is not None and writer.role == "compute" and graph.sole_reader(name) is not None else None


def _holding_all(graph: Graph, branches: list[_Branch], last: Node) -> Node | None:
    """The convolution of the largest window if strides, groups and widths are equal and the others lie inside it."""
    found = [conv for b in branches if b.conv is not None and (conv := sizes(graph, b.conv)) is not None]
    out = graph.type_of(last.outputs[0])
    if not found or not out.is_known or len({_kind(conv) for conv in found}) > 1 or None in map(_kind, found):
        return None
    if any(graph.type_of(conv.node.outputs[0]).shape != out.shape for conv in found):
        return None
    largest = max(found, key=lambda conv: conv.weights)
    one = (1,) * len(largest.kernel)
    inner = [(conv.kernel, _pads(conv)) for conv in found]
    if len(found) < len(branches):
        if graph.type_of(branches[0].source).shape != out.shape or _strides(largest) != one:
            return None
        inner.append((one, (0,) * len(one)))
    for kernel, pads in inner:
        offsets = [wide - own for wide, own in zip(_pads(largest), pads, strict=True)]
        if min(offsets) < 0 or any(o + k > w for o, k, w in zip(offsets, kernel, largest.kernel, strict=True)):
            return None
    return largest.node


def _kind(conv: ConvSizes) -> tuple[object, ...] | None:
    """What convolutions must share to add up; None for one whose window is spread out or placed by itself."""
    node = conv.node
    if node.attr("auto_pad", b"NOTSET") != b"NOTSET" or set(node.attr("dilations", None) or [1]) != {1}:
        return None
    return conv.groups, _strides(conv), conv.in_channels


def _strides(conv: ConvSizes) -> tuple[int, ...]:
    return tuple(conv.node.attr("strides", None) or [1] * len(conv.kernel))


def _pads(conv: ConvSizes) -> tuple[int, ...]:
    """Positions before the first, an axis each."""
    rank = len(conv.kernel)
    return tuple((conv.node.attr("pads", None) or [0] * rank)[:rank])
