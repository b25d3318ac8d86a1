"""Which axis of a value holds the channels, and which of them a Slice, Split or Gather takes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from onnxlint.graph import Graph, Node
from onnxlint.kernels import CONVOLUTIONS, TRANSPOSED
from onnxlint.patterns.axes import MAX_PLACES
from onnxlint.patterns.operands import integers_of
from onnxlint.patterns.permutations import UNARY
from onnxlint.values import Array

_NCHW = (
    CONVOLUTIONS - {"NhwcConv", "NhwcFusedConv"}
    | TRANSPOSED
    | {
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "BatchNormalization",
    }
)
_LAST = frozenset({"NhwcConv", "NhwcFusedConv", "MatMul", "LayerNormalization", "Gemm"})
_TRANSPARENT = UNARY | {"Concat", "Split", "Slice", "Add", "Mul", "PRelu", "Gather"}
_BINARY = frozenset({"Add", "Mul"})
_ELEMENTWISE = UNARY | {"Add", "Sub", "Mul", "Div", "Unsqueeze", "Squeeze"}
_MAX_STEPS = 24


def channel_axis(graph: Graph, values: Iterable[str], default: int) -> int:
    """The channel axis as the operators around these values tell it; `default` where nothing does."""
    values = list(values)
    rank = max((graph.type_of(name).rank or 0 for name in values), default=0)
    pending, seen = values, set(values)
    for _ in range(_MAX_STEPS):
        if not pending:
            break
        name = pending.pop(0)
        writer = graph.producer(name)
        for node in (*([writer] if writer is not None else []), *graph.readers(name)):
            if node.op_type in _NCHW:
                return 1
            if node.op_type in _LAST and not node.domain.startswith("ai.onnx.ml"):
                return rank - 1
            if node.op_type == "Transpose" and rank == 4:
                perm = list(node.attr("perm") or ())
                if perm == ([0, 2, 3, 1] if node is writer else [0, 3, 1, 2]):
                    return 3
            if node.op_type in _TRANSPARENT and not node.domain:
                operands = _alike(graph, node) if node.op_type in _BINARY else node.inputs[:1]
                for other in (*operands, *node.outputs):
                    if other and other not in seen:
                        seen.add(other)
                        pending.append(other)
    return default


def _alike(graph: Graph, node: Node) -> list[str]:
    """The operands of the result's shape: their axes are its axes."""
    shape = graph.type_of(node.outputs[0]).shape
    return [name for name in node.inputs if name and shape is not None and graph.type_of(name).shape == shape]


def is_cut_by_steps(graph: Graph, name: str, axis: int, step: int) -> bool:
    """Elementwise operators alone lie between `name` and every step-th channel of another value.

    Values cut so and interleaved again are where they were: the pairs of a rotary embedding, complex numbers.
    """
    pending, seen = [name], {name}
    for _ in range(_MAX_STEPS):
        if not pending:
            break
        value = pending.pop(0)
        node = graph.producer(value)
        if node is None or node.domain or not node.inputs or graph.is_constant(value):
            continue
        if _takes_steps(graph, node, axis, step):
            return True
        if node.op_type in _ELEMENTWISE:
            inputs = [other for other in node.inputs if other and other not in seen]
            seen.update(inputs)
            pending.extend(inputs)
    return False


def _takes_steps(graph: Graph, node: Node, axis: int, step: int) -> bool:
    rank = graph.type_of(node.inputs[0]).rank or 0
    if axis + 1 < rank and node.op_type in ("Gather", "Split") and int(node.attr("axis", 0)) % rank == axis + 1:
        return graph.type_of(node.inputs[0]).dims[axis + 1] == step
    if node.op_type not in ("Gather", "Slice") or axis >= rank:
        return False
    own = slices_of(graph, node.outputs[0], axis)
    return own is not None and own[1].size > 1 and bool(np.all(np.diff(own[1]) == step))


def slices_of(graph: Graph, name: str, axis: int) -> tuple[str, Array] | None:
    """The value that a Slice, Split or Gather took `name` from along `axis` alone, and the places it took."""
    node = graph.producer(name)
    if node is None or node.domain or node.role != "compute" or not node.inputs:
        return None
    source = node.inputs[0]
    before = graph.type_of(source)
    rank = before.rank
    if rank is None or not before.is_known or axis >= rank:
        return None
    total = before.dims[axis]
    if not 0 < total <= MAX_PLACES:
        return None
    taken: Array | None = None
    if node.op_type == "Gather" and int(node.attr("axis", 0)) % rank == axis:
        index = graph.values.get(node.inputs[1])
        taken = index.astype(np.int64) % total if index is not None and index.ndim == 1 and index.size else None
    elif node.op_type == "Split" and int(node.attr("axis", 0)) % rank == axis:
        sizes = [graph.type_of(out).shape for out in node.outputs]
        lengths = [shape[axis] if shape is not None and len(shape) == rank else None for shape in sizes]
        at = node.outputs.index(name)
        if None not in lengths:
            start = sum(length or 0 for length in lengths[:at])
            end = start + (lengths[at] or 0)
            taken = np.arange(start, end) if end <= total else None
    elif node.op_type == "Slice":
        taken = _sliced(graph, node, axis, rank, total)
    return (source, taken) if taken is not None else None


def _sliced(graph: Graph, node: Node, axis: int, rank: int, total: int) -> Array | None:
    def listed(attribute: str, index: int) -> list[int] | None:
        found = node.attr(attribute)
        return list(found) if found is not None else integers_of(graph, node, index)

    starts, ends = listed("starts", 1), listed("ends", 2)
    if starts is None or ends is None or len(starts) != len(ends):
        return None
    axes = listed("axes", 3)
    if axes is None:
        if len(node.inputs) > 3 and node.inputs[3]:
            return None
        axes = list(range(len(starts)))
    steps = listed("steps", 4)
    if steps is None:
        if len(node.inputs) > 4 and node.inputs[4]:
            return None
        steps = [1] * len(starts)
    if [a % rank for a in axes] != [axis] or len(steps) != 1 or len(starts) != 1 or steps[0] == 0:
        return None
    return np.arange(total)[starts[0] : ends[0] : steps[0]]
