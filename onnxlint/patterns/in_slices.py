"""Operators as the same for each slice by itself, the slices side by side in a Concat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import integers, reshaped, sliced, split_into
from onnxlint.patterns.forms import Form
from onnxlint.patterns.operands import integers_of
from onnxlint.patterns.permutations import keeps_order
from onnxlint.tensor import TensorType

_MAX_SLICES = 32


def product_of_each(graph: Graph, node: Node) -> Iterator[Form]:
    """A product of two computed values with as many heads, head by head."""
    left, right, out = (graph.type_of(name) for name in (*node.inputs[:2], node.outputs[0]))
    if any(graph.is_constant(name) for name in node.inputs) or not (left.is_known and right.is_known):
        return
    heads = math.prod(out.dims[:-2])
    alike = len(left.dims) == len(right.dims) in (3, 4) and left.dims[:-2] == right.dims[:-2]
    if not alike or not 1 < heads <= _MAX_SLICES:
        return
    name, edits, factors = node.outputs[0], list[Edit]([Remove(node.key)]), list[list[str]]()
    for index, known in enumerate((left, right)):
        whole, rest = f"{name}/factor{index}", known.dims[-2:]
        factors.append([f"{whole}/{head}" for head in range(heads)])
        edits += [Declare(whole, TensorType(known.dtype, (1, heads, *rest))), *reshaped(node.inputs[index], whole, 4)]
        edits += [Declare(part, TensorType(known.dtype, (1, 1, *rest))) for part in factors[-1]]
        edits += split_into(whole, factors[-1], 1)
    products = [f"{name}/product{head}" for head in range(heads)]
    for first, second, product in zip(*factors, products, strict=True):
        edits.append(Declare(product, TensorType(out.dtype, (1, 1, *out.dims[-2:]))))
        edits.append(Insert("MatMul", (first, second), (product,)))
    joined = f"{name}/joined"
    edits += [Declare(joined, TensorType(out.dtype, (1, heads, *out.dims[-2:])))]
    edits += [Insert("Concat", tuple(products), (joined,), (("axis", 1),)), *reshaped(joined, name, len(out.dims))]
    yield Form("MatMul for each head by itself, between Split and Concat", "exact", tuple(edits))


def moved_axis(graph: Graph, node: Node) -> Iterator[Form]:
    """A Transpose that moves one short axis."""
    known, after, out = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0]), node.outputs[0]
    if not known.is_known:
        return
    perm = node.ints("perm") or list(reversed(range(len(known.dims))))
    if after.rank != known.rank or sorted(perm) != list(range(len(known.dims))) or keeps_order(graph, node):
        return
    short = [axis for axis in perm if 1 < known.dims[axis] <= _MAX_SLICES and _alone(perm, axis)]
    if not short:
        return
    axis = min(short, key=lambda one: known.dims[one])
    place, views, edits = perm.index(axis), list[str](), list[Edit]([Remove(node.key)])
    for index in range(known.dims[axis]):
        part, view = f"{out}/part{index}", f"{out}/view{index}"
        edits.append(Declare(part, TensorType(known.dtype, _one_at(known.dims, axis))))
        edits.append(Declare(view, TensorType(known.dtype, _one_at(after.dims, place))))
        edits += [*sliced(node.inputs[0], part), *reshaped(part, view, len(after.dims))]
        views.append(view)
    edits.append(Insert("Concat", tuple(views), (out,), (("axis", place),)))
    yield Form("Transpose as Slices side by side", "exact", tuple(edits))


def _alone(perm: Sequence[int], axis: int) -> bool:
    """The others keep their order."""
    rest = [one for one in perm if one != axis]
    return rest == sorted(rest)


def _one_at(dims: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*dims[:axis], 1, *dims[axis + 1 :])


def mirrored(graph: Graph, node: Node) -> Iterator[Form]:
    """Padding by what stands at the border: its lines, in their order, before and behind the value."""
    known, out, mode = graph.type_of(node.inputs[0]), node.outputs[0], node.attr("mode", b"constant")
    pads = integers_of(graph, node, 1) if not any(node.inputs[3:]) else None
    if mode not in (b"reflect", b"edge") or not known.is_known or pads is None or len(pads) != 2 * len(known.dims):
        return
    rank = len(known.dims)
    axes = [axis for axis in range(rank) if pads[axis] or pads[axis + rank]]
    if min(pads) < 0 or not axes or sum(pads) > _MAX_SLICES:
        return
    if any(max(pads[axis], pads[axis + rank]) >= known.dims[axis] for axis in axes):
        return
    value, dims, edits = node.inputs[0], known.dims, list[Edit]([Remove(node.key)])
    for axis in axes:
        size, before, behind = dims[axis], pads[axis], pads[axis + rank]
        is_edge = mode == b"edge"
        first = [0 if is_edge else place for place in range(before, 0, -1)]
        last = [size - 1 if is_edge else size - 2 - place for place in range(behind)]
        lines = {place: f"{out}/axis{axis}/line{place}" for place in (*first, *last)}
        for line in lines.values():
            edits += [Declare(line, TensorType(known.dtype, _one_at(dims, axis))), *sliced(value, line)]
        dims = (*dims[:axis], before + size + behind, *dims[axis + 1 :])
        wide = out if axis == axes[-1] else f"{out}/axis{axis}"
        if wide != out:
            edits.append(Declare(wide, TensorType(known.dtype, dims)))
        row = (*(lines[place] for place in first), value, *(lines[place] for place in last))
        edits.append(Insert("Concat", row, (wide,), (("axis", axis),)))
        value = wide
    yield Form(f"Pad ({mode.decode()}) as Slices side by side", "exact", tuple(edits))


def along_the_channels(graph: Graph, node: Node) -> Iterator[Form]:
    """A Slice along one axis as one along the channels, between views."""
    known, after, out = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0]), node.outputs[0]
    along, is_stepped = integers_of(graph, node, 3), any(node.inputs[4:])
    if along is None or len(along) != 1 or not known.is_known:
        return
    if is_stepped and integers_of(graph, node, 4) != [1]:
        return
    rank, axis = len(known.dims), along[0]
    axis += rank if axis < 0 else 0
    if not 0 <= axis < rank == after.rank or (axis == 1 and rank == 4):
        return
    outer, inner = math.prod(known.dims[:axis]), math.prod(known.dims[axis + 1 :])
    source, cut, axes = f"{out}/source", f"{out}/cut", f"{out}/axes"
    edits = (
        Remove(node.key),
        integers(axes, 1),
        Declare(source, TensorType(known.dtype, (outer, known.dims[axis], inner, 1))),
        Declare(cut, TensorType(known.dtype, (outer, after.dims[axis], inner, 1))),
        *reshaped(node.inputs[0], source, 4),
        Insert("Slice", (source, *node.inputs[1:3], axes), (cut,)),
        *reshaped(cut, out, rank),
    )
    yield Form("Slice along the channels, between views", "exact", edits)
