"""Operators rewritten with simpler ones: the same arithmetic, up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove, Safety
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.edits import integers, reshaped, sliced, stored, summed
from onnxlint.patterns.four_dims import in_four_dims
from onnxlint.patterns.permutations import keeps_order
from onnxlint.patterns.rotations import as_rotation
from onnxlint.patterns.stacked_sums import sum_of_stack
from onnxlint.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One node, and the pattern around it, in other operators."""

    title: str
    safety: Safety
    edits: tuple[Edit, ...]


def rewrites(graph: Graph, node: Node) -> Iterator[Rewrite]:
    """What is known to stand in for the node."""
    name, out = node.op_type, node.outputs[0]
    gone = Remove(node.key)
    known = graph.type_of(out)
    if not known.is_known or not node.inputs:
        return
    first = node.inputs[0]
    if name in ("Div", "Sub") and len(node.inputs) == 2 and graph.is_constant(node.inputs[1]):
        other = "Mul" if name == "Div" else "Add"
        word = "the reciprocal" if name == "Div" else "the negated constant"
        yield Rewrite(f"{name} by a constant as {other} of {word}", "exact", (gone, Insert(other, node.inputs, (out,))))
    if name == "Pow" and (power := graph.values.get(node.inputs[1])) is not None and power.size == 1 and power == 2:
        yield Rewrite("Pow(x, 2) as Mul(x, x)", "exact", (gone, Insert("Mul", (first, first), (out,))))
    if name == "ReduceL2":
        yield from _root_of_squares(graph, node)
    if name == "Neg":
        yield Rewrite("Neg as Mul by -1", "exact", (gone, *_negated(graph, first, out, out)))
    if name == "Sub" and len(node.inputs) == 2 and not graph.is_constant(node.inputs[1]):
        added = Insert("Add", (first, f"{out}/negated"), (out,))
        edits = (gone, *_negated(graph, node.inputs[1], f"{out}/negated", out), added)
        yield Rewrite("Sub as Mul by -1 and Add", "exact", edits)
    if name == "Split" and all(graph.type_of(part).is_known for part in node.outputs):
        parts = (edit for part in filter(None, node.outputs) for edit in sliced(first, part))
        yield Rewrite("Split as a Slice for each part", "exact", (gone, *parts))
    if name == "Sum" and len(node.inputs) > 1:
        yield Rewrite("Sum as Add", "exact", (gone, *summed(node.inputs, out, known)))
    if name in ("Softmax", "LogSoftmax"):
        yield from _along_the_last_axis(graph, node)
    if name == "LayerNormalization" and len(node.outputs) == 1 and len(node.inputs) > 1:
        yield from _layer_norm(graph, node)
    if name == "ReduceMean" and graph.type_of(first).rank == 4:
        yield from _mean(graph, node)
    if name == "Gather" and (index := graph.values.get(node.inputs[1])) is not None and index.size == 1:
        yield Rewrite("Gather of one place as Slice and Reshape", "exact", (gone, *_sliced(graph, node)))
    if name in ("Squeeze", "Unsqueeze", "Flatten"):
        yield Rewrite(f"{name} as Reshape", "exact", (gone, *reshaped(first, out, len(known.dims))))
    if name == "ReduceSum" and (maps_added := sum_of_stack(graph, node)):
        yield Rewrite("ReduceSum of a stack as Add of its maps", "exact", maps_added)
    if name == "Transpose" and keeps_order(graph, node):
        yield _unmoved(graph, node)
    elif name == "Transpose" and (turned := as_rotation(graph, node)):
        yield Rewrite("Transpose by (0,2,3,1) between two views", "exact", turned)
    if wide := in_four_dims(graph, node):
        yield Rewrite(f"{name} in 4-D, between views", "exact", wide)
    if name == "Expand":
        yield from _broadcast(graph, node)
    if name == "MatMul" and graph.is_constant(node.inputs[1]) and graph.type_of(node.inputs[1]).rank == 2:
        yield from _as_gemm(graph, node)


