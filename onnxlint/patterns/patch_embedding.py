"""Patch embeddings: one convolution of the image whose stride leaves no more than a sixteenth of the positions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.edits import stored
from onnxlint.patterns.walk import POINTWISE, row_back
from onnxlint.tensor import TensorType

_LEAST = 4
_MOST_CHANNELS = 4
_FROM_IMAGE = POINTWISE | VIEWS | {"Add", "Sub", "Mul", "Div", "Transpose", "Pad", "Resize", "Slice"}
_MAX_STEPS = 12


@dataclass(frozen=True, slots=True)
class PatchEmbedding:
    """The convolution and its stride."""

    conv: ConvSizes
    stride: int

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels of a stem of stride 2 in its place, the image's first: one step for each halving."""
        steps, out = self.stride.bit_length() - 1, self.conv.out_channels
        return (self.conv.in_channels, *(max(8, out >> (steps - 1 - index)) for index in range(steps)))


@lru_cache(maxsize=2)
def patch_embeddings(graph: Graph) -> tuple[PatchEmbedding, ...]:
    """Every convolution of an input image with a stride of 4 or more and a kernel of at most two strides."""
    found: list[PatchEmbedding] = []
    for node in graph.compute_nodes:
        conv = sizes(graph, node)
        if conv is None or conv.groups != 1 or conv.in_channels > _MOST_CHANNELS or len(conv.kernel) != 2:
            continue
        strides = [int(step) for step in node.attr("strides", None) or [1, 1]]
        is_patch = len(strides) == 2 and min(*strides, *conv.kernel) >= _LEAST and max(conv.kernel) <= 2 * min(strides)
        if is_patch and _is_image(graph, node.inputs[0]):
            found.append(PatchEmbedding(conv, min(strides)))
    return tuple(found)


def stem(graph: Graph, one: PatchEmbedding, tag: str) -> tuple[Edit, ...]:
    """3x3 convolutions of stride 2 to the same shape, activations between; none where no halvings make the stride."""
    conv, strides = one.conv.node, one.conv.node.attr("strides", None) or [1, 1]
    out = graph.type_of(conv.outputs[0])
    if one.stride & (one.stride - 1) or {*strides} != {one.stride}:
        return ()
    edits: list[Edit] = [Remove(conv.key)]
    source = conv.inputs[0]
    for index, (before, after) in enumerate(itertools.pairwise(one.widths)):
        rest = one.stride >> (index + 1)
        name = conv.outputs[0] if rest == 1 else f"{conv.outputs[0]}~{tag}.{index}"
        weight = f"{name}~{tag}.weight"
        channels = out.dims[1] if rest == 1 else after
        kind = TensorType(out.dtype, (out.dims[0], channels, *(size * rest for size in out.dims[2:])))
        target = name if rest == 1 else f"{name}~{tag}.linear"
        edits += [stored(weight, out.dtype, (channels, before, 3, 3))]
        edits += [Declare(value, kind) for value in dict.fromkeys((target, name))]
        edits.append(Insert("Conv", (source, weight), (target,), (("pads", [1] * 4), ("strides", [2, 2]))))
        if rest > 1:
            edits.append(Insert("Relu", (target,), (name,)))
        source = name
    return tuple(edits)


def _is_image(graph: Graph, value: str) -> bool:
    """The value is an input of the graph, or one scaled, shifted, cut and turned."""
    for nodes, before in row_back(graph, value, _MAX_STEPS):
        if value in graph.inputs or any(node.op_type not in _FROM_IMAGE for node in nodes):
            break
        value = before
    return value in graph.inputs
