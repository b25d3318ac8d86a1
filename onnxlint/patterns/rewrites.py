"""Operators rewritten with simpler ones: exact where the arithmetic is the same, lossy where another one stands in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove, Safety
from onnxlint.graph import Graph, Node
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import INT64, TensorType

_ACTIVATIONS = frozenset({"HardSwish", "Gelu", "Mish", "Elu", "Selu", "Celu", "Softplus", "FastGelu", "QuickGelu"})
_GATES = frozenset({"HardSigmoid", "Sigmoid"})


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One node, and the pattern around it, in other operators."""

    title: str
    safety: Safety
    edits: tuple[Edit, ...]


def rewrites(graph: Graph, node: Node) -> Iterator[Rewrite]:
    """What is known to stand in for the node, the exact ones first."""
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
    if name == "ReduceMean" and graph.type_of(first).rank == 4:
        yield from _mean(graph, node)
    if name in ("HardSigmoid", "HardSwish"):
        yield Rewrite(f"{name} as Mul, Add and Clip", "exact", (gone, *_clipped(graph, node)))
    if name == "Gather" and (index := graph.values.get(node.inputs[1])) is not None and index.size == 1:
        yield Rewrite("Gather of one place as Slice and Reshape", "exact", (gone, *_sliced(graph, node)))
    if name in ("Squeeze", "Unsqueeze", "Flatten"):
        shape, wanted = f"{out}/shape", TensorType(INT64, (known.rank,))
        declared = Declare(shape, wanted, is_weight=True)
        yield Rewrite(f"{name} as Reshape", "exact", (gone, declared, Insert("Reshape", (first, shape), (out,))))
    if name in _GATES:
        # x·sigmoid(x) is SiLU, x·hardsigmoid(x) HardSwish: an activation, else a gate
        reader = only_reader(graph, out)
        if reader is not None and reader.op_type == "Mul" and first in reader.inputs:
            edits = (gone, Remove(reader.key), Insert("Relu", (first,), reader.outputs))
            yield Rewrite("SiLU as Relu" if name == "Sigmoid" else "HardSwish as Relu", "lossy", edits)
    if name in _ACTIVATIONS:
        yield Rewrite(f"{name} as Relu", "lossy", (gone, Insert("Relu", (first,), (out,))))
    if name == "Erf" and (gelu := _gelu(graph, node)) is not None:
        source, nodes, result = gelu
        removed = tuple(Remove(member.key) for member in nodes)
        yield Rewrite("GELU as Relu", "lossy", (*removed, Insert("Relu", (source,), (result,))))


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


def _clipped(graph: Graph, node: Node) -> Iterator[Edit]:
    source, out = node.inputs[0], node.outputs[0]
    known = graph.type_of(out)
    scalar = TensorType(known.dtype, ())
    names = {word: f"{out}/{word}" for word in ("slope", "offset", "zero", "one", "scaled", "shifted", "gate")}
    for word in ("slope", "offset", "zero", "one"):
        yield Declare(names[word], scalar, is_weight=True)
    for word in ("scaled", "shifted", "gate"):
        yield Declare(names[word], known)
    is_gate = node.op_type == "HardSigmoid"
    gate = out if is_gate else names["gate"]
    yield Insert("Mul", (source, names["slope"]), (names["scaled"],))
    yield Insert("Add", (names["scaled"], names["offset"]), (names["shifted"],))
    yield Insert("Clip", (names["shifted"], names["zero"], names["one"]), (gate,))
    if not is_gate:
        yield Insert("Mul", (source, gate), (out,))


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


def _gelu(graph: Graph, erf: Node) -> tuple[str, list[Node], str] | None:
    """x·½·(1 + erf(x/√2)) spelled out: its x, its nodes, its result."""
    scaled = graph.producer(erf.inputs[0])
    if scaled is None or scaled.op_type not in ("Div", "Mul") or only_reader(graph, scaled.outputs[0]) is not erf:
        return None
    source = next((name for name in scaled.inputs if not graph.is_constant(name)), None)
    shifted = only_reader(graph, erf.outputs[0])
    if source is None or shifted is None or shifted.op_type != "Add":
        return None
    nodes, node, halved, product = [scaled, erf, shifted], only_reader(graph, shifted.outputs[0]), False, False
    value = shifted.outputs[0]
    while node is not None and node.op_type == "Mul" and not (halved and product):
        other = next((name for name in node.inputs if name != value), "")
        half = graph.producer(other)
        if graph.is_constant(other):
            halved = True
        elif other == source:
            product = True
        elif half is not None and half.op_type == "Mul" and source in half.inputs and not product:
            halved = product = True
            nodes.append(half)
        else:
            return None
        nodes.append(node)
        value = node.outputs[0]
        node = only_reader(graph, value)
    return (source, nodes, value) if product else None
