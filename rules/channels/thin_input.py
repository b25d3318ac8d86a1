"""A first convolution that reads three channels where the machine computes many

## What it does
Looks at the strided convolutions that read the model's input (through element-wise steps such as a normalisation) on
at most four channels. Where the device computes at least twice as many, it puts SpaceToDepth and a smaller window in
their place and prices both. Reported where that is faster and the device runs every operator of it.

## Why it costs
A multiply-accumulate array takes input channels in its own multiple, whatever the model has: 32 on RK3588, where 3
channels leave nine tenths of the array empty on the largest map of the network (a published RK3588 trace takes 4041 µs
for a 3→32 first convolution; its unpadded arithmetic takes 346 µs, its padded one 3686 µs). MobileDets (arXiv
2004.14525) and the YOLOv5 "Focus" layer start from the same observation.

## How to fix
SpaceToDepth with the stride as block size packs 2x2 pixels into 12 channels; a KxK convolution of stride 2 becomes one
of about K/2 x K/2 and stride 1 over them. Its weights are the old ones in another order, with zeros where a block
reaches out of the old window: the same sums, no retraining. A 3x3 of stride 2 turns into a 2x2 over 12 channels (27
products become 48, but on an array of 32 channels 288 become 128); a 7x7 of stride 2 into a 4x4.

## Where it is silent
Where the machine's multiple is 4 or less (NNIE, Horizon X3: 3 channels cost as 4), where SpaceToDepth does not run
(NNIE has no Focus), for convolutions of stride 1 (the same number of products on the array) or above 4
(patch embeddings: TRF001), and maps that the stride does not divide.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.graph import Node
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.space_to_depth import Blocked, blocked, blocked_edits
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.whatif import saving

RULE = Rule(code="CHN003", name="thin-input", severity="warning")

_MOST_CHANNELS = 4
_LEAST_PADDING = 2
_THROUGH = ELEMENTWISE | {"BatchNormalization", "Pad", "Cast", "Identity"}
_MAX_STEPS = 8


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each input's first convolution."""
    multiple = ctx.device.alignment.input_channels
    if multiple < _LEAST_PADDING * _MOST_CHANNELS:
        return
    for node in _first_convolutions(ctx):
        found = blocked(ctx.graph, node)
        if found is None or found.conv.in_channels > _MOST_CHANNELS or found.conv.kernel == (1, 1):
            continue
        edits = blocked_edits(ctx.graph, found, RULE.code)
        if ctx.runs(edits) and float(saving(ctx.analysis, edits).mean()) > 0:
            yield _finding(ctx, found, multiple, Fix(_title(found), "exact", edits))


def _finding(ctx: Context, found: Blocked, multiple: int, fix: Fix) -> Finding:
    conv = found.conv
    old = conv.kernel[0] * conv.kernel[1] * multiple
    wide = -(-found.channels // multiple) * multiple
    new = found.window[0] * found.window[1] * wide
    share = ctx.share([conv.node])
    return Finding(
        message=f"the first convolution reads {conv.in_channels} channels where {ctx.device.name} computes {multiple}: "
        f"{100 * share:.0f} % of the time",
        suggestion=f"SpaceToDepth by {found.block}, then {_x(found.window)} over {found.channels} channels: "
        f"{old} products an output become {new} on this array.\n"
        "Exact: the old weights in another order, and zeros; no retraining.",
        nodes=(conv.node.key,),
        fixes=(fix,),
    )


def _title(found: Blocked) -> str:
    old = f"{_x(found.conv.kernel)} of stride {found.block}"
    return f"SpaceToDepth by {found.block} and a {_x(found.window)} convolution in place of the {old}"


def _x(window: tuple[int, ...]) -> str:
    return "x".join(map(str, window))


def _first_convolutions(ctx: Context) -> Iterator[Node]:
    """The convolutions that read a graph input of rank 4, themselves or through element-wise steps."""
    graph = ctx.graph
    for name in graph.inputs:
        if graph.type_of(name).rank != 4:
            continue
        for _ in range(_MAX_STEPS):
            readers = graph.readers(name)
            yield from (node for node in readers if node.op_type == "Conv" and node.inputs[0] == name)
            through = [node for node in readers if node.op_type in _THROUGH and not node.domain]
            if len(readers) != 1 or not through or len(through[0].outputs) != 1:
                break
            name = through[0].outputs[0]


_STEM = """stem (float[1,3,224,224] x) => (float[1,32,112,112] y) <float[32,3,3,3] w> {
    a = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)
    y = Relu (a)
}"""
VALID = [
    # 3 channels cost as 4, and there is no SpaceToDepth
    Valid(_STEM, device="hi3519"),
    # stride 1: SpaceToDepth saves nothing
    Valid(
        """plain (float[1,3,224,224] x) => (float[1,64,224,224] y) <float[64,3,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)
        }""",
        device="rk3588",
    ),
    # enough channels
    Valid(
        """wide (float[1,32,112,112] x) => (float[1,64,56,56] y) <float[64,32,3,3] w> {
            y = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w)
        }""",
        device="rk3588",
    ),
]
INVALID = [
    Invalid(_STEM, device="rk3588"),
    Invalid(
        """resnet (float[1,3,224,224] x) => (float[1,64,112,112] y) <float[64,3,7,7] w> {
            y = Conv <strides = [2,2], pads = [3,3,3,3]> (x, w)
        }""",
        device="rk3588",
    ),
]
