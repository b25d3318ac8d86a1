"""Operators on values whose first dim is a batch of one, in one dim less."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.contractions import terms_of
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.edits import integers, stored
from onnxlint.patterns.operands import integers_of
from onnxlint.patterns.walk import reduced_axes
from onnxlint.tensor import TensorType

_REDUCTIONS = frozenset({"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"})
_BY_AXIS = {"Concat": 0, "LayerNormalization": -1, "Softmax": -1}
"""Operators that name one axis, with the axis where they do not."""


def leaves_first(graph: Graph, node: Node) -> bool:
    """The operator does nothing along the first dim, or takes the second away."""
    if node.domain or len(node.outputs) != 1:
        return False
    rank = graph.type_of(node.outputs[0]).rank or 0
    if node.op_type in _REDUCTIONS:
        # over the second dim: it becomes the first, and a one of it the batch
        return reduced_axes(graph, node) == [1] and not node.attr("keepdims", 1)
    if not rank:
        return False
    if node.op_type == "Transpose":
        return (node.ints("perm") or [1])[0] == 0
    if node.op_type == "Tile":
        repeats = integers_of(graph, node, 1)
        return repeats is not None and len(repeats) == rank and repeats[0] == 1
    if node.op_type == "Slice":
        axes = integers_of(graph, node, 3)
        return axes is not None and all(axis % rank for axis in axes)
    if node.op_type == "Pad":
        pads = integers_of(graph, node, 1)
        return pads is not None and len(pads) == 2 * rank and not pads[0] and not pads[rank] and len(node.inputs) < 4
    if node.op_type == "Softmax":
        return node.version >= 13 and _axis(node) % rank == rank - 1
    if node.op_type == "LayerNormalization":
        ranks = [graph.type_of(name).rank or 0 for name in node.inputs[1:]]
        return _axis(node) % rank > 0 and max(ranks, default=0) < rank
    constants = [graph.type_of(name) for name in node.inputs if name and graph.is_constant(name)]
    if node.op_type == "Einsum":
        return not constants and _is_turned(node) is not None
    if node.op_type == "Concat":
        return _axis(node) % rank > 0 and not constants
    is_first = all((one.rank or 0) < rank or (one.is_known and one.dims[0] == 1) for one in constants)
    return is_first and (node.op_type == "MatMul" or node.op_type in ELEMENTWISE)


def without_first(graph: Graph, node: Node) -> Iterator[Edit]:
    """The operator, which writes such a value, with its axes counted from the second dim."""
    out = node.outputs[0]
    known = graph.type_of(out)
    if node.op_type == "Transpose":
        perm = [axis - 1 for axis in node.ints("perm") or ()][1:]
        yield Remove(node.key)
        yield Insert("Transpose", node.inputs, node.outputs, (("perm", perm),))
    if node.op_type in _BY_AXIS and _axis(node) >= 0:
        given = dict(attributes_of(node)) | {"axis": _axis(node) - 1}
        yield Remove(node.key)
        yield Insert(node.op_type, node.inputs, node.outputs, tuple(given.items()))
    if node.op_type == "Einsum":
        yield from _product(graph, node)
    if node.op_type in ("Tile", "Pad"):
        sizes = f"{out}/{'repeats' if node.op_type == 'Tile' else 'pads'}"
        yield Remove(node.key)
        yield integers(sizes, (len(known.dims) - 1) * (1 if node.op_type == "Tile" else 2))
        yield Insert(node.op_type, (node.inputs[0], sizes, *node.inputs[2:]), node.outputs, attributes_of(node))
    elif node.op_type == "Slice":
        axes = f"{out}/axes"
        yield Remove(node.key)
        yield integers(axes, graph.type_of(node.inputs[3]).elements or 1)
        yield Insert("Slice", (*node.inputs[:3], axes, *node.inputs[4:]), node.outputs)
    elif node.op_type not in _REDUCTIONS:
        for constant in (one for one in node.inputs if one and graph.is_constant(one)):
            held = graph.type_of(constant)
            if held.rank == known.rank and held.is_known:
                yield stored(constant, held.dtype, held.dims[1:])


def reduced_first(node: Node) -> Iterator[Edit]:
    """A reduction of such a value over its second dim, as one over the first."""
    if node.op_type not in _REDUCTIONS:
        return
    axes = f"{node.outputs[0]}/axes"
    yield Remove(node.key)
    yield integers(axes, 1)
    given = (("keepdims", 1),)
    if node.op_type == "ReduceSum":
        yield Insert(node.op_type, (node.inputs[0], axes), node.outputs, given)
    else:
        yield Insert(node.op_type, node.inputs[:1], node.outputs, (("axes", [0]), *given))


def _product(graph: Graph, node: Node) -> Iterator[Edit]:
    """The Einsum as a MatMul."""
    factor, known = node.inputs[1], graph.type_of(node.inputs[1])
    yield Remove(node.key)
    if _is_turned(node):
        factor, rank = f"{node.outputs[0]}/turned", len(known.dims) - 1
        yield Declare(factor, TensorType(known.dtype, (*known.dims[1:-2], known.dims[-1], known.dims[-2])))
        yield Insert("Transpose", node.inputs[1:], (factor,), (("perm", [*range(rank - 2), rank - 1, rank - 2]),))
    yield Insert("MatMul", (node.inputs[0], factor), node.outputs)


def _is_turned(node: Node) -> bool | None:
    """Of an Einsum that is a product of matrices: whether its second is transposed first; None for another."""
    terms = terms_of(node)
    if terms is None or len({len(word) for word in terms}) > 1:
        return None
    left, right, result = terms
    if len(left) < 3 or len({word[:-2] for word in terms}) > 1 or left[-2] != result[-2]:
        return None
    if left[-1] == right[-1] and result[-1] == right[-2]:
        return True
    return False if left[-1] == right[-2] and result[-1] == right[-1] else None


def _axis(node: Node) -> int:
    return int(node.attr("axis", _BY_AXIS[node.op_type]))
