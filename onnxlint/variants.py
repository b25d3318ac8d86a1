"""The forms of an operator that a machine runs at different speeds, as a profile's cost tables name them.

`Transpose.last` moves the innermost axis, `Transpose.mixed` further ones besides, `Resize.cubic` interpolates so,
`ReduceMean.last` reduces the innermost axis, `Softmax.inner` normalizes along another axis than the innermost,
`Expand.last` repeats along the innermost, `Mul.broadcast` has operands of different shapes, `MaxPool.plain` can't use
the runtime's blocked layout. A form that a table does not have costs as the operator itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import inf, prod

from onnxlint.device_runtime import BlockedLayout
from onnxlint.graph import Graph, Node
from onnxlint.tensor import UnknownShape

_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
_BINARY = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"})
_ALONG_AN_AXIS = frozenset({"Concat", "Split"})
_ROW_BY_ROW = frozenset({"Softmax", "LogSoftmax", "LayerNormalization", "SimplifiedLayerNormalization"})
_SINGLE = ((), (1,))
_CUT_OR_REPEATED = frozenset({"Split", "Slice", "Pad", "Expand", "Tile"})


def form_of(graph: Graph, node: Node, blocked: BlockedLayout | None = None) -> str:
    """The operator with the form that this node has, or the operator alone."""
    op = node.op_type
    shape = graph.type_of(node.inputs[0]).shape if node.inputs else None
    rank = len(shape or ())
    if op == "Transpose" and rank:
        return f"{op}{_how_moved(shape or (), node.ints('perm') or list(range(rank))[::-1])}"
    if op == "Resize":
        mode = node.attr("mode", "nearest")
        return f"{op}.{mode.decode() if isinstance(mode, bytes) else mode}"
    if op.startswith("Reduce") and rank:
        axes = node.ints("axes")
        if axes is None and len(node.inputs) > 1 and node.inputs[1] in graph.values:
            axes = graph.values[node.inputs[1]].reshape(-1).tolist()
        return f"{op}.last" if axes is not None and all(axis % rank == rank - 1 for axis in axes) else op
    if op in ("Softmax", "LogSoftmax") and rank:
        return op if int(node.attr("axis", -1)) % rank == rank - 1 else f"{op}.inner"
    if op == "Expand" and rank:
        written = graph.type_of(node.outputs[0]).shape
        return f"{op}.last" if written and shape and written[-1] != shape[-1] else op
    if op in _ALONG_AN_AXIS and rank:
        return f"{op}.last" if int(node.attr("axis", 0)) % rank == rank - 1 else op
    if op in _BINARY and len(node.inputs) == 2:
        second = graph.type_of(node.inputs[1]).shape
        is_single = shape in _SINGLE or second in _SINGLE
        return f"{op}.broadcast" if None not in (shape, second) and shape != second and not is_single else op
    if op in _POOLS and blocked is not None:
        channels = shape[1] if shape is not None and len(shape) == 4 else None
        return f"{op}.plain" if channels is None or channels % blocked.block else op
    return op


def run_of(graph: Graph, node: Node) -> float:
    """Elements that the node handles in one go: the row that it normalizes, the stretch that it copies as a whole.

    Infinite for operators that have no rows, and where a shape is unknown.
    """
    try:
        read = graph.type_of(node.inputs[0]).dims if node.inputs else ()
        written = graph.type_of(node.outputs[0]).dims
    except UnknownShape:
        return inf
    rank, op = len(read), node.op_type
    if not rank:
        return inf
    if op in _ROW_BY_ROW:
        return prod(read[int(node.attr("axis", -1)) % rank :])
    if op.startswith("Reduce"):
        return read[-1]
    if op == "Transpose":
        order = node.ints("perm") or list(range(rank))[::-1]
        whole = read[_last_difference(order, range(rank)) + 1 :]
        return prod(whole) if whole else inf
    if op == "Concat":
        return prod(read[int(node.attr("axis", 0)) % rank :])
    if op in _CUT_OR_REPEATED and len(written) == rank:
        cut = written if op == "Slice" else read
        axis = max(0, _last_difference(read, written))
        if op == "Expand" and axis == rank - 1:
            # one element fills as much as it is repeated along the innermost axes
            return prod(itertools.takewhile(lambda size: size != 1, _repeats(read, written)))
        return prod(cut[axis + 1 if op == "Slice" and _has_steps(graph, node) else axis :])
    return inf


def _how_moved(shape: Sequence[int | None], order: Sequence[int]) -> str:
    """`.last` where the innermost axis is moved, `.mixed` where more than one block of axes changes its place as well.

    Axes of 1 have no place, and axes that stay side by side are one.
    """
    if len(order) != len(shape) or order[-1] == len(shape) - 1:
        return ""
    moved = [axis for axis in order if shape[axis] != 1]
    place = {axis: index for index, axis in enumerate(sorted(moved))}
    parts = sum(place[after] != place[before] + 1 for before, after in itertools.pairwise(moved)) + 1
    fixed = int(bool(moved) and place[moved[0]] == 0)
    return ".mixed" if parts - fixed > 2 else ".last"


def _repeats(read: Sequence[int], written: Sequence[int]) -> Iterator[int]:
    """How often an element is repeated along each axis, the innermost first."""
    return (after // before if before else 0 for before, after in zip(reversed(read), reversed(written), strict=True))


def _last_difference(first: Sequence[object], second: Sequence[object]) -> int:
    """The last place at which two sequences of one length differ, -1 if they are equal."""
    return next((i for i in reversed(range(len(first))) if first[i] != second[i]), -1)


def _has_steps(graph: Graph, node: Node) -> bool:
    """The Slice leaves elements out between those that it takes."""
    steps = graph.values.get(node.inputs[4]) if len(node.inputs) > 4 else None
    return steps is not None and bool((steps != 1).any())


def cost_of(table: Mapping[str, float], form: str, otherwise: float = 1.0) -> float:
    """The table's factor for this form, else for its operator, else 1."""
    return table.get(form, table.get(form.partition(".")[0], otherwise))