def _unmoved(graph: Graph, node: Node) -> Rewrite:
    """A Reshape; nothing at all where views behind it bring back the shape before."""
    source, out = node.inputs[0], node.outputs[0]
    known, readers = graph.type_of(source), graph.readers(out)
    are_back = bool(readers) and out not in graph.is_output
    if are_back and all(n.op_type in VIEWS and graph.type_of(n.outputs[0]).shape == known.dims for n in readers):
        edits = [edit for n in readers for edit in (Remove(n.key), Reconnect(n.outputs[0], source))]
        return Rewrite("the Transpose left out (only dims of 1 move)", "exact", (Remove(node.key), *edits))
    changed = (Remove(node.key), *reshaped(source, out, len(known.dims)))
    return Rewrite("Transpose as Reshape (only dims of 1 move)", "exact", changed)


_BROADCASTING = frozenset({"Add", "Sub", "Mul", "Div", "Where", "Max", "Min", "Pow"})


def _broadcast(graph: Graph, node: Node) -> Iterator[Rewrite]:
    """An Expand before operators that broadcast to the same shape by themselves."""
    value, source, readers = node.outputs[0], node.inputs[0], graph.readers(node.outputs[0])
    if not readers or value in graph.is_output or graph.is_constant(source) or not graph.type_of(source).is_known:
        return
    edits: list[Edit] = [Remove(node.key)]
    for reader in readers:
        others = [graph.type_of(name) for name in reader.inputs if name != value]
        wanted = graph.type_of(reader.outputs[0])
        if reader.op_type not in _BROADCASTING or reader.domain or wanted.shape not in [one.shape for one in others]:
            return
        inputs = tuple(source if name == value else name for name in reader.inputs)
        edits += [Remove(reader.key), Insert(reader.op_type, inputs, reader.outputs, attributes_of(reader))]
    yield Rewrite("Expand left to the operators that broadcast by themselves", "exact", tuple(edits))


def _negated(graph: Graph, value: str, result: str, prefix: str) -> Iterator[Edit]:
    known, minus = graph.type_of(value), f"{prefix}/minus"
    yield stored(minus, known.dtype, (1,) * (known.rank or 0))
    yield Declare(result, known)
    yield Insert("Mul", (value, minus), (result,))


def _root_of_squares(graph: Graph, node: Node) -> Iterator[Rewrite]:
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not before.is_known:
        return
    square, total, axes = (f"{node.outputs[0]}/{word}" for word in ("square", "total", "axes"))
    given = node.attr("axes")
    along = node.inputs[1:2] or ((axes,) if given is not None else ())
    edits = (
        Remove(node.key),
        *((integers(axes, len(given)),) if along == (axes,) else ()),
        Declare(square, before),
        Declare(total, after),
        Insert("Mul", (node.inputs[0], node.inputs[0]), (square,)),
        Insert("ReduceSum", (square, *along), (total,), (("keepdims", int(node.attr("keepdims", 1))),)),
        Insert("Sqrt", (total,), node.outputs),
    )
    yield Rewrite("ReduceL2 as Mul, ReduceSum and Sqrt", "exact", edits)


def _along_the_last_axis(graph: Graph, node: Node) -> Iterator[Rewrite]:
    """Softmax of a 4-D map along its last axis: of another axis between two transposes, of 3-D behind a view."""
    known = graph.type_of(node.outputs[0])
    rank, out = len(known.dims), node.outputs[0]
    axis = int(node.attr("axis", -1 if node.version >= 13 else 1)) % max(rank, 1)
    if node.version < 13 and axis != rank - 1:
        return
    inner, result = f"{out}/inner", f"{out}/along"
    kept = (("axis", 3),)
    if rank == 4 and axis != 3:
        perm = [0, 1, 2, 3]
        perm[axis], perm[3] = 3, axis
        turned = TensorType(known.dtype, tuple(known.dims[index] for index in perm))
        edits: tuple[Edit, ...] = (
            Remove(node.key),
            Declare(inner, turned),
            Declare(result, turned),
            Insert("Transpose", node.inputs, (inner,), (("perm", perm),)),
            Insert(node.op_type, (inner,), (result,), kept),
            Insert("Transpose", (result,), (out,), (("perm", perm),)),
        )
        yield Rewrite(f"{node.op_type} along the last axis, between two transposes", "exact", edits)
    if rank == 3 and axis == 2:
        wide = TensorType(known.dtype, (1, *known.dims))
        edits = (
            Remove(node.key),
            Declare(inner, wide),
            Declare(result, wide),
            *reshaped(node.inputs[0], inner, 4),
            Insert(node.op_type, (inner,), (result,), kept),
            *reshaped(result, out, 3),
        )
        yield Rewrite(f"{node.op_type} in 4-D, along the last axis", "exact", edits)


