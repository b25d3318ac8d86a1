"""Transposes of many dims between two views, with the dims joined that move together: windows, patches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import INT64, TensorType


@dataclass(frozen=True, slots=True)
class Joined:
    """Reshape, Transpose, Reshape; the same as a Transpose of `shape` by `perm`."""

    nodes: tuple[Node, Node, Node]
    shape: tuple[int, ...]
    perm: tuple[int, ...]


def joined_dims(graph: Graph, limit: int) -> Iterator[Joined]:
    """Every such Transpose of more than `limit` dims that moves no more than `limit` once they are joined."""
    for node in graph.compute_nodes:
        known = graph.type_of(node.inputs[0]) if node.op_type == "Transpose" and not node.domain else None
        if known is None or not known.is_known or len(known.dims) <= limit:
            continue
        first, last = graph.producer(node.inputs[0]), only_reader(graph, node.outputs[0])
        if first is None or last is None or first.op_type not in VIEWS or last.op_type not in VIEWS:
            continue
        if only_reader(graph, first.outputs[0]) is not node or not graph.type_of(last.outputs[0]).is_known:
            continue
        perm = [int(axis) for axis in node.attr("perm") or reversed(range(len(known.dims)))]
        groups: list[list[int]] = []
        for axis in (axis for axis in perm if known.dims[axis] != 1):
            gap = math.prod(known.dims[groups[-1][-1] + 1 : axis]) if groups and groups[-1][-1] < axis else 0
            if gap == 1:
                groups[-1].append(axis)
            else:
                groups.append([axis])
        order = sorted(range(len(groups)), key=lambda index: groups[index][0])
        if not 1 < len(groups) <= limit:
            continue
        shape = tuple(math.prod(known.dims[axis] for axis in groups[index]) for index in order)
        yield Joined((first, node, last), shape, tuple(order.index(index) for index in range(len(groups))))


def joined_edits(graph: Graph, found: Joined, rank: int = 4) -> tuple[Edit, ...]:
    """The Transpose in fewer dims (ones put in front up to `rank`) between two Reshapes. Exact."""
    first, transpose, last = found.nodes
    lead = rank - len(found.shape)
    shape = (1,) * lead + found.shape
    perm = [*range(lead), *(axis + lead for axis in found.perm)]
    dtype, out = graph.type_of(transpose.inputs[0]).dtype, last.outputs[0]
    names = {word: f"{transpose.outputs[0]}/{word}" for word in ("to", "joined", "moved", "back")}
    return (
        *(Remove(node.key) for node in found.nodes),
        Declare(names["to"], TensorType(INT64, (rank,)), is_weight=True),
        Declare(names["back"], TensorType(INT64, (len(graph.type_of(out).dims),)), is_weight=True),
        Declare(names["joined"], TensorType(dtype, shape)),
        Declare(names["moved"], TensorType(dtype, tuple(shape[axis] for axis in perm))),
        Insert("Reshape", (first.inputs[0], names["to"]), (names["joined"],)),
        Insert("Transpose", (names["joined"],), (names["moved"],), (("perm", perm),)),
        Insert("Reshape", (names["moved"], names["back"]), (out,)),
    )
