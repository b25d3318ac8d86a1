"""Dilated convolutions over a row as dense ones over a map: what a kernel sees stands in one column of it."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.patterns.edits import integers, reshaped, sliced
from onnxlint.patterns.forms import Form
from onnxlint.patterns.windows import Window, by, with_attributes


def in_columns(window: Window) -> Iterator[Form]:
    """The row cut in lines as long as the dilation; padded at its end up to whole lines."""
    (n, c, high, wide), (_, channels, _, out) = window.into, window.out
    kernel, step, begin = window.kernel[1], window.dilations[1], window.pads[1]
    if (high, window.kernel[0], window.strides) != (1, 1, (1, 1)) or step == 1 or begin % step:
        return
    lines, results = -(-wide // step), -(-out // step)
    end = results - lines - begin // step + kernel - 1
    if end < 0 or window.pads[0] or window.pads[2]:
        return
    weight = window.graph.type_of(window.node.inputs[1]).dims
    source, edits = window.node.inputs[0], list[Edit]([window.gone])
    if lines * step != wide:
        source, amounts = window.name("whole"), window.name("amounts")
        edits += [integers(amounts, 8), Declare(source, window.like((n, c, 1, lines * step)))]
        edits.append(Insert("Pad", (window.node.inputs[0], amounts), (source,)))
    cut, column, made, row = (window.name(word) for word in ("lines", "column", "columns", "long"))
    result = window.node.outputs[0] if results * step == out else row
    attributes = with_attributes(window, kernel_shape=[kernel, 1], dilations=[1, 1], pads=[begin // step, 0, end, 0])
    edits += [
        Declare(cut, window.like((n, c, lines, step))),
        *reshaped(source, cut, 4),
        window.stored(column, (*weight[:2], kernel, 1)),
        Declare(made, window.like((n, channels, results, step))),
        Insert("Conv", (cut, column, *window.node.inputs[2:]), (made,), attributes),
        *((Declare(row, window.like((n, channels, 1, results * step))),) if result == row else ()),
        *reshaped(made, result, 4),
        *(sliced(row, window.node.outputs[0]) if result == row else ()),
    ]
    told = f"lines of {step} below one another, then {by(kernel, 1)} without dilation"
    yield Form("the row cut in lines as long as the dilation", "exact", tuple(edits), told)
