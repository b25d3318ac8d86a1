"""Types through If, Loop and Scan: decided branches, trip counts, and state that changes shape from trip to trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from onnxlint.attributes import attribute
from onnxlint.resolved import GraphDef, NodeDef
from onnxlint.tensor import INT64, TensorType
from onnxlint.values import Array

_BOOL = 9
MAX_TRIPS = 2**31
"""A loop that states more trips is one that its condition ends."""


class Walk(Protocol):
    """What an inference knows so far (see inference.Walk)."""

    types: dict[str, TensorType]
    values: dict[str, Array]
    branches: dict[str, str]
    trips: dict[str, int]

    def walk(self, graph: GraphDef) -> None:
        """Infer one body whose inputs' types are set."""

    def is_known(self, name: str) -> bool:
        """The value's type is complete."""


def infer_control_flow(walk: Walk, node: NodeDef) -> None:
    """Infer the bodies of a node and the types of its outputs from them."""
    body = node.bodies.get("body")
    if node.op_type == "If":
        _if(walk, node)
    elif node.op_type == "Loop" and body is not None:
        _loop(walk, node, body)
    elif node.op_type == "Scan" and body is not None:
        _scan(walk, node, body)
    elif node.op_type == "SequenceMap" and body is not None:
        walk.walk(body)
    else:
        for other in node.bodies.values():
            walk.walk(other)


def _if(walk: Walk, node: NodeDef) -> None:
    condition = _scalar(walk, node.inputs[0]) if node.inputs else None
    taken = "then_branch" if condition else "else_branch"
    if condition is not None and taken in node.bodies:
        walk.branches[node.key] = taken
        body = node.bodies[taken]
        walk.walk(body)
        for name, inner in zip(node.outputs, body.outputs, strict=False):
            if name and inner in walk.types:
                walk.types[name] = walk.types[inner]
            if name and inner in walk.values:
                walk.values[name] = walk.values[inner]
        return
    results = []
    for body in node.bodies.values():
        walk.walk(body)
        results.append([walk.types.get(name) for name in body.outputs])
    for name, kinds in zip(node.outputs, zip(*results, strict=False), strict=False):
        if name and not walk.is_known(name) and all(kinds):
            walk.types[name] = _common([kind for kind in kinds if kind])


def _loop(walk: Walk, node: NodeDef, body: GraphDef) -> None:
    """Inputs: trip count, condition, carried…; body: iteration, condition, carried… → condition, carried…, scans…."""
    limit = _scalar(walk, node.inputs[0]) if node.inputs else None
    has_condition = len(node.inputs) > 1 and bool(node.inputs[1])
    condition = _scalar(walk, node.inputs[1]) if has_condition else True
    for name, kind in zip(body.inputs, (TensorType(INT64, ()), TensorType(_BOOL, ())), strict=False):
        walk.types[name] = kind
    if condition and len(body.inputs) > 1:
        walk.values[body.inputs[1]] = np.asarray(True)  # in every trip that begins
    carried = node.inputs[2:]
    _until_stable(walk, body, body.inputs[2:], carried, body.outputs[1:])
    goes_on = _scalar(walk, body.outputs[0]) if body.outputs else None
    if condition is not None and not condition:
        walk.trips[node.key] = 0
    elif limit is not None and condition and goes_on and limit < MAX_TRIPS:
        walk.trips[node.key] = max(0, int(limit))
    _outputs(walk, node, body.outputs[1:], len(carried))


def _scan(walk: Walk, node: NodeDef, body: GraphDef) -> None:
    """Inputs: states…, scanned…; body: states…, elements… → states…, scans…; axes as opset 9 and later."""
    scanned = min(max(int(attribute(node.attributes, "num_scan_inputs", 1)), 0), len(node.inputs))
    states = len(node.inputs) - scanned
    axes = list(attribute(node.attributes, "scan_input_axes", None) or [0] * scanned)
    count: int | None = None
    for index, (name, outer) in enumerate(zip(body.inputs[states:], node.inputs[states:], strict=False)):
        kind = walk.types.get(outer)
        if kind is None or not kind.shape:
            continue
        axis = axes[index] % len(kind.shape) if index < len(axes) else 0
        count = kind.shape[axis]
        walk.types[name] = TensorType(kind.dtype, kind.shape[:axis] + kind.shape[axis + 1 :])
    if count is not None and node.version >= 9:
        walk.trips[node.key] = count
    _until_stable(walk, body, body.inputs[:states], node.inputs[:states], body.outputs)
    axes = list(attribute(node.attributes, "scan_output_axes", None) or [])
    _outputs(walk, node, body.outputs, states, axes)


def _outputs(walk: Walk, node: NodeDef, results: Sequence[str], carried: int, axes: Sequence[int] = ()) -> None:
    """The final state as the body leaves it, then what each trip gave, stacked along a new axis."""
    count = walk.trips.get(node.key)
    for index, (name, result) in enumerate(zip(node.outputs, results, strict=False)):
        inner = walk.types.get(result)
        if not name or inner is None or walk.is_known(name):
            continue
        if index >= carried and inner.shape is not None:
            axis = axes[index - carried] if index - carried < len(axes) else 0
            axis %= len(inner.shape) + 1
            inner = TensorType(inner.dtype, (*inner.shape[:axis], count, *inner.shape[axis:]))
        walk.types[name] = inner


def _until_stable(
    walk: Walk, body: GraphDef, formal: Sequence[str], actual: Sequence[str], results: Sequence[str]
) -> None:
    """Infer the body; where the state that it passes on has another shape, once more with those dims unknown."""
    for name, outer in zip(formal, actual, strict=False):
        if outer in walk.types:
            walk.types[name] = walk.types[outer]
    walk.walk(body)
    changed = {}
    for name, result in zip(formal, results, strict=False):
        before, after = walk.types.get(name), walk.types.get(result)
        if before is not None and after is not None and before != after and after.dtype in (0, before.dtype):
            merged = _common([before, after])
            if merged != before:
                changed[name] = merged
    if changed:
        for name in _written(body):
            walk.types.pop(name, None)
            walk.values.pop(name, None)
        walk.types |= changed
        walk.walk(body)


def _written(graph: GraphDef) -> Iterator[str]:
    pending = [graph]
    while pending:
        graph = pending.pop()
        for node in graph.nodes:
            yield from node.outputs
            pending += node.bodies.values()


def _scalar(walk: Walk, name: str) -> int | float | bool | None:
    found = walk.values.get(name)
    if found is None or found.size != 1 or found.dtype.kind not in "biuf":
        return None
    return found.reshape(-1)[0].item()  # type: ignore[no-any-return]


def _common(kinds: list[TensorType]) -> TensorType:
    first = kinds[0]
    if any(kind.shape is None or first.shape is None or len(kind.shape) != len(first.shape) for kind in kinds):
        return TensorType(first.dtype, None)
    columns = zip(*(kind.shape for kind in kinds if kind.shape is not None), strict=True)
    return TensorType(first.dtype, tuple(column[0] if len(set(column)) == 1 else None for column in columns))
