"""Dense convolutions with large windows, where stacked 3x3 ones of the same field are faster

## What it does
Takes every dense square convolution of 5x5 or more, puts 3x3 convolutions that see the same field in its place, and
prices both on this device. The windows for which that is faster are reported together.

## Why it costs
A KxK convolution takes K² products for each pair of channels; two 3x3 see 5x5 with 18 instead of 25, three see 7x7 with
27 instead of 49, with an activation between them (VGG, arXiv 1409.1556, section 2.3; Inception-v3, 1512.00567, section
3.1). And 3x3 is what hardware is best at: Winograd's algorithm on CPUs and GPUs, the native window of most arrays.

## How to fix
Two or three 3x3 convolutions with an activation between. The first ones carry the stride: a 7x7 of stride 2 is a 3x3 of
stride 2 and one of stride 1 (field 7). Between them the width is the geometric mean of the input's and the output's, as
Inception-v3 chooses it, at least half of the output's (the deep stem of ResNet-D, arXiv 1812.01187), rounded up to the
device's multiple. The network must be retrained.

## Where it is silent
Where the stack is not faster on this device: most 7x7 stems on three channels, where the channels between cost more
than the window saves. Depthwise and grouped convolutions, dilated ones, one-dimensional windows such as 1x7 (factorized
already), windows as large as the map, a first convolution on three channels where the array computes more (CHN003), and
patch embeddings, whose stride is their window (TRF001).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.edits import stored
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.units import plural
from onnxlint.whatif import alone

RULE = Rule(code="CNV002", name="large-kernel", severity="warning")

_LEAST_KERNEL = 5
_LISTED = 6
_THIN = 4
"""Input channels of which an array that computes more leaves most empty: CHN003 speaks of it."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """A large window, the strides of the 3×3 convolutions that stand for it, and the edits."""

    conv: ConvSizes
    strides: tuple[int, ...]
    width: int
    keys: tuple[str, ...]
    edits: tuple[Edit, ...]

    @property
    def macs(self) -> int:
        places, total, channels = self.conv.out_pixels, 0, self.conv.out_channels
        for index in reversed(range(len(self.strides))):
            into = self.conv.in_channels if index == 0 else self.width
            total += places * 9 * into * channels
            places, channels = places * self.strides[index] ** 2, into
        return total

    def __str__(self) -> str:
        conv, k = self.conv, self.conv.kernel[0]
        return f"{conv.node.outputs[0]}: {k}x{k} {conv.in_channels}->{conv.out_channels}"


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all windows that stacks outrun."""
    found = [(kernel.main, s) for kernel in ctx.kernels if not kernel.on_host and (s := _stack(ctx, kernel.main))]
    if not found:
        return
    trial = alone(ctx.analysis, [edit for _, stack in found for edit in stack.edits])
    before = ctx.analysis.kernel_of
    paying: list[tuple[float, _Stack]] = []
    for node, stack in found:
        seconds = float(trial.seconds(trial.kernel_of[key] for key in stack.keys).mean())
        gain = float(ctx.times[before[node.key]].mean()) - seconds
        if gain > 0 and ctx.runs(stack.edits):
            paying.append((gain, stack))
    if not paying:
        return
    paying.sort(key=lambda entry: -entry[0])
    stacks = [stack for _, stack in paying]
    macs, stacked = sum(s.conv.macs for s in stacks), sum(s.macs for s in stacks)
    first, is_one = stacks[0], len(stacks) == 1
    k = first.conv.kernel[0]
    yield Finding(
        message=f"{plural(len(stacks), 'dense convolution')} of {_windows(stacks)} {'is' if is_one else 'are'} slower "
        "than 3x3 ones of the same field",
        suggestion=f"{macs / 1e6:.0f} M MACs become {stacked / 1e6:.0f} M when retrained.\n"
        f"{'Here' if is_one else 'Most in'} {first.conv.node.outputs[0]}: {k}x{k} as {len(first.strides)} of 3x3, "
        f"{_widths(first)} channels.",
        nodes=tuple(stack.conv.node.key for stack in stacks),
        places=len(stacks),
        fixes=(Fix(f"stacked 3x3 in place of {plural(len(stacks), 'large window')}", "lossy", _edits(stacks)),),
        details=tuple(map(str, stacks[:_LISTED])),
    )


def _edits(stacks: list[_Stack]) -> tuple[Edit, ...]:
    return tuple(edit for stack in stacks for edit in stack.edits)


def _windows(stacks: list[_Stack]) -> str:
    return ", ".join(f"{k}x{k}" for k in sorted({stack.conv.kernel[0] for stack in stacks}))


def _widths(stack: _Stack) -> str:
    between = [stack.width] * (len(stack.strides) - 1)
    return "->".join(map(str, (stack.conv.in_channels, *between, stack.conv.out_channels)))


def _stack(ctx: Context, node: Node) -> _Stack | None:
    graph = ctx.graph
    conv = sizes(graph, node)
    if conv is None or conv.groups > 1 or len(conv.kernel) != 2 or conv.kernel[0] != conv.kernel[1]:
        return None
    if conv.in_channels <= _THIN and ctx.device.alignment.input_channels > _THIN:
        return None
    kernel, whole = conv.kernel[0], graph.type_of(node.inputs[0]).dims[2:]
    steps, dilations = list(node.attr("strides", [1, 1])), list(node.attr("dilations", [1, 1]))
    if kernel < _LEAST_KERNEL or kernel >= min(whole) or len({*steps}) != 1 or {*dilations} != {1}:
        return None
    strides = _strides(kernel, int(steps[0]))
    if strides is None:
        return None
    multiple = ctx.device.alignment.output_channels
    least = max(math.sqrt(conv.in_channels * conv.out_channels), conv.out_channels / 2)
    width = math.ceil(least / multiple) * multiple
    padding = 1 if any(node.attr("pads", [0])) or node.attr("auto_pad", b"NOTSET") != b"NOTSET" else 0
    return _Stack(conv, strides, width, *_stacked(graph, conv, strides, width, padding))


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
    graph: Graph, conv: ConvSizes, strides: tuple[int, ...], width: int, padding: int
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
        weight, written = f"{out}~{RULE.code}.weight{index}", out if is_last else f"{out}~{RULE.code}.{index}"
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


VALID = [
    # a stem on three channels: the channels between cost more than the window
    Valid(
        """stem (float[1,3,224,224] x) => (float[1,64,112,112] y) <float[64,3,7,7] w> {
            y = Conv <strides = [2,2], pads = [3,3,3,3]> (x, w)
        }""",
        device="hi3519",
    ),
    # a depthwise window
    Valid(
        """depthwise (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,1,7,7] w> {
            y = Conv <group = 64, pads = [3,3,3,3]> (x, w)
        }""",
        device="hi3519",
    ),
    # a patch embedding
    Valid(
        """patches (float[1,3,224,224] x) => (float[1,192,14,14] y) <float[192,3,16,16] w> {
            y = Conv <strides = [16,16]> (x, w)
        }""",
        device="hi3519",
    ),
]
INVALID = [
    Invalid(
        """wide (float[1,64,56,56] x) => (float[1,64,56,56] z) <float[64,64,5,5] w, float[64,64,7,7] v> {
            a = Conv <pads = [2,2,2,2]> (x, w)
            y = Relu (a)
            b = Conv <pads = [3,3,3,3]> (y, v)
            z = Relu (b)
        }""",
        device="hi3519",
        places=2,
    ),
]
