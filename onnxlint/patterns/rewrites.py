"""Operators rewritten with simpler ones: the same arithmetic, up to rounding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove, Safety
from onnxlint.graph import Graph, Node
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import INT64, TensorType


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
    if name == "LayerNormalization" and len(node.outputs) == 1 and len(node.inputs) > 1:
        yield from _layer_norm(graph, node)
    if name == "ReduceMean" and graph.type_of(first).rank == 4:
        yield from _mean(graph, node)
    if name == "Gather" and (index := graph.values.get(node.inputs[1])) is not None and index.size == 1:
        yield Rewrite("Gather of one place as Slice and Reshape", "exact", (gone, *_sliced(graph, node)))
    if name in ("Squeeze", "Unsqueeze", "Flatten"):
        shape, wanted = f"{out}/shape", TensorType(INT64, (known.rank,))
        declared = Declare(shape, wanted, is_weight=True)
        yield Rewrite(f"{name} as Reshape", "exact", (gone, declared, Insert("Reshape", (first, shape), (out,))))
    if name == "MatMul" and graph.is_constant(node.inputs[1]) and graph.type_of(node.inputs[1]).rank == 2:
        yield from _as_gemm(graph, node)


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
        Declare(epsilon, TensorType(known.dtype, ()), is_weight=True),
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
    names = {word: f"{node.outputs[0]}/{word}" for word in ("flat", "rows", "product", "shape")}
    rows = before.elements // max(1, before.dims[-1])
    yield Rewrite(
        "MatMul by a constant as Reshape to 2-D and Gemm",
        "exact",
        (
            Remove(node.key),
            Declare(names["rows"], TensorType(INT64, (2,)), is_weight=True),
            Declare(names["shape"], TensorType(INT64, (out.rank,)), is_weight=True),
            Declare(names["flat"], TensorType(before.dtype, (rows, before.dims[-1]))),
            Declare(names["product"], TensorType(before.dtype, (rows, out.dims[-1]))),
            Insert("Reshape", (node.inputs[0], names["rows"]), (names["flat"],)),
            Insert("Gemm", (names["flat"], node.inputs[1]), (names["product"],)),
            Insert("Reshape", (names["product"], names["shape"]), node.outputs),
        ),
    )


@dataclass(frozen=True, slots=True)
class Focus:
    """Pixels of each block of 2x2 sliced apart and stacked in the channels, then a convolution."""

    slices: tuple[Node, ...]
    rewrite: Rewrite


def focus(graph: Graph) -> Focus | None:
    """The slicing of the graph's input in front of its first convolution."""
    for concat in graph.compute_nodes:
        if concat.op_type != "Concat" or len(concat.inputs) != 4 or int(concat.attr("axis", 0)) % 4 != 1:
            continue
        conv = only_reader(graph, concat.outputs[0])
        slices: dict[str, Node] = {}
        paths = [_starts(graph, name, slices) for name in concat.inputs]
        sources = {source for source, _ in paths}
        if conv is None or conv.op_type != "Conv" or len(sources) != 1 or len({starts for _, starts in paths}) != 4:
            continue
        if any(reader.key not in slices and reader is not concat for reader in _readers(graph, slices.values())):
            continue
        [source] = sources
        whole, part = graph.type_of(source).shape or (), graph.type_of(concat.inputs[0]).shape or ()
        if [size * 2 for size in part[2:] if size is not None] != list(whole[2:]):
            continue
        weight = graph.type_of(conv.inputs[1])
        if source not in graph.inputs or not weight.is_known or any(len(starts) != 2 for _, starts in paths):
            continue
        if int(conv.attr("group", 1)) != 1 or any(step != 1 for step in conv.attr("dilations") or ()):
            continue
        if conv.attr("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET"):
            continue
        wide = f"{conv.inputs[1]}/wide"
        dims = (weight.dims[0], weight.dims[1] // 4, *(size * 2 for size in weight.dims[2:]))
        attributes = (
            ("strides", [int(step) * 2 for step in conv.attr("strides") or (1, 1)]),
            ("pads", [int(pad) * 2 for pad in conv.attr("pads") or (0, 0, 0, 0)]),
        )
        edits: tuple[Edit, ...] = (
            *(Remove(key) for key in slices),
            Remove(concat.key),
            Remove(conv.key),
            Declare(wide, TensorType(weight.dtype, dims), is_weight=True),
            Insert("Conv", (source, wide, *conv.inputs[2:]), conv.outputs, attributes),
        )
        kernel = "x".join(map(str, dims[2:]))
        title = f"the slices merged with the first convolution: {kernel}, stride {attributes[0][1][0]}"
        return Focus(tuple(slices.values()), Rewrite(title, "exact", edits))
    return None


def _readers(graph: Graph, nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield from graph.readers(node.outputs[0])


def _starts(graph: Graph, value: str, slices: dict[str, Node]) -> tuple[str, frozenset[tuple[int, int]]]:
    """What the slices behind a value, each of every second place along one axis, start from: (axis, start) pairs."""
    starts: set[tuple[int, int]] = set()
    while (node := graph.producer(value)) is not None and node.op_type == "Slice" and len(node.inputs) == 5:
        known = [graph.values.get(name) for name in (node.inputs[1], node.inputs[3], node.inputs[4])]
        given = [array.reshape(-1).tolist() for array in known if array is not None]
        if len(given) < 3 or any(step != 2 for step in given[2]) or not {*given[0]} <= {0, 1}:
            break
        starts |= {(int(axis) % 4, int(start)) for start, axis in zip(given[0], given[1], strict=True)}
        slices[node.key] = node
        value = node.inputs[0]
    return value, frozenset(starts)


def _sliced(graph: Graph, node: Node) -> Iterator[Edit]:
    before, out = graph.type_of(node.inputs[0]), node.outputs[0]
    axis = int(node.attr("axis", 0))
    dims = list(before.shape or ())
    if not before.is_known or not dims:
        return
    dims[axis % len(dims)] = 1
    cut, shape = f"{out}/cut", f"{out}/shape"
    limits = tuple(f"{out}/{word}" for word in ("starts", "ends", "axes"))
    for limit in limits:
        yield Declare(limit, TensorType(INT64, (1,)), is_weight=True)
    if graph.type_of(out).rank == len(dims):
        yield Insert("Slice", (node.inputs[0], *limits), (out,))
        return
    yield Declare(cut, TensorType(before.dtype, tuple(dims)))
    yield Declare(shape, TensorType(INT64, (graph.type_of(out).rank,)), is_weight=True)
    yield Insert("Slice", (node.inputs[0], *limits), (cut,))
    yield Insert("Reshape", (cut, shape), (out,))
