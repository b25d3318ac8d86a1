"""A strided convolution on few channels as SpaceToDepth and a smaller window over more channels: the same sums."""

from __future__ import annotations

from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, attributes_of, sizes
from onnxlint.patterns.edits import stored
from onnxlint.tensor import TensorType

_LARGEST_BLOCK = 4


@dataclass(frozen=True, slots=True)
class Blocked:
    """The convolution over blocks of `block`×`block` pixels: its window and padding, in blocks.

    weight'(o, (y·block + x)·C + c, i, j) = weight(o, c, i·block + y - shift, j·block + x - shift), 0 outside the
    window; `shift` (one a dim) is block·pads_begin - the old padding.
    """

    conv: ConvSizes
    block: int
    window: tuple[int, int]
    begin: tuple[int, int]
    end: tuple[int, int]
    shift: tuple[int, int]

    @property
    def channels(self) -> int:
        """Input channels of the new convolution."""
        return self.conv.in_channels * self.block**2


def blocked(graph: Graph, node: Node) -> Blocked | None:
    """The exact rewriting of a dense 2-D convolution of equal stride above 1; None where there is none."""
    conv = sizes(graph, node)
    if (
        conv is None
        or len(conv.kernel) != 2
        or conv.groups > 1
        or any(step != 1 for step in node.attr("dilations", []))
    ):
        return None
    strides, pads = list(node.attr("strides", [1, 1])), list(node.attr("pads", [0, 0, 0, 0]))
    if len(strides) != 2 or len(pads) != 4 or strides[0] != strides[1] or strides[0] < 2 or min(pads) < 0:
        return None
    if node.attr("auto_pad", b"NOTSET") != b"NOTSET":
        return None
    block = int(strides[0])
    if block > _LARGEST_BLOCK:
        return None
    whole, out = graph.type_of(node.inputs[0]).dims[2:], graph.type_of(node.outputs[0]).dims[2:]
    if any(size % block for size in whole):
        return None
    begin = [-(-pad // block) for pad in pads[:2]]
    shift = [before * block - pad for before, pad in zip(begin, pads[:2], strict=True)]
    window = [(size - 1 + moved) // block + 1 for size, moved in zip(conv.kernel, shift, strict=True)]
    end = [o - 1 + k - b - w // block for o, k, b, w in zip(out, window, begin, whole, strict=True)]
    if min(end) < 0:
        return None
    return Blocked(conv, block, _two(window), _two(begin), _two(end), _two(shift))


def blocked_edits(graph: Graph, found: Blocked, tag: str) -> tuple[Edit, ...]:
    """The edits that put SpaceToDepth and the convolution over blocks in place of the convolution."""
    node, block = found.conv.node, found.block
    data, weight = graph.type_of(node.inputs[0]), graph.type_of(node.inputs[1])
    batch, channels, *space = data.dims
    packed, wide = f"{node.outputs[0]}~{tag}.blocks", f"{node.outputs[0]}~{tag}.weight"
    attributes = tuple(
        (k, v) for k, v in attributes_of(node) if k not in ("kernel_shape", "strides", "pads", "auto_pad", "dilations")
    )
    attributes += (("kernel_shape", list(found.window)), ("pads", [*found.begin, *found.end]))
    return (
        Remove(node.key),
        Declare(packed, TensorType(data.dtype, (batch, channels * block**2, *(size // block for size in space)))),
        stored(wide, weight.dtype, (found.conv.out_channels, found.channels, *found.window)),
        Insert("SpaceToDepth", (node.inputs[0],), (packed,), (("blocksize", block),)),
        Insert("Conv", (packed, wide, *node.inputs[2:]), node.outputs, attributes),
    )


def _two(values: list[int]) -> tuple[int, int]:
    return values[0], values[1]
