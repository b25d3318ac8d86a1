"""Reductions in pools and simpler arithmetic: the same up to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import integers, reshaped, stored
from onnxlint.patterns.forms import Form
from onnxlint.patterns.four_dims import IN_FOUR_DIMS
from onnxlint.patterns.walk import reduced_axes
from onnxlint.tensor import WIDE_FLOATS, TensorType

_POOLS = {
    "ReduceMax": ("maximum", "GlobalMaxPool", ""),
    "ReduceMean": ("mean", "GlobalAveragePool", ""),
    "ReduceSum": ("sum", "GlobalAveragePool", " times their count"),
}


def mean_of_map(graph: Graph, node: Node) -> Iterator[Form]:
    """ReduceMean over height and width as a pool."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if before.rank != 4 or not before.is_known:
        return
    if after.elements != before.dims[0] * before.dims[1] or after.dims[:2] != before.dims[:2]:
        return
    title = "the mean over height and width as GlobalAveragePool"
    if after.rank == 4:
        pool = Insert("GlobalAveragePool", node.inputs[:1], node.outputs[:1])
        yield Form(title, "exact", (Remove(node.key), pool))
        return
    pooled = f"{node.outputs[0]}/pooled"
    edits = (
        Remove(node.key),
        Declare(pooled, TensorType(before.dtype, (*before.dims[:2], 1, 1))),
        Insert("GlobalAveragePool", node.inputs[:1], (pooled,)),
        Insert("Flatten", (pooled,), node.outputs[:1]),
    )
    yield Form(f"{title} and Flatten", "exact", edits)


def pool_of_rows(graph: Graph, node: Node) -> Iterator[Form]:
    """A mean, maximum or sum over the last axes as a pool for each, over values viewed as rows."""
    before, axes = graph.type_of(node.inputs[0]), _last_axes(graph, node)
    if not axes:
        return
    what, pool, more = _POOLS[node.op_type]
    out = node.outputs[0]
    edits: list[Edit] = [Remove(node.key)]
    value = _pooled(edits, node.inputs[0], before, axes, out, pool)
    if node.op_type == "ReduceSum":
        value = _times_count(edits, value, before, axes, out)
    edits += reshaped(value, out, len(graph.type_of(out).dims))
    yield Form(f"the {what} over the last axes as {pool}{more}, between views", "exact", tuple(edits))


def root_of_squares(graph: Graph, node: Node) -> Iterator[Form]:
    """ReduceL2 spelled out."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not before.is_known:
        return
    squares, total, axes = (f"{node.outputs[0]}/{word}" for word in ("square", "total", "axes"))
    given = node.attr("axes")
    along = node.inputs[1:2] or ((axes,) if given is not None else ())
    edits = (
        Remove(node.key),
        *((integers(axes, len(given)),) if along == (axes,) else ()),
        Declare(squares, before),
        Declare(total, after),
        Insert("Mul", (node.inputs[0], node.inputs[0]), (squares,)),
        Insert("ReduceSum", (squares, *along), (total,), (("keepdims", int(node.attr("keepdims", 1))),)),
        Insert("Sqrt", (total,), node.outputs),
    )
    yield Form("ReduceL2 as Mul, ReduceSum and Sqrt", "exact", edits)


def root_of_pooled_squares(graph: Graph, node: Node) -> Iterator[Form]:
    """ReduceL2 over the last axes: the mean of the squares by a pool for each axis, times their count."""
    before, axes, out = graph.type_of(node.inputs[0]), _last_axes(graph, node), node.outputs[0]
    if not axes:
        return
    rows, squares, root = (f"{out}/{word}" for word in ("values", "squares", "root"))
    wide = TensorType(before.dtype, (1, before.elements // max(1, before.dims[-1]), 1, before.dims[-1]))
    edits: list[Edit] = [
        Remove(node.key),
        Declare(rows, wide),
        Declare(squares, wide),
        *reshaped(node.inputs[0], rows, 4),
        Insert("Mul", (rows, rows), (squares,)),
    ]
    value = _pooled(edits, squares, before, axes, out, "GlobalAveragePool")
    total = _times_count(edits, value, before, axes, out)
    edits += [
        Declare(root, TensorType(before.dtype, (1, graph.type_of(out).elements, 1, 1))),
        Insert("Sqrt", (total,), (root,)),
        *reshaped(root, out, len(graph.type_of(out).dims)),
    ]
    yield Form(f"ReduceL2 as GlobalAveragePool of the squares and Sqrt {IN_FOUR_DIMS}", "exact", tuple(edits))


def _last_axes(graph: Graph, node: Node) -> list[int]:
    """The axes of a reduction of floats over the last ones, which leaves some dims; none of another."""
    before, axes = graph.type_of(node.inputs[0]), reduced_axes(graph, node)
    if not before.is_known or not axes or axes != list(range(axes[0], len(before.dims))):
        return []
    return axes if graph.type_of(node.outputs[0]).dims and before.dtype in WIDE_FLOATS else []


def _pooled(edits: list[Edit], value: str, before: TensorType, axes: list[int], out: str, pool: str) -> str:
    """The last axes taken away one by one: `edits` get the pools, and the result is [1, kept, 1, 1]."""
    kept = before.elements
    for axis in reversed(axes):
        rows, pooled = f"{out}/rows{axis}", f"{out}/pooled{axis}"
        kept //= max(1, before.dims[axis])
        edits += [
            Declare(rows, TensorType(before.dtype, (1, kept, 1, before.dims[axis]))),
            Declare(pooled, TensorType(before.dtype, (1, kept, 1, 1))),
            *reshaped(value, rows, 4),
            Insert(pool, (rows,), (pooled,)),
        ]
        value = pooled
    return value


def _times_count(edits: list[Edit], mean: str, before: TensorType, axes: list[int], out: str) -> str:
    """The sum of so many from their mean."""
    count, total = f"{out}/count", f"{out}/total"
    kept = math.prod(before.dims[: axes[0]])
    edits += [
        stored(count, before.dtype, (1, 1, 1, 1)),
        Declare(total, TensorType(before.dtype, (1, kept, 1, 1))),
        Insert("Mul", (mean, count), (total,)),
    ]
    return total
