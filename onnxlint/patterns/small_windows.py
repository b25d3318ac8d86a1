"""A large window as a stack of 3x3 convolutions that see as far: another function, to be trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxlint.device_tables import Alignment
from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.edits import stored
from onnxlint.tensor import TensorType

_LEAST_KERNEL = 5
_THIN = 4
"""Input channels of which an array that computes more leaves most empty: CHN003 speaks of it."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A large window, the strides of the 3×3 convolutions that stand for it, and the edits."""

    conv: ConvSizes
    strides: tuple[int, ...]
    width: int
    keys: tuple[str, ...]
    edits: tuple[Edit, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        places, total, channels = self.conv.out_pixels, 0, self.conv.out_channels
        for index in reversed(range(len(self.strides))):
            into = self.conv.in_channels if index == 0 else self.width
            total += places * 9 * into * channels
            places, channels = places * self.strides[index] ** 2, into
        return total

    @property
    def channels(self) -> tuple[int, ...]:
        """Before, between and behind the convolutions."""
        between = [self.width] * (len(self.strides) - 1)
        return (self.conv.in_channels, *between, self.conv.out_channels)

    def __str__(self) -> str:
        conv, k = self.conv, self.conv.kernel[0]
        return f"{conv.node.outputs[0]}: {k}x{k} {conv.in_channels}->{conv.out_channels}"


def stack_for(graph: Graph, node: Node, alignment: Alignment, tag: str) -> Stack | None:
    """For a dense convolution of a large square window; None for others, and where the machine idles on thin inputs."""
    conv = sizes(graph, node)
    if conv is None or conv.groups > 1 or len(conv.kernel) != 2 or conv.kernel[0] != conv.kernel[1]:
        return None
    if conv.in_channels <= _THIN and alignment.input_channels > _THIN:
        return None
    kernel, whole = conv.kernel[0], graph.type_of(node.inputs[0]).dims[2:]
    steps, dilations = list(node.attr("strides", [1, 1])), list(node.attr("dilations", [1, 1]))
    if kernel < _LEAST_KERNEL or kernel >= min(whole) or len({*steps}) != 1 or {*dilations} != {1}:
        return None
    strides = _strides(kernel, int(steps[0]))
    if strides is None:
        return None
    multiple = alignment.output_channels
    least = max(math.sqrt(conv.in_channels * conv.out_channels), conv.out_channels / 2)
    width = math.ceil(least / multiple) * multiple
    padding = 1 if any(node.attr("pads", [0])) or node.attr("auto_pad", b"NOTSET") != b"NOTSET" else 0
    return Stack(conv, strides, width, *_stacked(graph, conv, strides, width, padding, tag))


def _strides(kernel: int, stride: int) -> tuple[int, ...] | None:
    """Strides of the 3×3 convolutions whose field is the window's or just above; None for a patch or an odd stride."""
    if stride >= kernel or stride not in (1, 2, 4):
        return None
    strides = [2] * (stride.bit_length() - 1)
    field, jump = 1, 1
    for step in strides:
        field, jump = field + 2 * jump, jump * step
    while field < kernel:
        strides.append(1)
        field += 2 * jump
    return tuple(strides)


def _stacked(
    graph: Graph, conv: ConvSizes, strides: tuple[int, ...], width: int, padding: int, tag: str
) -> tuple[tuple[str, ...], tuple[Edit, ...]]:
    """The keys of the new nodes, and the edits that put them, with activations between, in the old one's place."""
    node, out = conv.node, conv.node.outputs[0]
    data, dtype = graph.type_of(node.inputs[0]).dims, graph.type_of(node.inputs[1]).dtype
    kind, space = graph.type_of(out), list(data[2:])
    source, into = node.inputs[0], conv.in_channels
    edits: list[Edit] = [Remove(node.key)]
    keys: list[str] = []
    for index, stride in enumerate(strides):
        is_last = index == len(strides) - 1
        channels = conv.out_channels if is_last else width
        weight, written = f"{out}~{tag}.weight{index}", out if is_last else f"{out}~{tag}.{index}"
        space = [max(1, (size + 2 * padding - 3) // stride + 1) for size in space]
        edits.append(stored(weight, dtype, (channels, into, 3, 3)))
        bias = node.inputs[2:] if is_last else ()
        attributes = (("kernel_shape", [3, 3]), ("strides", [stride] * 2), ("pads", [padding] * 4))
        edits.append(Insert("Conv", (source, weight, *bias), (written,), attributes))
        keys.append(written)
        if not is_last:
            active = f"{written}.active"
            known = TensorType(kind.dtype, (data[0], width, *space))
            edits += [Declare(written, known), Declare(active, known), Insert("Relu", (written,), (active,))]
            keys.append(active)
            source, into = active, width
    return tuple(keys), tuple(edits)