def _layer_norm(graph: Graph, node: Node) -> Iterator[Rewrite]:
    """y = (x - mean) / sqrt(var + e) * scale + bias along the last axis, as older opsets export it."""
    known, out = graph.type_of(node.outputs[0]), node.outputs[0]
    last = len(known.dims) - 1
    if last < 1 or int(node.attr("axis", -1)) not in (-1, last) or "" in node.inputs[:2]:
        return
    row = TensorType(known.dtype, (*known.dims[:-1], 1))
    names = {word: f"{out}/{word}" for word in ("mean", "centred", "square", "variance", "sum", "deviation", "normal")}
    scaled, epsilon = f"{out}/scaled", f"{out}/epsilon"
    along = (("axes", [last]), ("keepdims", 1))
    rows = ("mean", "variance", "sum", "deviation")
    bias = node.inputs[2:3]
    edits = (
        Remove(node.key),
        stored(epsilon, known.dtype, ()),
        *(Declare(name, row if word in rows else known) for word, name in names.items()),
        *((Declare(scaled, known),) if bias else ()),
        Insert("ReduceMean", (node.inputs[0],), (names["mean"],), along),
        Insert("Sub", (node.inputs[0], names["mean"]), (names["centred"],)),
        Insert("Mul", (names["centred"], names["centred"]), (names["square"],)),
        Insert("ReduceMean", (names["square"],), (names["variance"],), along),
        Insert("Add", (names["variance"], epsilon), (names["sum"],)),
        Insert("Sqrt", (names["sum"],), (names["deviation"],)),
        Insert("Div", (names["centred"], names["deviation"]), (names["normal"],)),
        Insert("Mul", (names["normal"], node.inputs[1]), (scaled if bias else out,)),
        *((Insert("Add", (scaled, bias[0]), (out,)),) if bias else ()),
    )
    yield Rewrite("LayerNormalization spelled out, as opset 16 and older export it", "exact", edits)


def _mean(graph: Graph, node: Node) -> Iterator[Rewrite]:
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not before.is_known or after.elements != before.dims[0] * before.dims[1] or after.dims[:2] != before.dims[:2]:
        return
    out = node.outputs[0]
    if after.rank == 4:
        yield Rewrite(
            "the mean over height and width as GlobalAveragePool",
            "exact",
            (Remove(node.key), Insert("GlobalAveragePool", node.inputs[:1], (out,))),
        )
        return
    pooled = f"{out}/pooled"
    yield Rewrite(
        "the mean over height and width as GlobalAveragePool and Flatten",
        "exact",
        (
            Remove(node.key),
            Declare(pooled, TensorType(before.dtype, (*before.dims[:2], 1, 1))),
            Insert("GlobalAveragePool", node.inputs[:1], (pooled,)),
            Insert("Flatten", (pooled,), (out,)),
        ),
    )


def _as_gemm(graph: Graph, node: Node) -> Iterator[Rewrite]:
    before, out = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not before.is_known or len(before.dims) < 2:
        return
    flat, product = f"{node.outputs[0]}/flat", f"{node.outputs[0]}/product"
    rows = before.elements // max(1, before.dims[-1])
    yield Rewrite(
        "MatMul by a constant as Reshape to 2-D and Gemm",
        "exact",
        (
            Remove(node.key),
            Declare(flat, TensorType(before.dtype, (rows, before.dims[-1]))),
            Declare(product, TensorType(before.dtype, (rows, out.dims[-1]))),
            *reshaped(node.inputs[0], flat, 2),
            Insert("Gemm", (flat, node.inputs[1]), (product,)),
            *reshaped(product, node.outputs[0], len(out.dims)),
        ),
    )


def _sliced(graph: Graph, node: Node) -> Iterator[Edit]:
    before, out = graph.type_of(node.inputs[0]), node.outputs[0]
    axis = int(node.attr("axis", 0))
    dims = list(before.shape or ())
    if not before.is_known or not dims:
        return
    dims[axis % len(dims)] = 1
    cut, rank = f"{out}/cut", len(graph.type_of(out).dims)
    if rank == len(dims):
        yield from sliced(node.inputs[0], out)
        return
    yield Declare(cut, TensorType(before.dtype, tuple(dims)))
    yield from sliced(node.inputs[0], cut)
    yield from reshaped(cut, out, rank)
