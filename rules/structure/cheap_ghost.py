"""Ghost modules that the convolution they replace outruns.

## What it does
Takes every Ghost module (a convolution of half the channels, a depthwise "cheap operation" on its result, both side by
side), puts the plain convolution of the same input, output and kernel in its place and prices both on this device.
Modules that the plain convolution outruns are reported together.

## Why it costs
GhostNet (arXiv 1911.11907) counts FLOPs: half a convolution and a depthwise one instead of a whole convolution. On an
accelerator the depthwise half leaves the array empty, and the Concat writes the map once more. The same authors (arXiv
2201.03297, abstract) keep this module for CPUs and call depthwise convolution inefficient on GPUs; for those they use
the redundancy across the blocks of a stage (G-Ghost) instead.

## How to fix
The plain convolution: more multiply-accumulates, one kernel, less time. It needs retraining.

## Where it is silent
Where the module is faster than the convolution: with many channels, on CPUs mostly. Modules that leave the device are
not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.edits import stored
from onnxlint.patterns.ghost import Ghost, ghosts
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import seconds_alone

RULE = Rule(code="STR005", name="cheap-ghost", severity="warning")

_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the modules that the plain convolution outruns."""
    hosted = ctx.analysis.placement.on_host
    modules = [one for one in ghosts(ctx.graph) if not hosted & {node.key for node in one.nodes}]
    if not modules:
        return
    edits = {one.output: tuple(_plain(ctx, one)) for one in modules}
    dense = seconds_alone(ctx.analysis, [*edits.values()])
    gains = [ctx.seconds(one.nodes) - new for one, new in zip(modules, dense, strict=True)]
    slower = sorted(
        ((gain, one) for gain, one in zip(gains, modules, strict=True) if gain > 0), key=lambda entry: -entry[0]
    )
    if not slower:
        return
    chosen = [one for _, one in slower]
    macs, plain = sum(map(_macs, chosen)), sum(map(_plain_macs, chosen))
    is_one = len(chosen) == 1
    yield Finding(
        message=f"{plural(len(chosen), 'Ghost module')} of {len(modules)} {'is' if is_one else 'are'} slower here than "
        f"{'a plain convolution' if is_one else 'plain convolutions'}",
        suggestion=f"{macs / 1e6:.1f} M MACs become {plain / 1e6:.1f} M in one kernel{'' if is_one else ' each'}.\n"
        f"{'The module' if is_one else 'The one that pays most'}: {_describe(ctx, chosen[0])}.",
        nodes=tuple(node.key for one in chosen for node in one.nodes),
        places=len(chosen),
        fixes=(
            Fix(
                f"plain convolutions in place of {plural(len(chosen), 'Ghost module')}",
                "lossy",
                tuple(edit for one in chosen for edit in edits[one.output]),
            ),
        ),
        details=tuple(_describe(ctx, one) for one in chosen[:_LISTED]),
    )


def _macs(one: Ghost) -> int:
    return one.primary.macs + one.cheap.macs


def _plain_macs(one: Ghost) -> int:
    return one.primary.macs * (one.primary.out_channels + one.cheap.out_channels) // one.primary.out_channels


def _describe(ctx: Context, one: Ghost) -> str:
    window = "x".join(map(str, one.primary.kernel))
    return f"{one.output}: {window} {one.primary.in_channels}->{ctx.graph.type_of(one.output).dims[1]}"


def _plain(ctx: Context, one: Ghost) -> Iterator[Edit]:
    """One convolution of all channels, with the primary one's window and activation."""
    out, conv = ctx.graph.type_of(one.output), one.primary.node
    weight, bias = f"{one.output}~{RULE.code}.weight", f"{one.output}~{RULE.code}.bias"
    behind = [node for node in one.behind if node.op_type != "BatchNormalization"]
    names = {conv.outputs[0]: f"{one.output}~{RULE.code}.linear" if behind else one.output}
    yield from (Remove(node.key) for node in one.nodes)
    shape = (out.dims[1], one.primary.in_channels, *one.primary.kernel)
    yield stored(weight, out.dtype, shape)
    yield stored(bias, out.dtype, out.dims[1:2])
    yield Declare(names[conv.outputs[0]], out)
    yield Insert("Conv", (conv.inputs[0], weight, bias), (names[conv.outputs[0]],), attributes_of(conv))
    for node in one.behind:
        if node not in behind:
            names[node.outputs[0]] = names[node.inputs[0]]
            continue
        is_last = node is behind[-1]
        name = one.output if is_last else f"{node.outputs[0]}~{RULE.code}"
        names[node.outputs[0]] = name
        yield Declare(name, out)
        yield Insert(node.op_type, tuple(names.get(n, n) for n in node.inputs), (name,), attributes_of(node))


_MODULE = """ghost (float[1,{c},{s},{s}] x) => (float[1,{c},{s},{s}] y)
<float[{h},{c},1,1] w, float[{h}] a, float[{h},1,3,3] v, float[{h}] b> {{
    p = Conv (x, w, a)
    q = Relu (p)
    r = Conv <group = {h}, pads = [1,1,1,1]> (q, v, b)
    s = Relu (r)
    y = Concat <axis = 1> (q, s)
}}"""

VALID = [
    # 960 channels on a small map: the convolution would cost more than the module
    Valid(_MODULE.format(c=960, h=480, s=7), device="cortex-a76"),
    # a ShuffleNetV2 unit: the halves do not come from one another
    Valid(
        """unit (float[1,32,28,28] x, float[1,32,28,28] z) => (float[1,64,28,28] y) <float[32,1,3,3] v> {
            r = Conv <group = 32, pads = [1,1,1,1]> (x, v)
            y = Concat <axis = 1> (z, r)
        }""",
        device="hi3519",
    ),
]
INVALID = [Invalid(_MODULE.format(c=16, h=8, s=112), device="hi3519", severity="warning")]
