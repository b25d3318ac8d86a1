"""Convolutions and pools as windows over 4-D maps, and the limits that a device sets to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from onnxlint.conditions import kernel_of
from onnxlint.device_operators import Condition
from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import integers, reshaped
from onnxlint.patterns.forms import Form
from onnxlint.tensor import TensorType

MAX_PARTS = 32
"""In more pieces than these nothing is cut."""
_NO_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """The tightest of the conditions on an operator: the largest kernel, stride, dilation, …"""

    kernel: int
    stride: int
    dilation: int
    padding: int
    area: int
    channels: int
    filter_elements: int


def bounds(conditions: Sequence[Condition], *, depthwise: bool) -> Bounds:
    """What the conditions on one operator allow."""
    valid = [limit for limit in conditions if limit.depthwise in (None, depthwise)]

    def least(*fields: str) -> int:
        found = [getattr(limit, field) for limit in valid for field in fields]
        return min((value for value in found if value is not None), default=_NO_LIMIT)

    allowed = min((max(limit.dilations) for limit in valid if limit.dilations), default=_NO_LIMIT)
    return Bounds(
        kernel=min(least("max_kernel"), math.isqrt(least("max_kernel_area"))),
        stride=least("max_stride"),
        dilation=min(least("max_dilation"), allowed),
        padding=least("max_padding"),
        area=least("max_area"),
        channels=least("max_input_channels_per_group"),
        filter_elements=least("max_kernel_elements"),
    )


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution or pool over maps, a row being one of height 1: kernel, strides, dilations and pads.

    The pads are those on top, left, at the bottom and right.
    """

    graph: Graph
    node: Node
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    into: tuple[int, int, int, int]
    out: tuple[int, int, int, int]

    @property
    def gone(self) -> Remove:
        """The node taken out."""
        return Remove(self.node.key)

    def name(self, word: str) -> str:
        """A new value's name."""
        return f"{self.node.outputs[0]}/{word}"

    def like(self, dims: tuple[int, ...]) -> TensorType:
        """The type of a value of those dims."""
        return TensorType(self.graph.type_of(self.node.outputs[0]).dtype, dims)

    def stored(self, name: str, dims: tuple[int, ...]) -> Declare:
        """A new weight of those dims."""
        return Declare(name, self.like(dims), is_weight=True)


def window_of(graph: Graph, node: Node) -> Window | None:
    """The node as a window over a map or row of known shape; None for ceil mode and the like."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not (before.is_known and after.is_known and before.rank == after.rank) or len(node.outputs) > 1:
        return None
    if node.attr("ceil_mode", 0) or before.rank not in (3, 4):
        return None
    if before.rank == 3:
        return _over_one_dim(graph, node)
    kernel = kernel_of(graph, node) or list(before.dims[2:])
    numbers = (kernel, node.attr("strides") or (1, 1), node.attr("dilations") or (1, 1))
    pads = node.attr("pads") or (0, 0, 0, 0)
    placed = node.attr("auto_pad", b"NOTSET")
    if placed in (b"SAME_UPPER", b"SAME_LOWER") and [len(found) for found in numbers] == [2, 2, 2]:
        pads = _same(before.dims[2:], after.dims[2:], numbers, upper=placed == b"SAME_UPPER")
    if [len(found) for found in numbers] != [2, 2, 2] or len(pads) != 4:
        return None
    size, stride, dilation = ((int(found[0]), int(found[1])) for found in numbers)
    top, left, bottom, right = (int(pad) for pad in pads)
    n, c, h, w = before.dims
    out = after.dims
    whole, result = (n, c, h, w), (out[0], out[1], out[2], out[3])
    return Window(graph, node, size, stride, dilation, (top, left, bottom, right), whole, result)


def _over_one_dim(graph: Graph, node: Node) -> Window | None:
    """A window over a row, as one over a map of height 1."""
    before, after = graph.type_of(node.inputs[0]).dims, graph.type_of(node.outputs[0]).dims
    kernel, pads = kernel_of(graph, node) or list(before[2:]), node.attr("pads") or (0, 0)
    stride, dilation = node.attr("strides") or (1,), node.attr("dilations") or (1,)
    if [len(found) for found in (kernel, stride, dilation, pads)] != [1, 1, 1, 2]:
        return None
    if node.attr("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    across = (0, int(pads[0]), 0, int(pads[1]))
    into, out = (before[0], before[1], 1, before[2]), (after[0], after[1], 1, after[2])
    numbers = (kernel[0], stride[0], dilation[0])
    size, step, spread = ((1, int(number)) for number in numbers)
    return Window(graph, node, size, step, spread, across, into, out)


def between_views(window: Window, form: Form) -> Form:
    """The form of a window over a row, whose operators work on maps of height 1, between the row's own dims."""
    node, graph = window.node, window.graph
    source, result = window.name("map"), window.name("mapped")
    names = {node.inputs[0]: source, node.outputs[0]: result}
    edits: list[Edit] = [Declare(source, window.like(window.into)), *reshaped(node.inputs[0], source, 4)]
    if len(node.inputs) > 1:
        held, weight = graph.type_of(node.inputs[1]).dims, window.name("map/weight")
        names[node.inputs[1]] = weight
        edits.append(window.stored(weight, (*held[:2], 1, *held[2:])))
    for edit in form.edits:
        if isinstance(edit, Insert):
            inputs, outputs = ([names.get(name, name) for name in row] for row in (edit.inputs, edit.outputs))
            edits.append(Insert(edit.op_type, tuple(inputs), tuple(outputs), edit.attributes, edit.domain))
        else:
            edits.append(edit)
    edits += [Declare(result, window.like(window.out)), *reshaped(result, node.outputs[0], 3)]
    return Form(form.title, form.safety, tuple(edits), form.told)


