"""Operators that move data in simpler ones: the same elements in the same places."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.edits import reshaped, sliced, stored
from onnxlint.patterns.forms import Form
from onnxlint.patterns.four_dims import IN_FOUR_DIMS
from onnxlint.patterns.permutations import keeps_order
from onnxlint.patterns.rotations import as_rotation
from onnxlint.tensor import WIDE_FLOATS, TensorType

_BROADCASTING = frozenset({"Add", "Sub", "Mul", "Div", "Where", "Max", "Min", "Pow"})


def view(graph: Graph, node: Node) -> Iterator[Form]:
    """Squeeze and the like as Reshape."""
    out = node.outputs[0]
    edits = (Remove(node.key), *reshaped(node.inputs[0], out, len(graph.type_of(out).dims)))
    yield Form(f"{node.op_type} as Reshape", "exact", edits)


def parts(graph: Graph, node: Node) -> Iterator[Form]:
    """Split as a Slice for each part that is read."""
    if all(graph.type_of(part).is_known for part in node.outputs):
        cut = (edit for part in filter(None, node.outputs) for edit in sliced(node.inputs[0], part))
        yield Form("Split as a Slice for each part", "exact", (Remove(node.key), *cut))


def one_place(graph: Graph, node: Node) -> Iterator[Form]:
    """Gather of one place as a Slice."""
    index = graph.values.get(node.inputs[1])
    if index is not None and index.size == 1:
        title = "Gather of one place as Slice and Reshape"
        yield Form(title, "exact", (Remove(node.key), *_sliced(graph, node)))


def _sliced(graph: Graph, node: Node) -> Iterator[Edit]:
    before, out = graph.type_of(node.inputs[0]), node.outputs[0]
    axis = int(node.attr("axis", 0))
    dims = list(before.shape or ())
    if not before.is_known or not dims:
        return
    dims[axis % len(dims)] = 1
    cut, rank = f"{out}/cut", len(graph.type_of(out).dims)
    if rank == len(dims):
        yield from sliced(node.inputs[0], out)
        return
    yield Declare(cut, TensorType(before.dtype, tuple(dims)))
    yield from sliced(node.inputs[0], cut)
    yield from reshaped(cut, out, rank)


def transposition(graph: Graph, node: Node) -> Iterator[Form]:
    """A Transpose as a view, or by the one order that some devices take."""
    if keeps_order(graph, node):
        yield _unmoved(graph, node)
    elif turned := as_rotation(graph, node):
        yield Form("Transpose by (0,2,3,1) between two views", "exact", turned)


def _unmoved(graph: Graph, node: Node) -> Form:
    """A Reshape; nothing at all where views behind it bring back the shape before."""
    source, out = node.inputs[0], node.outputs[0]
    known, readers = graph.type_of(source), graph.readers(out)
    are_back = bool(readers) and out not in graph.is_output
    if are_back and all(n.op_type in VIEWS and graph.type_of(n.outputs[0]).shape == known.dims for n in readers):
        edits = [edit for n in readers for edit in (Remove(n.key), Reconnect(n.outputs[0], source))]
        return Form("the Transpose left out (only dims of 1 move)", "exact", (Remove(node.key), *edits))
    changed = (Remove(node.key), *reshaped(source, out, len(known.dims)))
    return Form("Transpose as Reshape (only dims of 1 move)", "exact", changed)


def broadcast(graph: Graph, node: Node) -> Iterator[Form]:
    """An Expand before operators that broadcast to the same shape by themselves."""
    value, source, readers = node.outputs[0], node.inputs[0], graph.readers(node.outputs[0])
    if not readers or value in graph.is_output or graph.is_constant(source) or not graph.type_of(source).is_known:
        return
    edits: list[Edit] = [Remove(node.key)]
    for reader in readers:
        others = [graph.type_of(name) for name in reader.inputs if name != value]
        wanted = graph.type_of(reader.outputs[0])
        if reader.op_type not in _BROADCASTING or reader.domain or wanted.shape not in [one.shape for one in others]:
            return
        inputs = tuple(source if name == value else name for name in reader.inputs)
        edits += [Remove(reader.key), Insert(reader.op_type, inputs, reader.outputs, attributes_of(reader))]
    yield Form("Expand left to the operators that broadcast by themselves", "exact", tuple(edits))


def repetition(graph: Graph, node: Node) -> Iterator[Form]:
    """Tile or Expand of dims of 1 behind all others, as a product with ones."""
    before, after, out = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0]), node.outputs[0]
    if not before.is_known or before.dtype not in WIDE_FLOATS or graph.is_constant(node.inputs[0]):
        return
    if not before.elements or not after.elements or len(before.dims) > len(after.dims):
        return
    old = (1,) * (len(after.dims) - len(before.dims)) + before.dims
    spread = [axis for axis, sizes in enumerate(zip(old, after.dims, strict=True)) if sizes[0] != sizes[1]]
    if not spread or any(size != 1 for size in old[spread[0] :]):
        return
    kept, source, ones, product = before.elements, f"{out}/four", f"{out}/ones", f"{out}/product"
    wide = (1, kept, 1, after.elements // kept)
    edits = (
        Remove(node.key),
        stored(ones, before.dtype, wide),
        Declare(source, TensorType(before.dtype, (1, kept, 1, 1))),
        Declare(product, TensorType(before.dtype, wide)),
        *reshaped(node.inputs[0], source, 4),
        Insert("Mul", (source, ones), (product,)),
        *reshaped(product, out, len(after.dims)),
    )
    yield Form(f"{node.op_type} as Mul by ones {IN_FOUR_DIMS}", "exact", edits)


def along_the_last_axis(graph: Graph, node: Node) -> Iterator[Form]:
    """Softmax of a 4-D map along its last axis: of another axis between two transposes, of 3-D behind a view."""
    known = graph.type_of(node.outputs[0])
    rank, out = len(known.dims), node.outputs[0]
    axis = int(node.attr("axis", -1 if node.version >= 13 else 1)) % max(rank, 1)
    if node.version < 13 and axis != rank - 1:
        return
    inner, result = f"{out}/inner", f"{out}/along"
    kept = (("axis", 3),)
    if rank == 4 and axis != 3:
        perm = [0, 1, 2, 3]
        perm[axis], perm[3] = 3, axis
        turned = TensorType(known.dtype, tuple(known.dims[index] for index in perm))
        edits: tuple[Edit, ...] = (
            Remove(node.key),
            Declare(inner, turned),
            Declare(result, turned),
            Insert("Transpose", node.inputs, (inner,), (("perm", perm),)),
            Insert(node.op_type, (inner,), (result,), kept),
            Insert("Transpose", (result,), (out,), (("perm", perm),)),
        )
        yield Form(f"{node.op_type} along the last axis, between two transposes", "exact", edits)
    if rank == 3 and axis == 2:
        wide = TensorType(known.dtype, (1, *known.dims))
        edits = (
            Remove(node.key),
            Declare(inner, wide),
            Declare(result, wide),
            *reshaped(node.inputs[0], inner, 4),
            Insert(node.op_type, (inner,), (result,), kept),
            *reshaped(result, out, 3),
        )
        yield Form(f"{node.op_type} in 4-D, along the last axis", "exact", edits)
