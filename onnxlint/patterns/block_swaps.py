"""Blocks as those of another family of networks, to be trained: dense ones or separable ones."""

from __future__ import annotations

import math

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph
from onnxlint.patterns.blocks import Block
from onnxlint.patterns.edits import stored
from onnxlint.tensor import TensorType


def fused(graph: Graph, block: Block, macs: int, multiple: int) -> list[Edit]:
    """A dense convolution with the block's window into few channels, a `multiple`, then 1×1, of `macs` together."""
    known, out = graph.type_of(block.source), graph.type_of(block.output)
    into, places = known.dims[1], out.elements // out.dims[1]
    window = math.prod(block.kernel)
    width = max(1, round(macs / (places * (into * window + out.dims[1])) / multiple)) * multiple
    middle, active = f"{block.output}/dense", f"{block.output}/active"
    kernel, point = f"{block.output}/window", f"{block.output}/point"
    shape = TensorType(out.dtype, (out.dims[0], width, *out.dims[2:]))
    ones = (1,) * len(block.kernel)
    return [
        *(Remove(node.key) for node in block.nodes),
        stored(kernel, out.dtype, (width, into, *block.kernel)),
        stored(point, out.dtype, (out.dims[1], width, *ones)),
        Declare(middle, shape),
        Declare(active, shape),
        Insert("Conv", (block.source, kernel), (middle,), (("strides", _strides(graph, block)), *_pads(block))),
        Insert("Relu", (middle,), (active,)),
        Insert("Conv", (active, point), (block.output,)),
    ]


def separable(graph: Graph, block: Block) -> list[Edit]:
    """A depthwise convolution with the block's window, then 1×1, of the same channels."""
    known, out = graph.type_of(block.source), graph.type_of(block.output)
    into = known.dims[1]
    middle, kernel, point = (f"{block.output}/{word}" for word in ("depthwise", "window", "point"))
    ones = (1,) * len(block.kernel)
    return [
        *(Remove(node.key) for node in block.nodes),
        stored(kernel, out.dtype, (into, 1, *block.kernel)),
        stored(point, out.dtype, (out.dims[1], into, *ones)),
        Declare(middle, TensorType(out.dtype, (out.dims[0], into, *out.dims[2:]))),
        Insert(
            "Conv",
            (block.source, kernel),
            (middle,),
            (("group", into), ("strides", _strides(graph, block)), *_pads(block)),
        ),
        Insert("Conv", (middle, point), (block.output,)),
    ]


def _strides(graph: Graph, block: Block) -> list[int]:
    before, after = graph.type_of(block.source).dims[2:], graph.type_of(block.output).dims[2:]
    return [max(1, round(old / new)) if new else 1 for old, new in zip(before, after, strict=True)]


def _pads(block: Block) -> tuple[tuple[str, list[int]], ...]:
    return (("pads", [size // 2 for size in block.kernel] * 2),)