def _same(
    before: Sequence[int], after: Sequence[int], numbers: Sequence[Sequence[int]], *, upper: bool
) -> tuple[int, int, int, int]:
    """The padding that keeps the size, the odd one at the end (upper) or the start."""
    begin, end = [], []
    for size, wanted, kernel, stride, dilation in zip(before, after, *numbers, strict=True):
        total = max(0, (wanted - 1) * stride + (kernel - 1) * dilation + 1 - size)
        begin.append(total // 2 if upper else total - total // 2)
        end.append(total - begin[-1])
    return begin[0], begin[1], end[0], end[1]


def with_attributes(window: Window, **changed: object) -> tuple[tuple[str, object], ...]:
    """The node's attributes with some changed."""
    given: dict[str, object] = {
        "strides": list(window.strides),
        "pads": list(window.pads),
        "kernel_shape": list(window.kernel),
    }
    if window.node.op_type == "Conv":
        given |= {"dilations": list(window.dilations), "group": int(window.node.attr("group", 1))}
    if window.node.op_type == "AveragePool":
        given["count_include_pad"] = int(window.node.attr("count_include_pad", 0))
    return tuple((given | changed).items())


def padded_first(window: Window, padded: str) -> tuple[Window, tuple[Edit, ...]]:
    """The window over the padded map, without padding, and the edits that pad it."""
    (n, c, h, w), (top, left, bottom, right) = window.into, window.pads
    whole, amounts = (n, c, h + top + bottom, w + left + right), window.name("pads")
    pad = Insert("Pad", (window.node.inputs[0], amounts), (padded,))
    edits = (integers(amounts, 8), Declare(padded, window.like(whole)), pad)
    return replace(window, pads=(0, 0, 0, 0), into=whole), edits


def subsampled(window: Window, most: Bounds) -> Iterator[Form]:
    """A stride in two steps: the window at a smaller stride, then every few results."""
    if max(window.strides) <= most.stride:
        return
    first = [
        stride if stride <= most.stride else next((s for s in range(most.stride, 0, -1) if stride % s == 0), 0)
        for stride in window.strides
    ]
    second = [stride // step if step else _NO_LIMIT for stride, step in zip(window.strides, first, strict=True)]
    if max(second) > most.stride:
        return
    dims = tuple(
        (size + sum(window.pads[axis::2]) - (kernel - 1) * dilation - 1) // first[axis] + 1
        for axis, (size, kernel, dilation) in enumerate(
            zip(window.into[2:], window.kernel, window.dilations, strict=True)
        )
    )
    wide = window.name("wide")
    picked = (("kernel_shape", [1, 1]), ("strides", second))
    edits = (
        window.gone,
        Declare(wide, window.like((*window.out[:2], *dims))),
        Insert(window.node.op_type, window.node.inputs, (wide,), with_attributes(window, strides=first)),
        Insert("MaxPool", (wide,), window.node.outputs, picked),
    )
    told = f"stride {_each(first)}, then a 1x1 MaxPool of stride {_each(second)}"
    yield Form("the stride in two steps", "exact", edits, told)


def _each(steps: Sequence[int]) -> str:
    return str(max(steps)) if len(set(steps)) == 1 or min(steps) == 1 else by(*steps)


def by(height: int, width: int | None = None) -> str:
    """`3x3`, `5x7`."""
    return f"{height}x{height if width is None else width}"
