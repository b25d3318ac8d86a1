"""A Loop with a constant number of trips, as its body that many times."""

from __future__ import annotations

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import integers
from onnxlint.tensor import INT64, TensorType

_MAX_TRIPS = 64
_MAX_NODES = 1024
_BOOL = 9


def unrolled(graph: Graph, node: Node) -> tuple[Edit, ...]:
    """The edits that unroll the loop; empty for one without a known number of trips, or too large."""
    body = node.bodies.get("body")
    if node.op_type != "Loop" or node.domain or body is None or node.trips is None:
        return ()
    inner = body.compute_nodes
    if not 0 < node.trips <= _MAX_TRIPS or node.trips * len(inner) > _MAX_NODES or any(n.bodies for n in inner):
        return ()
    carried = len(node.inputs) - 2
    if len(body.inputs) != carried + 2 or len(body.outputs) < carried + 1:
        return ()
    edits: list[Edit] = [Remove(node.key)]
    own = {n for one in inner for n in one.inputs if n and body.is_constant(n) and not graph.is_constant(n)}
    edits += [Declare(name, body.type_of(name), is_weight=True) for name in sorted(own)]
    state = list(node.inputs[2:])
    stacks: list[list[str]] = [[] for _ in body.outputs[carried + 1 :]]
    for trip in range(node.trips):
        named = dict(zip(body.inputs[2:], state, strict=True))
        for name, kind in zip(body.inputs[:2], (TensorType(INT64, ()), TensorType(_BOOL, ())), strict=True):
            named[name] = f"{name}/{trip}"
            edits.append(Declare(named[name], kind, is_weight=True))
        for one in inner:
            for name in one.outputs:
                if name:
                    named[name] = f"{name}/{trip}"
                    edits.append(Declare(named[name], body.type_of(name)))
            attributes = tuple((name, one.attr(name)) for name in one.attributes)
            given = tuple(named.get(name, name) for name in one.inputs)
            edits.append(
                Insert(one.op_type, given, tuple(named.get(name, "") for name in one.outputs), attributes, one.domain)
            )
        state = [named.get(name, name) for name in body.outputs[1 : carried + 1]]
        for stack, name in zip(stacks, body.outputs[carried + 1 :], strict=True):
            stack.append(named.get(name, name))
    edits += [Reconnect(out, value) for out, value in zip(node.outputs, state, strict=False) if out]
    for out, stack in zip(node.outputs[carried:], stacks, strict=False):
        edits += _stacked(graph, out, stack) if out else []
    return tuple(edits)


def _stacked(graph: Graph, out: str, values: list[str]) -> list[Edit]:
    """Each trip's value along a new first axis."""
    known = graph.type_of(out)
    axes = f"{out}/axes"
    rows = [f"{out}/row{index}" for index in range(len(values))]
    row = TensorType(known.dtype, (1, *known.shape[1:]) if known.shape else None)
    return [
        integers(axes, 1),
        *(Declare(name, row) for name in rows),
        *(Insert("Unsqueeze", (value, axes), (name,)) for value, name in zip(values, rows, strict=True)),
        Insert("Concat", tuple(rows), (out,), (("axis", 0),)),
    ]
