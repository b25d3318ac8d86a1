"""Maps stacked along an axis of their own and summed over it, weighted or not: sums of the maps need no such axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import reshaped, split_into, stored, summed
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.walk import reduced_axes
from onnxlint.tensor import TensorType


@dataclass(frozen=True, slots=True)
class StackedSum:
    """The `nodes` from the stacking to the sums, and the `edits` that add the maps instead. Exact up to rounding."""

    nodes: tuple[Node, ...]
    edits: tuple[Edit, ...]
    maps: int


def stacked_sums(graph: Graph, *, by_sigmoid: bool = False) -> Iterator[StackedSum]:
    """Every stack whose readers sum it, or sum it weighted by a softmax over the stack (SKNet).

    A softmax over two can be a sigmoid of their difference, for devices that lack the one and have the other.
    """
    for node in graph.compute_nodes:
        if node.op_type == "Concat" and not node.domain and (found := _at(graph, node, by_sigmoid)) is not None:
            yield found


def sum_of_stack(graph: Graph, node: Node) -> tuple[Edit, ...]:
    """A sum over stacked maps as a sum of the maps, the stack left alone; nothing where it is none."""
    concat = graph.producer(node.inputs[0])
    if concat is None or concat.op_type != "Concat" or node.attr("keepdims", 1) or concat.domain:
        return ()
    stack, axes = graph.type_of(concat.outputs[0]), reduced_axes(graph, node)
    axis = int(concat.attr("axis", 0)) % max(stack.rank or 1, 1)
    stacked = (
        _stacked(graph, concat, axis) if stack.is_known and axes == [axis] and node.op_type == "ReduceSum" else None
    )
    if stacked is None:
        return ()
    maps = [one.inputs[0] for one in stacked]
    return (Remove(node.key), *summed(maps, node.outputs[0], graph.type_of(maps[0])))


def _stacked(graph: Graph, concat: Node, axis: int) -> list[Node] | None:
    """The views that give each value an axis of its own, along which they are joined."""
    stack = graph.type_of(concat.outputs[0])
    views = [n for n in map(graph.producer, concat.inputs) if n is not None and n.op_type in ("Unsqueeze", "Reshape")]
    dims = (*stack.dims[:axis], *stack.dims[axis + 1 :])
    if not 2 <= len(views) == len(concat.inputs) or any(graph.type_of(n.inputs[0]).shape != dims for n in views):
        return None
    return views


def _at(graph: Graph, concat: Node, by_sigmoid: bool) -> StackedSum | None:
    stack = graph.type_of(concat.outputs[0])
    if not stack.is_known or stack.rank != 5 or int(concat.attr("axis", 0)) % 5 != 1:
        return None
    views = _stacked(graph, concat, 1)
    if views is None or concat.outputs[0] in graph.is_output:
        return None
    if any(graph.sole_reader(node.outputs[0]) is not concat for node in views):
        return None
    maps = [node.inputs[0] for node in views]
    nodes, edits = [*views, concat], [Remove(node.key) for node in (*views, concat)]
    more: list[Edit] = []
    for reader in graph.readers(concat.outputs[0]):
        found = _summed(graph, reader, maps) or _weighted(graph, reader, maps, stack, by_sigmoid)
        if found is None:
            return None
        nodes += found[0]
        more += [Remove(node.key) for node in found[0]] + found[1]
    return StackedSum(tuple(nodes), (*edits, *more), len(maps)) if more else None


def _is_sum(graph: Graph, node: Node | None) -> bool:
    return (
        node is not None
        and node.op_type == "ReduceSum"
        and (reduced_axes(graph, node) == [1] and not node.attr("keepdims", 1))
    )


def _summed(graph: Graph, node: Node, maps: list[str]) -> tuple[list[Node], list[Edit]] | None:
    if not _is_sum(graph, node):
        return None
    return [node], list(summed(maps, node.outputs[0], graph.type_of(maps[0])))


def _weighted(
    graph: Graph, node: Node, maps: list[str], stack: TensorType, by_sigmoid: bool
) -> tuple[list[Node], list[Edit]] | None:
    """A product with a softmax over the stack, then the sum: each map by its own gate in four dims, then added."""
    total = only_reader(graph, node.outputs[0]) if node.op_type == "Mul" else None
    softmax = next((n for n in map(graph.producer, node.inputs) if n is not None and n.op_type == "Softmax"), None)
    if not _is_sum(graph, total) or total is None or softmax is None or softmax.version < 13:
        return None
    view, gates = graph.producer(softmax.inputs[0]), graph.type_of(softmax.outputs[0])
    batch, many, channels, *rest = stack.dims
    if view is None or view.op_type != "Reshape" or gates.shape != (batch, many, channels, 1, 1):
        return None
    if int(softmax.attr("axis", -1)) % 5 != 1 or graph.sole_reader(softmax.outputs[0]) is not node:
        return None
    if graph.sole_reader(view.outputs[0]) is not softmax or node.outputs[0] in graph.is_output:
        return None
    if by_sigmoid and many != 2:
        return None
    name, kind = total.outputs[0], stack.dtype
    gate, gates_of = TensorType(kind, (batch, channels, 1, 1)), _sigmoids if by_sigmoid else _shares
    parts, edits = gates_of(name, view.inputs[0], gate, many)
    gated: list[str] = []
    for part, source in zip(parts, maps, strict=True):
        edits.append(Declare(f"{part}/gated", TensorType(kind, (batch, channels, *rest))))
        edits.append(Insert("Mul", (source, part), (f"{part}/gated",)))
        gated.append(f"{part}/gated")
    edits += summed(gated, name, TensorType(kind, (batch, channels, *rest)))
    return [view, softmax, node, total], edits


def _shares(name: str, scores: str, gate: TensorType, many: int) -> tuple[list[str], list[Edit]]:
    """The gates of the maps by a softmax in four dims, and what computes them."""
    batch, channels = gate.dims[:2]
    flat, shares, kind = f"{name}/flat", f"{name}/shares", gate.dtype
    parts = tuple(f"{name}/part{index}" for index in range(many))
    edits: list[Edit] = [
        Declare(flat, TensorType(kind, (batch, many, channels, 1))),
        Declare(shares, TensorType(kind, (batch, many, channels, 1))),
        *reshaped(scores, flat, 4),
        Insert("Softmax", (flat,), (shares,), (("axis", 1),)),
        *split_into(shares, parts, 1),
    ]
    for part in parts:
        edits += [Declare(part, TensorType(kind, (batch, 1, channels, 1))), Declare(f"{part}/gate", gate)]
        edits += reshaped(part, f"{part}/gate", 4)
    return [f"{part}/gate" for part in parts], edits


def _sigmoids(name: str, scores: str, gate: TensorType, many: int) -> tuple[list[str], list[Edit]]:
    """The gates of two maps: the sigmoid of the one score less the other, and of the other less the one."""
    batch, channels = gate.dims[:2]
    flat, minus = f"{name}/flat", f"{name}/minus"
    parts = tuple(f"{name}/part{index}" for index in range(many))
    turned, less, gates = ([f"{part}/{word}" for part in parts] for word in ("minus", "less", "gate"))
    edits: list[Edit] = [
        Declare(flat, TensorType(gate.dtype, (batch, many * channels, 1, 1))),
        stored(minus, gate.dtype, (1, 1, 1, 1)),
        *reshaped(scores, flat, 4),
        *(Declare(value, gate) for value in (*parts, *turned, *less, *gates)),
        *split_into(flat, parts, 1),
    ]
    for index, part in enumerate(parts):
        edits.append(Insert("Mul", (part, minus), (turned[index],)))
        edits.append(Insert("Add", (part, turned[1 - index]), (less[index],)))
        edits.append(Insert("Sigmoid", (less[index],), (gates[index],)))
    return gates, edits
