"""The forms of an operator that a machine runs at different speeds, as a profile's cost tables name them.

`Transpose.last` moves the innermost axis, `Resize.cubic` interpolates so, `ReduceMean.last` reduces the innermost axis,
`Mul.broadcast` has operands of different shapes, `MaxPool.plain` can't use the runtime's blocked layout. A form that a
table does not have costs as the operator itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxlint.device_runtime import BlockedLayout
from onnxlint.graph import Graph, Node

_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
_BINARY = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"})
_ALONG_AN_AXIS = frozenset({"Concat", "Split"})


def form_of(graph: Graph, node: Node, blocked: BlockedLayout | None = None) -> str:
    """The operator with the form that this node has, or the operator alone."""
    op = node.op_type
    shape = graph.type_of(node.inputs[0]).shape if node.inputs else None
    rank = len(shape or ())
    if op == "Transpose" and rank:
        order = node.ints("perm") or list(range(rank))[::-1]
        return f"{op}.last" if order and order[-1] != rank - 1 else op
    if op == "Resize":
        mode = node.attr("mode", "nearest")
        return f"{op}.{mode.decode() if isinstance(mode, bytes) else mode}"
    if op.startswith("Reduce") and rank:
        axes = node.ints("axes")
        if axes is None and len(node.inputs) > 1 and node.inputs[1] in graph.values:
            axes = graph.values[node.inputs[1]].reshape(-1).tolist()
        return f"{op}.last" if axes is not None and all(axis % rank == rank - 1 for axis in axes) else op
    if op in _ALONG_AN_AXIS and rank:
        return f"{op}.last" if int(node.attr("axis", 0)) % rank == rank - 1 else op
    if op in _BINARY and len(node.inputs) == 2:
        second = graph.type_of(node.inputs[1]).shape
        return f"{op}.broadcast" if second is not None and shape != second and second not in ((), (1,)) else op
    if op in _POOLS and blocked is not None:
        channels = shape[1] if shape is not None and len(shape) == 4 else None
        return f"{op}.plain" if channels is None or channels % blocked.block else op
    return op


def cost_of(table: Mapping[str, float], form: str) -> float:
    """The table's factor for this form, else for its operator, else 1."""
    return table.get(form, table.get(form.partition(".")[0], 1.0))
