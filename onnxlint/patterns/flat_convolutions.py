"""Convolutions over three spatial dims whose kernel is 1 along one of them, as convolutions over two."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.edits import integers, reshaped, stored
from onnxlint.patterns.permutations import only_reader
from onnxlint.tensor import TensorType


@dataclass(frozen=True, slots=True)
class FlatConvolution:
    """The view before, if nothing else reads it, and the convolution; `edits` are the same in four dims. Exact.

    `is_alone`: views stand before and behind it. The axis of `size` along which the kernel is 1 counts maps; 0 where
    two such axes are one by a view.
    """

    nodes: tuple[Node, ...]
    edits: tuple[Edit, ...]
    kernel: tuple[int, ...]
    flat: tuple[int, ...]
    size: int
    is_alone: bool


def flat_convolutions(graph: Graph) -> Iterator[FlatConvolution]:
    """Every one of constant weights that does not step, pad or dilate along such an axis."""
    for node in graph.compute_nodes:
        if node.op_type == "Conv" and not node.domain and (found := _flat(graph, node)) is not None:
            yield found


def _flat(graph: Graph, node: Node) -> FlatConvolution | None:
    before, weight, after = (graph.type_of(name) for name in (node.inputs[0], node.inputs[1], node.outputs[0]))
    if before.rank != 5 or not (before.is_known and weight.is_known and after.is_known) or weight.rank != 5:
        return None
    if not graph.is_constant(node.inputs[1]) or node.attr("auto_pad", "NOTSET") not in ("NOTSET", b"NOTSET"):
        return None
    kernel = weight.dims[2:]
    strides, dilations = ([int(one) for one in node.attr(word) or (1, 1, 1)] for word in ("strides", "dilations"))
    pads = [int(one) for one in node.attr("pads") or (0,) * 6]
    flat = [axis for axis in range(3) if (kernel[axis], strides[axis], pads[axis], pads[axis + 3]) == (1, 1, 0, 0)]
    if not flat:
        return None
    joined = next((axis for axis in flat if axis + 1 in flat), None)
    axis = flat[0] if joined is None else joined
    kept = [one for one in range(3) if one != axis]
    flat_kernel = tuple(kernel[one] for one in kept)
    attributes = (
        ("dilations", [dilations[one] for one in kept]),
        ("group", int(node.attr("group", 1))),
        ("kernel_shape", list(flat_kernel)),
        ("pads", [pads[one + end] for end in (0, 3) for one in kept]),
        ("strides", [strides[one] for one in kept]),
    )
    view = graph.producer(node.inputs[0])
    is_private = view is not None and view.op_type in VIEWS and only_reader(graph, view.outputs[0]) is node
    nodes = (view, node) if view is not None and is_private else (node,)
    chain = _Chain(node.outputs[0], nodes[0].inputs[0], before.dtype)
    batch, size, out = before.dims[0], before.dims[2 + axis], after.dims
    if joined is None:
        chain.exchange(batch, math.prod(before.dims[1 : 2 + axis]), size, math.prod(before.dims[3 + axis :]))
        chain.view((batch * size, before.dims[1], *(before.dims[2 + one] for one in kept)))
        shape = (batch * size, out[1], *(out[2 + one] for one in kept))
    else:
        chain.view(_joined(before.dims, axis))
        shape = _joined(out, axis)
    folded = f"{node.outputs[0]}/weight"
    chain.edits.append(stored(folded, weight.dtype, (*weight.dims[:2], *flat_kernel)))
    chain.apply("Conv", (folded, *node.inputs[2:]), shape, attributes)
    if joined is None:
        chain.exchange(batch, size, math.prod(out[1 : 2 + axis]), math.prod(out[3 + axis :]))
    behind = tuple(_read_on(graph, node.outputs[0], chain.value))
    edits = (*(Remove(one.key) for one in nodes), *chain.edits, *behind)
    is_alone = len(nodes) == 2 and isinstance(behind[0], Reconnect)
    return FlatConvolution(nodes, edits, kernel, flat_kernel, 0 if joined is not None else size, is_alone)


def _joined(dims: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*dims[: 2 + axis], dims[2 + axis] * dims[3 + axis], *dims[4 + axis :])


def _read_on(graph: Graph, name: str, value: str) -> Iterator[Edit]:
    """What reads `name` by views alone reads `value`, the same elements; else a view brings its dims back."""
    readers = graph.readers(name)
    shapes = [graph.values.get(node.inputs[1]) for node in readers if node.op_type == "Reshape"]
    are_views = len(shapes) == len(readers) > 0 and all(shape is not None and 0 not in shape for shape in shapes)
    if are_views and name not in graph.is_output:
        yield Reconnect(name, value)
        return
    yield from reshaped(value, name, 5)


class _Chain:
    """Edits one behind the other, from `value` on."""

    def __init__(self, name: str, value: str, dtype: int) -> None:
        self.edits: list[Edit] = []
        self.value = value
        self._name, self._dtype, self._steps = name, dtype, 0

    def apply(
        self, op_type: str, more: tuple[str, ...], dims: tuple[int, ...], attributes: tuple[tuple[str, object], ...]
    ) -> None:
        self._steps += 1
        out = f"{self._name}/{op_type.lower()}{self._steps}"
        self.edits += [
            Declare(out, TensorType(self._dtype, dims)),
            Insert(op_type, (self.value, *more), (out,), attributes),
        ]
        self.value = out

    def view(self, dims: tuple[int, ...]) -> None:
        shape = f"{self._name}/shape{self._steps + 1}"
        self.edits.append(integers(shape, len(dims)))
        self.apply("Reshape", (shape,), dims, ())

    def exchange(self, batch: int, first: int, second: int, rest: int) -> None:
        """Blocks of `first` and `second` change places; in the order that Caffe's Permute takes, where it can be."""
        perm = (0, 2, 1, 3) if rest != 1 else (0, 2, 3, 1)
        dims = (batch, first, second, rest)
        self.view(dims)
        self.apply("Transpose", (), tuple(dims[axis] for axis in perm), (("perm", list(perm)),))
