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

from collections.abc import Iterator

from onnxlint.finding import Edit, Finding, Fix
from onnxlint.patterns.small_windows import Stack, stack_for
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import alone

RULE = Rule(code="CNV002", name="large-kernel", severity="warning")

_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all windows that stacks outrun."""
    nodes = [kernel.main for kernel in ctx.kernels if not kernel.on_host]
    alignment = ctx.device.alignment
    found = [(node, stack) for node in nodes if (stack := stack_for(ctx.graph, node, alignment, RULE.code))]
    if not found:
        return
    trial = alone(ctx.analysis, [edit for _, stack in found for edit in stack.edits])
    before = ctx.analysis.kernel_of
    paying: list[tuple[float, Stack]] = []
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
        f"{'->'.join(map(str, first.channels))} channels.",
        nodes=tuple(stack.conv.node.key for stack in stacks),
        places=len(stacks),
        fixes=(Fix(f"stacked 3x3 in place of {plural(len(stacks), 'large window')}", "lossy", _edits(stacks)),),
        details=tuple(map(str, stacks[:_LISTED])),
    )


def _edits(stacks: list[Stack]) -> tuple[Edit, ...]:
    return tuple(edit for stack in stacks for edit in stack.edits)


def _windows(stacks: list[Stack]) -> str:
    return ", ".join(f"{k}x{k}" for k in sorted({stack.conv.kernel[0] for stack in stacks}))


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
