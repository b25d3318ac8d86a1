"""Values of few dims that broadcast to each other in many: scores plus relative positions of rows and of columns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Remove
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.edits import reshaped
from onnxlint.patterns.joined_dims import grouped, step_edits, transposed_in_steps
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import TensorType

_MAX_STEPS = 8
_MAX_OPERATORS = 8


@dataclass(frozen=True, slots=True)
class Broadcast:
    """`nodes`, from views to views, are the same on values of `dims`: `edits`. Exact."""

    nodes: tuple[Node, ...]
    edits: tuple[Edit, ...]
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Operand:
    """A value of many dims and the view that cuts it out of `source`; `axes`: the view's axis of each dim, if any."""

    value: str
    source: str
    cut: tuple[int, ...]
    axes: tuple[int | None, ...]
    nodes: tuple[Node, ...]


def broadcasts(graph: Graph, limit: int) -> Iterator[Broadcast]:
    """Element-wise operators of more than `limit` dims whose operands and results have few, at most `limit` joined."""
    for node in graph.compute_nodes:
        out = graph.type_of(node.outputs[0]) if node.outputs else None
        if node.op_type not in ELEMENTWISE or node.domain or out is None or not out.is_known or len(out.dims) <= limit:
            continue
        readers = graph.readers(node.outputs[0])
        are_views = all(
            n.op_type in VIEWS and (graph.type_of(n.outputs[0]).rank or limit + 1) <= limit for n in readers
        )
        if readers and are_views and node.outputs[0] not in graph.is_output:
            found = _at(graph, node, limit)
            if found is not None:
                yield found


def _at(graph: Graph, last: Node, limit: int) -> Broadcast | None:
    dims, dtype = graph.type_of(last.outputs[0]).dims, graph.type_of(last.outputs[0]).dtype
    operators, pending, operands = [last], [last], list[_Operand]()
    while pending:
        node = pending.pop()
        values = [name for name in node.inputs if name]
        if len(set(values)) < len(values):
            return None
        for name in values:
            known, before = graph.type_of(name), graph.producer(name)
            if graph.is_constant(name):
                if not known.is_known or known.elements != 1 or len(known.dims) > limit:
                    return None
                continue
            is_inner = before is not None and before.op_type in ELEMENTWISE and known.shape == dims
            if before is not None and is_inner and only_reader(graph, name) is node and not before.domain:
                operators.append(before)
                pending.append(before)
                continue
            operand = _operand(graph, name, node, len(dims), limit)
            if operand is None or known.dtype != dtype:
                return None
            operands.append(operand)
        if len(operators) > _MAX_OPERATORS:
            return None
    groups: list[list[int]] = []
    for axis in (axis for axis, size in enumerate(dims) if size != 1):
        before_it = groups[-1][-1] if groups else None
        if before_it is not None and all((o.axes[axis] is None) == (o.axes[before_it] is None) for o in operands):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if len(groups) > limit or not operands:
        return None
    lead = (1,) * (limit - len(groups))
    joined = (*lead, *(math.prod(dims[axis] for axis in group) for group in groups))
    views = graph.readers(last.outputs[0])
    nodes = [node for operand in operands for node in operand.nodes] + [*reversed(operators), *views]
    edits: list[Edit] = [Remove(node.key) for node in nodes if node not in operators]
    for operand in operands:
        present = [axis for axis, own in enumerate(operand.axes) if own is not None]
        own = [found for found in operand.axes if found is not None]
        runs = grouped(own, operand.cut)
        if runs is None:
            return None
        small = (*lead, *(math.prod(dims[a] for a in group) if group[0] in present else 1 for group in groups))
        steps = tuple(transposed_in_steps(runs, operand.cut, limit))
        edits += step_edits(operand.source, operand.value, TensorType(dtype, small), steps, limit)
    edits += [Declare(node.outputs[0], TensorType(graph.type_of(node.outputs[0]).dtype, joined)) for node in operators]
    for view in views:
        edits += reshaped(last.outputs[0], view.outputs[0], len(graph.type_of(view.outputs[0]).dims))
    return Broadcast(tuple(nodes), tuple(edits), joined)


def _operand(graph: Graph, value: str, reader: Node, rank: int, limit: int) -> _Operand | None:
    """Back through Transpose and Expand to a view of fewer dims; every value between is read once."""
    known = graph.type_of(value)
    if not known.is_known:
        return None
    lead = rank - len(known.dims)
    axes: list[int | None] = [None if axis < lead else axis - lead for axis in range(rank)]
    nodes: list[Node] = []
    name, after = value, reader
    for _ in range(_MAX_STEPS):
        node = graph.producer(name)
        if node is None or node.domain or only_reader(graph, name) is not after:
            return None
        nodes.append(node)
        known, before = graph.type_of(name), graph.type_of(node.inputs[0])
        if not before.is_known:
            return None
        if node.op_type in VIEWS:
            # a dim of 1 is none of the value's own
            axes = [None if axis is None or known.dims[axis] == 1 else axis for axis in axes]
            if len(before.dims) > limit:
                return None
            return _Operand(value, node.inputs[0], known.dims, tuple(axes), tuple(reversed(nodes)))
        if node.op_type == "Transpose":
            perm = node.ints("perm") or list(reversed(range(len(known.dims))))
            axes = [None if axis is None else perm[axis] for axis in axes]
        elif node.op_type == "Expand":
            more = len(known.dims) - len(before.dims)
            axes = [_unspread(axis, more, before.dims) for axis in axes]
        else:
            return None
        name, after = node.inputs[0], node
    return None


def _unspread(axis: int | None, more: int, dims: tuple[int, ...]) -> int | None:
    """The axis before an Expand that put `more` in front; None where it is spread along it."""
    return None if axis is None or axis < more or dims[axis - more] == 1 else axis - more
