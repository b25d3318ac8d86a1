"""Dims followed through Reshape and Transpose: every dim as a run of atoms, pieces of the first value's axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from onnxlint.graph import Graph, Node
from onnxlint.values import Array

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""Operators that keep the elements in their order."""

MAX_PLACES = 1 << 20
"""Longer axes are no channels: their places are not listed."""


@dataclass(frozen=True, slots=True)
class Atom:
    """`size` steps of `stride` elements along `axis` of the first value."""

    axis: int
    stride: int
    size: int


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


_P = TypeVar("_P", bound=_Sized)
Layout = tuple[tuple[Atom, ...], ...]
"""One run of atoms a dim; a dim of 1 has none."""


def identity(dims: Sequence[int]) -> Layout:
    """The layout of a value that nothing moved yet."""
    return tuple((Atom(axis, 1, size),) if size > 1 else () for axis, size in enumerate(dims))


def moved(graph: Graph, node: Node, layout: Layout) -> Layout | None:
    """The layout behind a view, Transpose or Gather by steps; None for another, or one that cuts an atom unevenly."""
    if node.domain:
        return None
    if node.op_type == "Transpose":
        perm = node.attr("perm") or list(reversed(range(len(layout))))
        return tuple(layout[axis] for axis in perm) if sorted(perm) == list(range(len(layout))) else None
    cut = cut_by_steps(graph, node)
    if cut is not None:
        axis, steps, count = cut
        run = layout[axis]
        if len(run) != 1 or run[0].size != steps * count:
            return None
        atom = run[0]
        fine = (Atom(atom.axis, atom.stride, steps),) if steps > 1 else ()
        coarse = (Atom(atom.axis, atom.stride * steps, count),) if count > 1 else ()
        return (*layout[:axis], fine, coarse, *layout[axis + 1 :])
    out = graph.type_of(node.outputs[0])
    if node.op_type not in VIEWS or not out.is_known:
        return None
    runs = regrouped([atom for run in layout for atom in run], out.dims, _cut)
    return tuple(runs) if runs is not None else None


def cut_by_steps(graph: Graph, node: Node) -> tuple[int, int, int] | None:
    """The axis that a Gather cuts in two, (steps, places), by indices a + steps·b (unfold); else None."""
    index = graph.values.get(node.inputs[1]) if node.op_type == "Gather" and not node.domain else None
    rank = graph.type_of(node.inputs[0]).rank
    if index is None or index.ndim != 2 or not index.size or not rank:
        return None
    steps, count = index.shape
    wanted = np.arange(steps)[:, None] + steps * np.arange(count)
    axis = int(node.attr("axis", 0)) % rank
    is_whole = (
        graph.type_of(node.inputs[0]).shape is not None and graph.type_of(node.inputs[0]).dims[axis] == index.size
    )
    return (axis, steps, count) if is_whole and np.array_equal(index, wanted) else None


def regrouped(
    pieces: Sequence[_P], dims: Sequence[int], cut: Callable[[_P, int, int], tuple[_P, _P]]
) -> list[tuple[_P, ...]] | None:
    """The pieces in order, joined and cut to the new dims, one run each; None where a piece is cut unevenly.

    `cut(piece, outer, inner)` gives its two factors, the outer first.
    """
    waiting = list(reversed(pieces))
    runs: list[tuple[_P, ...]] = []
    for size in dims:
        run: list[_P] = []
        need = size
        while need > 1:
            if not waiting:
                return None
            piece = waiting.pop()
            outer = min(need, piece.size)
            if need % outer or piece.size % outer:
                return None
            inner = piece.size // outer
            if inner > 1:
                piece, fine = cut(piece, outer, inner)
                waiting.append(fine)
            run.append(piece)
            need //= outer
        runs.append(tuple(run))
    return runs if not waiting else None


def _cut(atom: Atom, outer: int, inner: int) -> tuple[Atom, Atom]:
    return Atom(atom.axis, atom.stride * inner, outer), Atom(atom.axis, atom.stride, inner)


def merged(run: Sequence[Atom]) -> tuple[Atom, ...]:
    """The run with neighbours joined that lie behind each other in the first value."""
    joined: list[Atom] = []
    for atom in run:
        last = joined[-1] if joined else None
        if last is not None and last.axis == atom.axis and last.stride == atom.stride * atom.size:
            joined[-1] = Atom(atom.axis, atom.stride, last.size * atom.size)
        else:
            joined.append(atom)
    return tuple(joined)


def indices(run: Sequence[Atom]) -> Array:
    """Where each element of a run of one axis came from on that axis."""
    found = np.zeros(1, dtype=np.int64)
    for atom in run:
        found = (found[:, None] + np.arange(atom.size) * atom.stride).reshape(-1)
    return found


def permuted_axis(dims: Sequence[int], layout: Layout) -> int | None:
    """The one axis along which a value of unchanged dims was permuted; None if nothing or something else moved."""
    if len(layout) != len(dims):
        return None
    axis = None
    for index, (size, run) in enumerate(zip(dims, layout, strict=True)):
        if size == 1:
            if run:
                return None
            continue
        joined = merged(run)
        if any(atom.axis != index for atom in joined) or math.prod(atom.size for atom in joined) != size:
            return None
        if len(joined) > 1:
            if axis is not None or size > MAX_PLACES:
                return None
            axis = index
    return axis
