"""Convolutions beyond a device's limits in windows that it has: the same result by more, smaller steps."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.patterns.dilated_rows import in_columns
from onnxlint.patterns.edits import summed
from onnxlint.patterns.forms import Form
from onnxlint.patterns.kernel_parts import taps, tiles
from onnxlint.patterns.windows import MAX_PARTS, Bounds, Window, by, padded_first, subsampled, with_attributes

_MAX_HALVINGS = 5


def legal_convolutions(window: Window, most: Bounds) -> Iterator[Form]:
    """What computes the same within the bounds, then what could stand in for it."""
    yield from _rearranged(window, most)
    if most.kernel < max(window.kernel):
        yield from tiles(window, most)
        yield from _stacked(window, most)
    yield from subsampled(window, most)
    yield from _filled(window, most)
    yield from in_columns(window)
    yield from taps(window, most)
    yield from _padded_before(window, most)
    yield from _split_channels(window, most)


def _rearranged(window: Window, most: Bounds) -> Iterator[Form]:
    """A kernel as large as its stride: blocks of 2x2 into the channels until it fits, which reorders the weights."""
    kernel, (n, c, h, w) = window.kernel[0], window.into
    largest = min(most.kernel, most.stride)
    if window.kernel != window.strides or kernel != window.kernel[1] or any(window.pads) or window.dilations != (1, 1):
        return
    if int(window.node.attr("group", 1)) != 1:
        return
    edits: list[Edit] = [window.gone]
    value, halvings = window.node.inputs[0], 0
    while kernel > largest and kernel % 2 == h % 2 == w % 2 == 0 and halvings < _MAX_HALVINGS:
        kernel, c, h, w, halvings = kernel // 2, c * 4, h // 2, w // 2, halvings + 1
        block = window.name(f"block{halvings}")
        edits.append(Declare(block, window.like((n, c, h, w))))
        edits.append(Insert("SpaceToDepth", (value,), (block,), (("blocksize", 2),)))
        value = block
    if kernel > largest or not halvings:
        return
    weight = window.name("weight")
    edits.append(window.stored(weight, (window.out[1], c, kernel, kernel)))
    attributes = with_attributes(window, kernel_shape=[kernel, kernel], strides=[kernel, kernel])
    edits.append(Insert("Conv", (value, weight, *window.node.inputs[2:]), window.node.outputs, attributes))
    told = f"SpaceToDepth by 2, {halvings} times, then {by(kernel)} at stride {kernel} on {c} channels"
    yield Form("blocks moved into the channels first, then a smaller kernel", "exact", tuple(edits), told)


def _stacked(window: Window, most: Bounds) -> Iterator[Form]:
    """Several smaller kernels behind each other that see as far: another function, to be trained."""
    size = window.kernel[0]
    groups = int(window.node.attr("group", 1))
    if window.kernel != (size, size) or window.strides != (1, 1) or window.dilations != (1, 1) or size % 2 == 0:
        return
    if window.pads != ((size // 2),) * 4:
        return
    each = next((k for k in range(min(most.kernel, size - 2), 2, -1) if k % 2 and (size - 1) % (k - 1) == 0), 0)
    count = (size - 1) // (each - 1) if each else 0
    if not 2 <= count <= MAX_PARTS:
        return
    edits: list[Edit] = [window.gone]
    value, channels = window.node.inputs[0], window.into[1]
    for index in range(count):
        last = index == count - 1
        weight = window.name(f"weight{index}")
        result = window.node.outputs[0] if last else window.name(f"step{index}")
        edits.append(window.stored(weight, (window.out[1], channels // groups, each, each)))
        if not last:
            edits.append(Declare(result, window.like(window.out)))
        attributes = with_attributes(window, kernel_shape=[each, each], pads=[each // 2] * 4)
        bias = window.node.inputs[2:] if last else ()
        edits.append(Insert("Conv", (value, weight, *bias), (result,), attributes))
        value, channels = result, window.out[1]
    yield Form(
        "smaller kernels behind each other, retrained",
        "lossy",
        tuple(edits),
        f"{count} kernels of {by(each)} see as far as one of {by(size)}",
    )


def _filled(window: Window, most: Bounds) -> Iterator[Form]:
    """A dilated kernel as a dense one with zeros between."""
    wide = [1 + (size - 1) * step for size, step in zip(window.kernel, window.dilations, strict=True)]
    if window.dilations == (1, 1) or max(wide) > most.kernel or len(window.node.inputs) < 2:
        return
    dims = window.graph.type_of(window.node.inputs[1]).dims
    weight = window.name("filled")
    attributes = with_attributes(window, kernel_shape=wide, dilations=[1, 1])
    edits = (
        window.gone,
        window.stored(weight, (*dims[:2], *wide)),
        Insert("Conv", (window.node.inputs[0], weight, *window.node.inputs[2:]), window.node.outputs, attributes),
    )
    told = f"a {by(*wide)} kernel with zeros between its {by(*window.kernel)} weights"
    yield Form("the dilated kernel filled with zeros", "exact", edits, told)


def _padded_before(window: Window, most: Bounds) -> Iterator[Form]:
    """Padding by an operator of its own."""
    if max(window.pads) <= most.padding:
        return
    padded = window.name("padded")
    bare, edits = padded_first(window, padded)
    conv = Insert("Conv", (padded, *window.node.inputs[1:]), window.node.outputs, with_attributes(bare))
    told = f"Pad by {max(window.pads)} first, then the convolution without padding"
    yield Form("the padding by an operator of its own", "exact", (window.gone, *edits, conv), told)


def _split_channels(window: Window, most: Bounds) -> Iterator[Form]:
    """Input channels in equal parts, each convolved with its part of the weights, and the sum."""
    n, c, h, w = window.into
    per_channel = window.kernel[0] * window.kernel[1]
    fits = min(most.channels, most.filter_elements // per_channel)
    if int(window.node.attr("group", 1)) != 1 or c <= fits or fits < 1:
        return
    count = next((k for k in range(2, MAX_PARTS + 1) if c % k == 0 and c // k <= fits), 0)
    if not count:
        return
    parts = [window.name(f"channels{index}") for index in range(count)]
    sums = [window.name(f"sum{index}") for index in range(count)]
    edits: list[Edit] = [window.gone]
    edits += [Declare(part, window.like((n, c // count, h, w))) for part in parts]
    edits.append(Insert("Split", window.node.inputs[:1], tuple(parts), (("axis", 1),)))
    for index, (part, result) in enumerate(zip(parts, sums, strict=True)):
        weight = window.name(f"weight{index}")
        bias = window.node.inputs[2:] if index == 0 else ()
        edits += [
            window.stored(weight, (window.out[1], c // count, *window.kernel)),
            Declare(result, window.like(window.out)),
            Insert("Conv", (part, weight, *bias), (result,), with_attributes(window)),
        ]
    edits += summed(sums, window.node.outputs[0], window.like(window.out))
    told = f"the {c} input channels in {count} parts of {c // count}, convolved apart and added"
    yield Form("the input channels in parts, summed", "exact", tuple(edits), told)
