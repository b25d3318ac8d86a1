"""Pools beyond a device's limits in windows that it has: the same result by more, smaller steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.patterns.forms import Form
from onnxlint.patterns.windows import MAX_PARTS, Bounds, Window, by, subsampled


def legal_pools(window: Window, most: Bounds) -> Iterator[Form]:
    """What computes the same within the bounds."""
    match window.node.op_type:
        case "MaxPool":
            yield from _max_of_max(window, most)
            yield from subsampled(window, most)
        case "AveragePool":
            yield from _whole(window)
            yield from _mean_of_means(window, most)
            yield from subsampled(window, most)
        case "GlobalAveragePool":
            yield from _mean_before(window, most)


def _max_of_max(window: Window, most: Bounds) -> Iterator[Form]:
    """The maximum over a large window is the maximum over several smaller ones behind each other."""
    size = window.kernel[0]
    if window.kernel != (size, size) or window.dilations != (1, 1) or size <= most.kernel or most.kernel < 2:
        return
    edits: list[Edit] = [window.gone]
    value, left, (n, c, h, w) = window.node.inputs[0], size, window.into
    sizes: list[int] = []
    while left > most.kernel:
        sizes.append(most.kernel)
        left -= most.kernel - 1
    sizes.append(left)
    if len(sizes) > MAX_PARTS or max(window.pads) >= sizes[0]:
        return
    pads = list(window.pads)
    for index, each in enumerate(sizes[:-1]):
        h, w = h + pads[0] + pads[2] - each + 1, w + pads[1] + pads[3] - each + 1
        result = window.name(f"max{index}")
        attributes = (("kernel_shape", [each, each]), ("pads", pads), ("strides", [1, 1]))
        edits += [Declare(result, window.like((n, c, h, w))), Insert("MaxPool", (value,), (result,), attributes)]
        value, pads = result, [0, 0, 0, 0]
    last = (("kernel_shape", [sizes[-1], sizes[-1]]), ("strides", list(window.strides)))
    edits.append(Insert("MaxPool", (value,), window.node.outputs, last))
    told = f"MaxPool of {', '.join(map(by, sizes))} behind each other"
    yield Form("smaller pools behind each other", "exact", tuple(edits), told)


def _whole(window: Window) -> Iterator[Form]:
    """A pool as large as its input."""
    if window.kernel == window.into[2:] and not any(window.pads):
        edits = (window.gone, Insert("GlobalAveragePool", window.node.inputs[:1], window.node.outputs))
        yield Form("GlobalAveragePool", "exact", edits, "GlobalAveragePool: the pool covers its input")


def _mean_of_means(window: Window, most: Bounds) -> Iterator[Form]:
    """Windows that do not overlap: the mean of the means of equal parts."""
    if window.strides != window.kernel or any(window.pads) or max(window.kernel) <= most.kernel:
        return
    first = [_part(size, most.kernel) for size in window.kernel]
    n, c, *whole = window.into
    if not all(first) or any(size % part for size, part in zip(whole, first, strict=True)):
        return
    inner, second = window.name("means"), [size // part for size, part in zip(window.kernel, first, strict=True)]
    edits = (
        window.gone,
        Declare(inner, window.like((n, c, *(size // part for size, part in zip(whole, first, strict=True))))),
        Insert("AveragePool", window.node.inputs[:1], (inner,), _apart(first)),
        Insert("AveragePool", (inner,), window.node.outputs, _apart(second)),
    )
    told = f"AveragePool of {by(*first)}, then of {by(*second)}"
    yield Form("smaller pools behind each other", "exact", edits, told)


def _part(size: int, most: int) -> int:
    """The largest part of a kernel within the bound whose count is too; 0 where there is none."""
    if size <= most:
        return size
    first = next((part for part in range(min(most, size // 2), 1, -1) if size % part == 0), 0)
    return first if first and size // first <= most else 0


def _mean_before(window: Window, most: Bounds) -> Iterator[Form]:
    """A global mean behind a pool without overlap."""
    n, c, h, w = window.into
    for size in (2, 3, 4, 5, 6, 7):
        if h % size == w % size == 0 and (h // size) * (w // size) <= most.area:
            inner = window.name("means")
            edits = (
                window.gone,
                Declare(inner, window.like((n, c, h // size, w // size))),
                Insert("AveragePool", window.node.inputs[:1], (inner,), _apart((size, size))),
                Insert("GlobalAveragePool", (inner,), window.node.outputs),
            )
            told = f"AveragePool of {by(size)} first: {by(h, w)} becomes {by(h // size, w // size)}"
            yield Form("the global pool in two steps", "exact", edits, told)
            return


def _apart(kernel: Sequence[int]) -> tuple[tuple[str, object], ...]:
    return (("kernel_shape", list(kernel)), ("strides", list(kernel)))
