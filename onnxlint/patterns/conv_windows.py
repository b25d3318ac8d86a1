"""Convolutions beyond a device's limits in windows that it has: the same result by more, smaller steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.patterns.edits import integers, sliced, summed
from onnxlint.patterns.forms import Form
from onnxlint.patterns.windows import MAX_PARTS, Bounds, Window, by, subsampled, with_attributes

_MAX_HALVINGS = 5


def legal_convolutions(window: Window, most: Bounds) -> Iterator[Form]:
    """What computes the same within the bounds, then what could stand in for it."""
    yield from _rearranged(window, most)
    if most.kernel < max(window.kernel):
        yield from _tiled(window, most)
        yield from _stacked(window, most)
    yield from subsampled(window, most)
    yield from _filled(window, most)
    yield from _taps(window, most)
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


def _tiled(window: Window, most: Bounds) -> Iterator[Form]:
    """The kernel cut into tiles: each convolves the part of the input that it would have seen, and they add up."""
    if window.dilations != (1, 1) or most.kernel < 2:
        return
    rows, columns = (_cuts(size, most.kernel) for size in window.kernel)
    tiles = [(top, left) for top in rows for left in columns]
    if not 1 < len(tiles) <= MAX_PARTS:
        return
    weight = window.graph.type_of(window.node.inputs[1]).dims
    edits: list[Edit] = [window.gone]
    parts: list[str] = []
    source = window.node.inputs[0]
    if max(window.pads) > most.padding:
        source = window.name("padded")
        window, padded = _padded(window, source)
        edits += padded
    above, before, below, behind = window.pads
    for index, ((y, tall), (x, wide)) in enumerate(tiles):
        # what the tile sees begins y rows lower
        pads = (above - y, before - x, below - (window.kernel[0] - y - tall), behind - (window.kernel[1] - x - wide))
        value, cut = _inner(window, source, pads, f"part{index}")
        tile, result = window.name(f"tile{index}"), window.name(f"sum{index}")
        edits += [
            *cut,
            window.stored(tile, (*weight[:2], tall, wide)),
            Declare(result, window.like(window.out)),
        ]
        bias = window.node.inputs[2:] if index == 0 else ()
        attributes = with_attributes(window, kernel_shape=[tall, wide], pads=[max(0, pad) for pad in pads])
        edits.append(Insert("Conv", (value, tile, *bias), (result,), attributes))
        parts.append(result)
    edits += _summed(window, parts)
    told = f"{len(tiles)} tiles of the {by(*window.kernel)} kernel, at most {by(most.kernel)} each, and their sum"
    yield Form("the kernel in tiles, summed", "exact", tuple(edits), told)


def _taps(window: Window, most: Bounds) -> Iterator[Form]:
    """A dilated kernel weight by weight: a 1x1 convolution of its part for each that sees the map, and their sum."""
    (_, _, h, w), (above, before, below, behind) = window.into, window.pads
    source = window.node.inputs[0]
    reach = [(size - 1) * step for size, step in zip(window.kernel, window.dilations, strict=True)]
    taps = [(y * window.dilations[0], x * window.dilations[1]) for y, x in product(*map(range, window.kernel))]
    if window.dilations == (1, 1) or len(taps) > MAX_PARTS:
        return
    weight = window.graph.type_of(window.node.inputs[1]).dims
    edits: list[Edit] = [window.gone]
    parts: list[str] = []
    cuts = [(above - y, before - x, below - reach[0] + y, behind - reach[1] + x) for y, x in taps]
    seen = [index for index, pads in enumerate(cuts) if _is_seen(window, pads)]
    if max(window.pads) > most.padding:
        source = window.name("padded")
        window, padded = _padded(window, source)
        edits += padded
        cuts = [(-y, -x, y - reach[0], x - reach[1]) for y, x in taps]
    for index in seen:
        pads = cuts[index]
        value, cut = _inner(window, source, pads, f"part{index}")
        tap = window.name(f"tap{index}")
        result = window.name(f"sum{index}") if len(seen) > 1 else window.node.outputs[0]
        attributes = with_attributes(window, kernel_shape=[1, 1], dilations=[1, 1], pads=[max(0, pad) for pad in pads])
        bias = window.node.inputs[2:] if index == seen[0] else ()
        edits += [
            *cut,
            window.stored(tap, (*weight[:2], 1, 1)),
            *((Declare(result, window.like(window.out)),) if len(seen) > 1 else ()),
            Insert("Conv", (value, tap, *bias), (result,), attributes),
        ]
        parts.append(result)
    edits += _summed(window, parts) if len(seen) > 1 else ()
    if len(seen) == 1:
        told = f"the one of its {len(taps)} weights that sees the {h}x{w} map, as a 1x1 convolution"
    elif len(seen) < len(taps):
        told = (
            f"a 1x1 convolution for each of the {len(seen)} of its {len(taps)} weights that see the {h}x{w} map, summed"
        )
    else:
        told = f"a 1x1 convolution for each of its {len(taps)} weights, and their sum"
    if seen:
        yield Form("the dilated kernel weight by weight", "exact", tuple(edits), told)


def _inner(window: Window, source: str, pads: tuple[int, int, int, int], word: str) -> tuple[str, tuple[Edit, ...]]:
    """What a part of the kernel sees of the map, and the edits that cut it: padding below zero is a slice."""
    if min(pads) >= 0:
        return source, ()
    (n, c, h, w), value = window.into, window.name(word)
    top, left, bottom, right = (max(0, -pad) for pad in pads)
    dims = (n, c, h - top - bottom, w - left - right)
    return value, (Declare(value, window.like(dims)), *sliced(source, value, 2))


def _is_seen(window: Window, pads: tuple[int, int, int, int]) -> bool:
    """Something is left of the map where a weight stands over it, not padding alone."""
    top, left, bottom, right = pads
    return window.into[2] > max(0, -top) + max(0, -bottom) and window.into[3] > max(0, -left) + max(0, -right)


def _summed(window: Window, parts: list[str]) -> Iterator[Edit]:
    return summed(parts, window.node.outputs[0], window.like(window.out))


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
    bare, edits = _padded(window, padded)
    conv = Insert("Conv", (padded, *window.node.inputs[1:]), window.node.outputs, with_attributes(bare))
    told = f"Pad by {max(window.pads)} first, then the convolution without padding"
    yield Form("the padding by an operator of its own", "exact", (window.gone, *edits, conv), told)


def _padded(window: Window, padded: str) -> tuple[Window, tuple[Edit, ...]]:
    """The window over the padded map, without padding, and the edits that pad it."""
    (n, c, h, w), (top, left, bottom, right) = window.into, window.pads
    whole, amounts = (n, c, h + top + bottom, w + left + right), window.name("pads")
    pad = Insert("Pad", (window.node.inputs[0], amounts), (padded,))
    edits = (integers(amounts, 8), Declare(padded, window.like(whole)), pad)
    return replace(window, pads=(0, 0, 0, 0), into=whole), edits


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
    edits += _summed(window, sums)
    told = f"the {c} input channels in {count} parts of {c // count}, convolved apart and added"
    yield Form("the input channels in parts, summed", "exact", tuple(edits), told)


def _cuts(size: int, most: int) -> list[tuple[int, int]]:
    """Offsets and sizes of parts of at most `most`, as equal as may be."""
    count = -(-size // most)
    edges = [size * index // count for index in range(count + 1)]
    return [(start, end - start) for start, end in pairwise(edges)]
