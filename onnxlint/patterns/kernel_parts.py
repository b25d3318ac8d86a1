"""A kernel in parts, each a convolution of what it would have seen, and their sum: tiles, or weight by weight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.patterns.edits import sliced, summed
from onnxlint.patterns.forms import Form
from onnxlint.patterns.windows import MAX_PARTS, Bounds, Window, by, padded_first, with_attributes


def tiles(window: Window, most: Bounds) -> Iterator[Form]:
    """The kernel cut into tiles: each convolves the part of the input that it would have seen, and they add up."""
    if window.dilations != (1, 1) or most.kernel < 2:
        return
    rows, columns = (_cuts(size, most.kernel) for size in window.kernel)
    places = [(top, left) for top in rows for left in columns]
    if not 1 < len(places) <= MAX_PARTS:
        return
    weight = window.graph.type_of(window.node.inputs[1]).dims
    edits: list[Edit] = [window.gone]
    parts: list[str] = []
    source = window.node.inputs[0]
    if max(window.pads) > most.padding:
        source = window.name("padded")
        window, padded = padded_first(window, source)
        edits += padded
    above, before, below, behind = window.pads
    for index, ((y, tall), (x, wide)) in enumerate(places):
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
    told = f"{len(places)} tiles of the {by(*window.kernel)} kernel, at most {by(most.kernel)} each, and their sum"
    yield Form("the kernel in tiles, summed", "exact", tuple(edits), told)


def taps(window: Window, most: Bounds) -> Iterator[Form]:
    """A dilated kernel weight by weight: a 1x1 convolution of its part for each that sees the map, and their sum."""
    (_, _, h, w), (above, before, below, behind) = window.into, window.pads
    source = window.node.inputs[0]
    reach = [(size - 1) * step for size, step in zip(window.kernel, window.dilations, strict=True)]
    places = [(y * window.dilations[0], x * window.dilations[1]) for y, x in product(*map(range, window.kernel))]
    if window.dilations == (1, 1) or len(places) > MAX_PARTS:
        return
    weight = window.graph.type_of(window.node.inputs[1]).dims
    edits: list[Edit] = [window.gone]
    parts: list[str] = []
    cuts = [(above - y, before - x, below - reach[0] + y, behind - reach[1] + x) for y, x in places]
    seen = [index for index, pads in enumerate(cuts) if _is_seen(window, pads)]
    if max(window.pads) > most.padding:
        source = window.name("padded")
        window, padded = padded_first(window, source)
        edits += padded
        cuts = [(-y, -x, y - reach[0], x - reach[1]) for y, x in places]
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
        told = f"the one of its {len(places)} weights that sees the {h}x{w} map, as a 1x1 convolution"
    elif len(seen) < len(places):
        some = f"the {len(seen)} of its {len(places)} weights that see the {h}x{w} map"
        told = f"a 1x1 convolution for each of {some}, summed"
    else:
        told = f"a 1x1 convolution for each of its {len(places)} weights, and their sum"
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


def _cuts(size: int, most: int) -> list[tuple[int, int]]:
    """Offsets and sizes of parts of at most `most`, as equal as may be."""
    count = -(-size // most)
    edges = [size * index // count for index in range(count + 1)]
    return [(start, end - start) for start, end in pairwise(edges)]
