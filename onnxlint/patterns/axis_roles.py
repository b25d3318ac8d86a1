"""What each axis of a value counts (channels, heads, positions of the map), by data flow from the convolutions on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from onnxlint.graph import Graph, Node
from onnxlint.kernels import CONVOLUTIONS, TRANSPOSED
from onnxlint.patterns.axes import VIEWS, regrouped
from onnxlint.patterns.walk import data_inputs, reduced_axes

Role = Literal["", "channel", "head", "position", "window", "place", "mixed"]
POSITIONS = frozenset({"position", "window", "place"})
"""Roles of positions: of the whole map, of blocks of it, and within a block."""


@dataclass(frozen=True, slots=True)
class Part:
    """A factor of an axis. `mixed`: positions multiplied to another number of them, `origin` of which there were."""

    role: Role
    size: int
    origin: int = 0


Axis = tuple[Part, ...]
"""The factors of an axis, the outer first; an axis of 1 has none."""


@lru_cache(maxsize=2)
def axis_roles(graph: Graph) -> Mapping[str, tuple[Axis, ...]]:
    """The axes of every value that is computed at run time and whose shape is known."""
    known: dict[str, tuple[Axis, ...]] = {}
    for node in graph.compute_nodes:
        for name in node.outputs:
            dims = graph.type_of(name).shape if name else None
            if dims is None or None in dims or 0 in dims:
                continue
            sizes = [size for size in dims if size is not None]
            found = _axes(graph, node, sizes, known)
            fits = found is not None and [math.prod(p.size for p in axis) for axis in found] == sizes
            known[name] = tuple(found) if found is not None and fits else tuple(_unknown(size) for size in sizes)
    return known


def is_only(axis: Axis, roles: frozenset[str]) -> bool:
    """The axis counts something, and nothing but these."""
    return bool(axis) and all(part.role in roles for part in axis)


def _unknown(size: int) -> Axis:
    return (Part("", size),) if size > 1 else ()


def _one(role: Role, size: int) -> Axis:
    return (Part(role, size),) if size > 1 else ()


def _axes(graph: Graph, node: Node, dims: list[int], known: Mapping[str, tuple[Axis, ...]]) -> list[Axis] | None:
    if not node.inputs or node.bodies:
        return None
    first = known.get(node.inputs[0]) or _outside(graph, node.inputs[0])
    if node.op_type in CONVOLUTIONS | TRANSPOSED and not node.domain:
        return _convolved(node, first, dims) if len(dims) > 1 else None
    if node.op_type == "MatMul":
        return _product(graph, node, dims, known)
    if node.op_type == "Gemm" and len(dims) == 2:
        rows = first[0] if len(first) == 2 and not node.attr("transA", 0) else ()
        return [rows or _unknown(dims[0]), projected(first[-1] if first else (), dims[-1])]
    if node.op_type == "Transpose":
        perm = node.ints("perm") or list(reversed(range(len(first))))
        return [first[axis] for axis in perm] if sorted(perm) == list(range(len(first))) else None
    if node.op_type in VIEWS:
        return regrouped([part for axis in first for part in axis], dims, _cut)
    if len(dims) < len(first):
        gone = _dropped(graph, node, len(first))
        return _resized([axis for i, axis in enumerate(first) if i not in gone], dims) if gone else None
    data = data_inputs(graph, node)
    alone = known.get(data[0], ()) if len(data) == 1 else ()
    return _resized(alone, dims) if len(alone) == len(dims) else _broadcast(graph, node, dims, known)


def _outside(graph: Graph, name: str) -> tuple[Axis, ...]:
    dims = graph.type_of(name).shape or ()
    return tuple(_unknown(size or 1) for size in dims)


def projected(axis: Axis, size: int) -> Axis:
    """The axis behind a product with a constant weight over it: positions and heads stay what they are."""
    before = math.prod(part.size for part in axis)
    mixed = axis[0] if len(axis) == 1 and axis[0].role == "mixed" else None
    if is_only(axis, frozenset({"head"})) and size == before:
        return axis
    if is_only(axis, POSITIONS):
        return axis if size == before else (Part("mixed", size, before),)
    if mixed is not None:
        return _one("position", size) if size == mixed.origin else (replace(mixed, size=size),)
    return _one("channel", size)


def _convolved(node: Node, first: Sequence[Axis], dims: list[int]) -> list[Axis]:
    groups = node.attr("group", 1)
    same = len(first) == len(dims)
    channels = first[1] if same and len(first) > 1 else ()
    out = channels if groups == dims[1] and is_only(channels, frozenset({"head", "mixed"}) | POSITIONS) else ()
    axes = [first[0] if same else _unknown(dims[0]), out or projected(channels, dims[1])]
    for axis, size in enumerate(dims[2:], 2):
        is_kept = same and math.prod(p.size for p in first[axis]) == size and any(p.role for p in first[axis])
        axes.append(first[axis] if is_kept else _one("position", size))
    return axes


def _product(graph: Graph, node: Node, dims: list[int], known: Mapping[str, tuple[Axis, ...]]) -> list[Axis] | None:
    """Rows of the first, columns of the second; the axes that two computed values share count heads."""
    left, right = (known.get(name) or _outside(graph, name) for name in node.inputs[:2])
    if min(len(left), len(right), len(dims)) < 2:
        return None
    fixed = [graph.is_constant(name) for name in node.inputs[:2]]
    axes = _aligned((left[:-2], right[:-2]), dims[:-2])
    if not any(fixed):
        axes = [tuple(replace(p, role="head") if p.role == "channel" else p for p in axis) for axis in axes]
    rows = projected(right[-2], dims[-2]) if fixed[0] else left[-2]
    columns = projected(left[-1], dims[-1]) if fixed[1] else right[-1]
    return [*axes, rows, columns]


def _broadcast(graph: Graph, node: Node, dims: list[int], known: Mapping[str, tuple[Axis, ...]]) -> list[Axis]:
    if node.op_type == "Concat":
        parts = [axes for name in node.inputs if (axes := known.get(name)) is not None and len(axes) == len(dims)]
        return [axis for axes in parts[:1] for axis in _resized(axes, dims)] or [_unknown(size) for size in dims]
    found = [known.get(name) or _outside(graph, name) for name in node.inputs if name]
    return _aligned(found, dims)


def _aligned(inputs: Sequence[Sequence[Axis]], dims: Sequence[int]) -> list[Axis]:
    """Each axis as the input tells it that has it whole, aligned at the last; what is known before what is not."""
    axes: list[Axis] = []
    for place, size in enumerate(dims, -len(dims)):
        own = [axes_in[place] for axes_in in inputs if len(axes_in) >= -place]
        whole = [axis for axis in own if math.prod(part.size for part in axis) == size]
        named = [axis for axis in whole if any(part.role for part in axis)]
        axes.append(next(iter(named or whole), _unknown(size)))
    return axes


def _resized(axes: Sequence[Axis], dims: Sequence[int]) -> list[Axis]:
    """The axes at other sizes: a role is kept where an axis has one alone."""
    if len(axes) != len(dims):
        return [_unknown(size) for size in dims]
    return [_fitted(axis, size) for axis, size in zip(axes, dims, strict=True)]


def _fitted(axis: Axis, size: int) -> Axis:
    if math.prod(part.size for part in axis) == size:
        return axis
    roles = {part.role for part in axis}
    if roles and roles <= POSITIONS:
        return _one("position", size)
    return _one(roles.pop(), size) if len(roles) == 1 and "mixed" not in roles else _unknown(size)


def _dropped(graph: Graph, node: Node, rank: int) -> set[int]:
    """The axes that a node takes away: a reduction without them, a Gather of one place."""
    if node.op_type == "Gather" and (graph.type_of(node.inputs[1]).rank == 0):
        return {int(node.attr("axis", 0)) % rank}
    if node.op_type.startswith(("Reduce", "Arg")):
        axes = [int(node.attr("axis", 0)) % rank] if node.op_type.startswith("Arg") else reduced_axes(graph, node)
        return set(axes or ())
    return set()


def _cut(part: Part, outer: int, inner: int) -> tuple[Part, Part]:
    if part.role == "position":
        return Part("window", outer), Part("place", inner)
    role = "" if part.role == "mixed" else part.role
    return Part(role, outer), Part(role, inner)
