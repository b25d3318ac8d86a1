"""Operators that undo each other.

## What it does
Finds rows of Transposes that end in the order they began with, rows of Reshapes (Squeeze, Unsqueeze, Flatten) that end
in the shape they began with, and a Cast to a wider type and back. float32 to float16 to float32 is no such pair: it
rounds.

## Why it costs
Each Transpose reads and writes the whole tensor and computes nothing: a pair on a 1x256x56x56 feature map in fp16 moves
6.4 MB. Most come from converters that change the layout around every operator, and from code that goes to tokens and
straight back. ONNX Runtime cancels neighbouring pairs when it loads the model; toolchains that translate operator by
operator move the data twice.

## How to fix
Let the readers of the last read what the first one read: exact. Where the value between has other readers, the first
stays.
Silent where the last one's result is an output of the graph, on Reshapes of free dims, and where shapes are unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from onnxlint.finding import Edit, Finding, Fix, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.no_ops import Known, passed_on
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="GRF002", name="cancelling-pair", severity="warning")
_VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten"})
_MAX_ROW = 8
# every value of the type is one of each of these
_HOLDS_EXACTLY = {
    10: {1, 11},
    16: {1, 11},
    1: {11},
    9: {1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 16},
    2: {1, 4, 5, 6, 7, 10, 11, 12, 13, 16},
    3: {1, 5, 6, 7, 10, 11, 16},
    4: {1, 6, 7, 11, 12, 13},
    5: {1, 6, 7, 11},
    6: {7, 11},
    12: {7, 11, 13},
}
"""Element type → those that hold all its values: a Cast there and back changes nothing."""


class _Row(NamedTuple):
    nodes: list[Node]
    source: str


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all rows."""
    graph, known = ctx.graph, Known(ctx.graph, not ctx.assumed)
    rows: list[_Row] = []
    taken: set[str] = set()
    for node in graph.compute_nodes:
        row = _row_to(known, node) if node.outputs[0] not in graph.is_output else None
        if row is not None and taken.isdisjoint(member.key for member in row.nodes):
            taken.update(member.key for member in row.nodes)
            rows.append(row)
    if not rows:
        return
    nodes = [node for row in rows for node in row.nodes]
    removed = {node.key for row in rows for node in _removable(graph, row)}
    edits: list[Edit] = [Remove(node.key) for node in nodes if node.key in removed]
    edits += [Reconnect(row.nodes[-1].outputs[0], row.source) for row in rows]
    counted = Counter("-".join(node.op_type for node in row.nodes) for row in rows)
    first = rows[0].nodes
    yield Finding(
        message=f"{plural(len(rows), 'row')} of operators {'undoes' if len(rows) == 1 else 'undo'} "
        f"{'itself' if len(rows) == 1 else 'themselves'} ({', '.join(f'{n}x {k}' for k, n in counted.most_common(2))})",
        suggestion=f"Read {graph.type_of(rows[0].source)} as it stands before {first[0].op_type} "
        f"instead of behind {first[-1].op_type}, and so on: same outputs, {plural(len(removed), 'operator')} fewer.",
        nodes=tuple(node.key for node in nodes),
        places=len(rows),
        fixes=(Fix(f"{plural(len(removed), 'operator')} that cancel left out", "exact", tuple(edits)),),
    )


def _removable(graph: Graph, row: _Row) -> list[Node]:
    """The row's nodes from the end on, as far as nothing but the row itself reads them."""
    removable = [row.nodes[-1]]
    for node in row.nodes[-2::-1]:
        if graph.sole_reader(node.outputs[0]) is not removable[-1]:
            break
        removable.append(node)
    return removable


def _row_to(known: Known, last: Node) -> _Row | None:
    """The shortest row of operators of one kind that ends in `last` and leaves what it reads as it was."""
    kind = _kind(last)
    if not kind or not last.inputs or passed_on(known, last) is not None:
        return None
    nodes, order = [last], _order(last)
    graph = known.graph
    while len(nodes) < _MAX_ROW:
        node = graph.producer(nodes[-1].inputs[0])
        if node is None or node.role != "compute" or _kind(node) != kind or not node.inputs:
            return None
        nodes.append(node)
        if kind == "Transpose":
            before = _order(node)
            if order is None or before is None or len(order) != len(before):
                return None
            # the later order picks among the axes as the earlier one left them
            order = [before[axis] for axis in order if axis < len(before)]
        if _returns(known, nodes, order, kind):
            return _Row(nodes[::-1], node.inputs[0])
        if kind == "Cast":
            return None
    return None


def _returns(known: Known, nodes: list[Node], order: list[int] | None, kind: str) -> bool:
    if kind == "Transpose":
        return order is not None and order == sorted(order)
    before = known.graph.type_of(nodes[-1].inputs[0])
    after = known.graph.type_of(nodes[0].outputs[0])
    if kind == "Cast":
        between = known.graph.type_of(nodes[-1].outputs[0]).dtype
        return before.dtype == after.dtype and between in _HOLDS_EXACTLY.get(before.dtype, ())
    return known.is_static and before.is_known and before.shape == after.shape


def _kind(node: Node) -> str:
    if node.domain:
        return ""
    return "view" if node.op_type in _VIEWS else node.op_type if node.op_type in ("Transpose", "Cast") else ""


def _order(node: Node) -> list[int] | None:
    perm = node.attr("perm")
    return [int(axis) for axis in perm] if perm else None


VALID = [
    Valid(
        """
        rounds (float[1,8,4,4] x) => (float[1,8,4,4] y) {
          half = Cast<to = 10>(x)
          back = Cast<to = 1>(half)
          y = Relu(back)
        }
        """
    ),
    Valid(
        """
        turns (float[1,8,4,4] x) => (float[1,8,4,4] y) {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          b = Transpose<perm = [0, 2, 3, 1]>(a)
          c = Relu(b)
          y = Transpose<perm = [0, 2, 1, 3]>(c)
        }
        """
    ),
]
INVALID = [
    Invalid(
        """
        there_and_back (float[1,64,56,56] x) => (float[1,64,56,56] y)
        <int64[3] flat = {1,64,3136}, int64[4] map = {1,64,56,56}> {
          a = Transpose<perm = [0, 2, 3, 1]>(x)
          b = Transpose<perm = [0, 3, 1, 2]>(a)
          c = Relu(b)
          d = Reshape(c, flat)
          e = Reshape(d, map)
          f = Cast<to = 11>(e)
          g = Cast<to = 1>(f)
          y = Sigmoid(g)
        }
        """,
        device="cortex-a76",
        places=3,
        severity="warning",
    )
]
