"""Convolutions and pools as windows over 4-D maps, and the limits that a device sets to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxlint.conditions import kernel_of
from onnxlint.device_operators import Condition
from onnxlint.finding import Declare, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.forms import Form
from onnxlint.tensor import TensorType

MAX_PARTS = 16
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
    """A 4-D convolution or pool with its numbers: kernel, strides, dilations and pads (top, left, bottom, right)."""

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
    """The node as a window over a 4-D map of known shape; None for ceil mode and the like."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not (before.is_known and after.is_known and before.rank == after.rank == 4) or len(node.outputs) > 1:
        return None
    if node.attr("ceil_mode", 0):
        return None
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


def subsampled(window: Window, most: Bounds) -> Iterator[Form]:
    """A stride in two steps: the window at a smaller stride, then every few results."""
    if max(window.strides) <= most.stride or window.strides[0] != window.strides[1]:
        return
    stride = window.strides[0]
    first = next((s for s in range(min(most.stride, stride - 1), 0, -1) if stride % s == 0), 0)
    second = stride // first if first else 0
    if not first or second > most.stride:
        return
    dims = tuple(
        (size + sum(window.pads[axis::2]) - (kernel - 1) * dilation - 1) // first + 1
        for axis, (size, kernel, dilation) in enumerate(
            zip(window.into[2:], window.kernel, window.dilations, strict=True)
        )
    )
    wide = window.name("wide")
    picked = (("kernel_shape", [1, 1]), ("strides", [second, second]))
    edits = (
        window.gone,
        Declare(wide, window.like((*window.out[:2], *dims))),
        Insert(window.node.op_type, window.node.inputs, (wide,), with_attributes(window, strides=[first, first])),
        Insert("MaxPool", (wide,), window.node.outputs, picked),
    )
    told = f"stride {first}, then a 1x1 MaxPool of stride {second}"
    yield Form("the stride in two steps", "exact", edits, told)


def by(height: int, width: int | None = None) -> str:
    """`3x3`, `5x7`."""
    return f"{height}x{height if width is None else width}"
