"""A region as one or a few wide convolutions of its multiply-accumulates: another architecture, built for its price."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph
from onnxlint.patterns.convolutions import sizes
from onnxlint.patterns.edits import stored
from onnxlint.patterns.regions import Region
from onnxlint.tensor import TensorType

_SPATIAL = 2


def wide_convolutions(graph: Graph, region: Region, macs: int, count: int, mark: str) -> Iterator[Edit]:
    """The region as `count` convolutions in a row that take `macs` multiply-accumulates together.

    They have the `count` windows that hold most of its own. The names of new values carry `mark`. Nothing is yielded
    where no input or not the output is a map (N, C, H, W) of known dims, or the region has fewer windows.
    """
    out = graph.type_of(region.output)
    images = [name for name in region.inputs if graph.type_of(name).is_known and graph.type_of(name).rank == 4]
    if not images or not out.is_known or out.rank != 4 or 0 in out.dims:
        return
    windows = _windows(graph, region, macs, count)
    if len(windows) < count:
        return
    source = max(images, key=lambda name: graph.type_of(name).elements)
    batch, narrow, *positions = graph.type_of(source).dims
    wide, pixels = out.dims[1], out.dims[0] * math.prod(out.dims[2:])
    yield from (Remove(node.key) for node in (*region.inner, *region.joins))
    here = f"{region.output}~{mark}.{count}"
    for name in region.inputs:
        # a view reads each input, so that it counts as written
        yield Insert("Flatten", (name,), (f"{here}.in" if name == source else f"{here}.in:{name}",))
    value = f"{here}.in"
    strides = [max(1, round(a / b)) for a, b in zip(positions, out.dims[2:], strict=True)]
    for step, (window, share) in enumerate(windows):
        into = narrow if step == 0 else wide
        scale = math.sqrt(share / (pixels * math.prod(window) * into * wide))
        shape = [max(1, round(scale * wide)), max(1, round(scale * into)), *window]
        read, weight, hidden, written = (f"{here}.{part}{step}" for part in ("read", "weight", "hidden", "out"))
        source_shape = (batch, shape[1], *positions) if step == 0 else (out.dims[0], shape[1], *out.dims[2:])
        known = TensorType(out.dtype, (out.dims[0], shape[0], *out.dims[2:]))
        yield Declare(read, TensorType(out.dtype, source_shape))
        yield stored(weight, out.dtype, tuple(shape))
        yield from (Declare(name, known) for name in (hidden, written))
        attributes = (("kernel_shape", list(window)), ("strides", strides if step == 0 else [1, 1]))
        yield Insert("Flatten", (value,), (read,))
        yield Insert("Conv", (read, weight), (hidden,), attributes)
        yield Insert("Relu", (hidden,), (written,))
        value = written
    yield Declare(region.output, out)
    yield Insert("Flatten", (value,), (region.output,))


def _windows(graph: Graph, region: Region, macs: int, count: int) -> list[tuple[tuple[int, ...], float]]:
    """The region's `count` windows with the most MACs, and how `macs` are shared out among them."""
    by_window: Counter[tuple[int, ...]] = Counter()
    for node in region.inner:
        conv = sizes(graph, node)
        if conv is not None and len(conv.kernel) == _SPATIAL:
            by_window[conv.kernel] += conv.macs
    largest = by_window.most_common(count)
    total = sum(own for _, own in largest)
    return [(window, macs * own / total) for window, own in largest]
