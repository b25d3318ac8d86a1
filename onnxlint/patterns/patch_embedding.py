"""Patch embeddings: one convolution of the image whose stride leaves no more than a sixteenth of the positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.walk import POINTWISE, row_back

_LEAST = 4
_MOST_CHANNELS = 4
_FROM_IMAGE = POINTWISE | VIEWS | {"Add", "Sub", "Mul", "Div", "Transpose", "Pad", "Resize", "Slice"}
_MAX_STEPS = 12


@dataclass(frozen=True, slots=True)
class PatchEmbedding:
    """The convolution and its stride."""

    conv: ConvSizes
    stride: int


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


def _is_image(graph: Graph, value: str) -> bool:
    """The value is an input of the graph, or one scaled, shifted, cut and turned."""
    for nodes, before in row_back(graph, value, _MAX_STEPS):
        if value in graph.inputs or any(node.op_type not in _FROM_IMAGE for node in nodes):
            break
        value = before
    return value in graph.inputs
