"""Transposed convolutions by their phases: a plain convolution for each place between two inputs, then interleaved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.patterns.edits import reshaped
from onnxlint.patterns.forms import Form
from onnxlint.patterns.windows import MAX_PARTS, Window, by


def phases(window: Window) -> Iterator[Form]:
    """Every stride-th result reads the same weights: that part of the kernel, turned around, is a convolution."""
    (tall, wide), groups = window.strides, int(window.node.attr("group", 1))
    (n, _, h, w), (_, c, height, width) = window.into, window.out
    weight = window.graph.type_of(window.node.inputs[1]).dims
    if window.dilations != (1, 1) or not 1 < tall * wide <= MAX_PARTS or height % tall or width % wide:
        return
    reach = (-(-window.kernel[0] // tall), -(-window.kernel[1] // wide))
    each = (height // tall, width // wide)
    edits: list[Edit] = [window.gone]
    parts: dict[tuple[int, int], str] = {}
    for place in product(range(tall), range(wide)):
        ahead = [(at + pad) // stride for at, pad, stride in zip(place, window.pads, window.strides, strict=False)]
        begin = [size - 1 - step for size, step in zip(reach, ahead, strict=True)]
        end = [out - into + step for out, into, step in zip(each, (h, w), ahead, strict=True)]
        if min(*begin, *end) < 0:
            return
        name = window.name(f"phase{place[0]}x{place[1]}")
        edits += [
            window.stored(f"{name}/weight", (c, weight[0] // groups, *reach)),
            Declare(name, window.like((n, c, *each))),
            Insert(
                "Conv",
                (window.node.inputs[0], f"{name}/weight", *window.node.inputs[2:]),
                (name,),
                (("kernel_shape", list(reach)), ("pads", [*begin, *end]), ("group", groups)),
            ),
        ]
        parts[place] = name
    rows: list[str] = []
    for row in range(tall):
        columns = [parts[row, column] for column in range(wide)]
        if wide == 1:
            rows += columns
            continue
        name = window.name(f"row{row}") if tall > 1 else window.node.outputs[0]
        dims = (n, c, each[0], width)
        edits += _interleaved(window, columns, (n, c * each[0], each[1], 1), 3, name, dims)
        rows.append(name)
    if tall > 1:
        edits += _interleaved(window, rows, (n * c, each[0], 1, width), 2, window.node.outputs[0], window.out)
    told = f"{tall * wide} convolutions of {by(*reach)}, one for each place between two inputs, and their Concat"
    yield Form("as plain convolutions, interleaved", "exact", tuple(edits), told)


def _interleaved(
    window: Window, parts: list[str], view: tuple[int, ...], axis: int, output: str, dims: tuple[int, ...]
) -> Iterator[Edit]:
    """The parts side by side along an axis of 1 of the view, then in the dims wanted."""
    joined = f"{output}/joined"
    for part in parts:
        yield Declare(f"{part}/apart", window.like(view))
        yield from reshaped(part, f"{part}/apart", 4)
    yield Declare(joined, window.like((*view[:axis], len(parts), *view[axis + 1 :])))
    yield Insert("Concat", tuple(f"{part}/apart" for part in parts), (joined,), (("axis", axis),))
    if output != window.node.outputs[0]:
        yield Declare(output, window.like(dims))
    yield from reshaped(joined, output, 4)
