"""Arithmetic in simpler operators: the same up to rounding."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import reshaped, stored, summed
from onnxlint.patterns.forms import Form
from onnxlint.patterns.four_dims import IN_FOUR_DIMS
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import TensorType


def by_a_constant(graph: Graph, node: Node) -> Iterator[Form]:
    """Div as Mul, Sub as Add."""
    if len(node.inputs) != 2 or not graph.is_constant(node.inputs[1]):
        return
    other, word = ("Mul", "the reciprocal") if node.op_type == "Div" else ("Add", "the negated constant")
    edits = (Remove(node.key), Insert(other, node.inputs, node.outputs[:1]))
    yield Form(f"{node.op_type} by a constant as {other} of {word}", "exact", edits)


def square(graph: Graph, node: Node) -> Iterator[Form]:
    """Pow by 2 as Mul."""
    power = graph.values.get(node.inputs[1])
    if power is not None and power.size == 1 and power == 2:
        product = Insert("Mul", (node.inputs[0], node.inputs[0]), node.outputs[:1])
        yield Form("Pow(x, 2) as Mul(x, x)", "exact", (Remove(node.key), product))


def negation(graph: Graph, node: Node) -> Iterator[Form]:
    """Neg as Mul."""
    out = node.outputs[0]
    yield Form("Neg as Mul by -1", "exact", (Remove(node.key), *_negated(graph, node.inputs[0], out, out)))


def difference(graph: Graph, node: Node) -> Iterator[Form]:
    """Sub of two computed values as a sum."""
    if len(node.inputs) != 2 or graph.is_constant(node.inputs[1]):
        return
    out, negated = node.outputs[0], f"{node.outputs[0]}/negated"
    edits = (
        Remove(node.key),
        *_negated(graph, node.inputs[1], negated, out),
        Insert("Add", (node.inputs[0], negated), (out,)),
    )
    yield Form("Sub as Mul by -1 and Add", "exact", edits)
    known = graph.type_of(node.inputs[1])
    if not known.is_known or len(known.dims) >= 4:
        return
    wide = TensorType(known.dtype, (1,) * (4 - len(known.dims)) + known.dims)
    source, turned, minus = (f"{out}/{word}" for word in ("four", "turned", "minus"))
    edits = (
        Remove(node.key),
        stored(minus, known.dtype, (1, 1, 1, 1)),
        *(Declare(name, kind) for name, kind in ((source, wide), (turned, wide), (negated, known))),
        *reshaped(node.inputs[1], source, 4),
        Insert("Mul", (source, minus), (turned,)),
        *reshaped(turned, negated, len(known.dims)),
        Insert("Add", (node.inputs[0], negated), (out,)),
    )
    yield Form(f"Sub as Mul by -1 {IN_FOUR_DIMS}, and Add", "exact", edits)


def _negated(graph: Graph, value: str, result: str, prefix: str) -> Iterator[Edit]:
    known, minus = graph.type_of(value), f"{prefix}/minus"
    yield stored(minus, known.dtype, (1,) * (known.rank or 0))
    yield Declare(result, known)
    yield Insert("Mul", (value, minus), (result,))


def sum_of_several(graph: Graph, node: Node) -> Iterator[Form]:
    """Sum as Add."""
    if len(node.inputs) > 1:
        edits = (Remove(node.key), *summed(node.inputs, node.outputs[0], graph.type_of(node.outputs[0])))
        yield Form("Sum as Add", "exact", edits)


def layer_norm(graph: Graph, node: Node) -> Iterator[Form]:
    """y = (x - mean) / sqrt(var + e) * scale + bias along the last axis, as older opsets export it."""
    known, out = graph.type_of(node.outputs[0]), node.outputs[0]
    last = len(known.dims) - 1
    if len(node.outputs) > 1 or len(node.inputs) < 2:
        return
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
    yield Form("LayerNormalization spelled out, as opset 16 and older export it", "exact", edits)


def reciprocal(graph: Graph, node: Node) -> Iterator[Form]:
    """Reciprocal as a quotient."""
    one = f"{node.outputs[0]}/one"
    quotient = Insert("Div", (one, node.inputs[0]), node.outputs[:1])
    edits = (Remove(node.key), stored(one, graph.type_of(node.outputs[0]).dtype, ()), quotient)
    yield Form("Reciprocal as Div of 1", "exact", edits)


def nan_guard(graph: Graph, node: Node) -> Iterator[Form]:
    """Where(IsNaN(p), 0, p) behind a softmax: only a row of scores that is masked throughout is no number."""
    where = only_reader(graph, node.outputs[0]) if node.op_type == "IsNaN" else node
    test = graph.producer(where.inputs[0]) if where is not None and where.op_type == "Where" else None
    if where is None or test is None or test.op_type != "IsNaN" or where.outputs[0] in graph.is_output:
        return
    softmax = graph.producer(test.inputs[0])
    if softmax is None or softmax.op_type != "Softmax" or where.inputs[2] != test.inputs[0]:
        return
    if only_reader(graph, test.outputs[0]) is not where:
        return
    edits = (Remove(test.key), Remove(where.key), Reconnect(where.outputs[0], test.inputs[0]))
    scores = graph.producer(softmax.inputs[0])
    is_masked = scores is None or scores.op_type not in ("MatMul", "Gemm", "Einsum", "Conv")
    if is_masked:
        title = "IsNaN and its Where left out (same but for rows masked throughout)"
    else:
        title = "IsNaN and its Where left out (no score is masked)"
    yield Form(title, "close" if is_masked else "exact", edits)


def product_by_matrix(graph: Graph, node: Node) -> Iterator[Form]:
    """MatMul by a constant matrix as Gemm."""
    if not graph.is_constant(node.inputs[1]) or graph.type_of(node.inputs[1]).rank != 2:
        return
    before, out = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not before.is_known or len(before.dims) < 2:
        return
    flat, product = f"{node.outputs[0]}/flat", f"{node.outputs[0]}/product"
    rows = before.elements // max(1, before.dims[-1])
    yield Form(
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
