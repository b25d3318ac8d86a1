"""Stages whose blocks all run at full width on a device that waits for its memory there.

## What it does
Finds stages of two or more residual blocks of dense convolutions at one size and width, each block over all channels,
that are memory-bound on this device for more than half of their time. All such stages of the model are one finding,
and always an info: it is a design, no fault.

## Why it costs
Every block reads and writes the whole map. CSPNet (arXiv 1911.11929) sends a part of the channels through the blocks
and the others past them: 20 % less computation at equal or better accuracy on ImageNet (abstract). Half of the
channels are half of the map to read and write in every block, which is what the price counts here.

## How to fix
Cross-stage partial: two 1x1 convolutions to half the width each, the blocks on one half, a Concat and a 1x1 convolution
behind. The price is of exactly this. It is another architecture and needs training.

## Where it is silent
On stages that already are cross-stage partial or one-shot aggregations, on blocks with depthwise convolutions or
attention, where arithmetic bounds the stage, and where the change saves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.graph import Graph
from onnxlint.patterns.full_width import Stage, half_width, stages
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural
from onnxlint.whatif import seconds_alone

RULE = Rule(code="STR003", name="full-width-stage", severity="info")

_MEMORY_BOUND = 0.5


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all stages that gain by half the width."""
    found = [stage for stage in stages(ctx.graph) if _is_memory_bound(ctx, stage)]
    if not found:
        return
    edits = {stage.output: tuple(half_width(ctx.graph, stage, RULE.code)) for stage in found}
    partial = seconds_alone(ctx.analysis, [*edits.values()])
    paying = [stage for stage, new in zip(found, partial, strict=True) if new < ctx.seconds(stage.nodes)]
    if not paying:
        return
    nodes = [node for stage in paying for node in stage.nodes]
    dearest = max(paying, key=lambda stage: ctx.seconds(stage.nodes))
    _, channels, *places = ctx.graph.type_of(dearest.output).dims
    at = "x".join(map(str, places))
    yield Finding(
        message=f"{plural(len(paying), 'memory-bound stage')} of full-width blocks: {100 * ctx.share(nodes):.0f} % of "
        "the time",
        suggestion=f"Cross-stage partial, first for the {len(dearest.blocks)} blocks at {at}: {channels // 2} of "
        f"{channels} channels through the blocks,\nthe others past them, one Concat and a 1x1 behind. "
        "It needs training.",
        nodes=tuple(node.key for node in nodes),
        places=len(paying),
        fixes=(
            Fix(
                f"half the width through the blocks of {plural(len(paying), 'stage')}",
                "advice",
                tuple(edit for stage in paying for edit in edits[stage.output]),
            ),
        ),
        details=tuple(_describe(ctx.graph, stage) for stage in paying),
    )


def _describe(graph: Graph, stage: Stage) -> str:
    shape = "x".join(str(size) for size in graph.type_of(stage.output).dims)
    return f"{len(stage.blocks)} blocks of {shape}: {stage.output}"


def _is_memory_bound(ctx: Context, stage: Stage) -> bool:
    indices = {ctx.analysis.kernel_of[node.key] for node in stage.nodes if node.key in ctx.analysis.kernel_of}
    spent = {index: float(ctx.times[index].mean()) for index in indices}
    bound = sum(seconds for index, seconds in spent.items() if ctx.analysis.bounds[index] == "memory")
    return bound > _MEMORY_BOUND * sum(spent.values())


_STAGE = """stage (float[1,{c},{s},{s}] x) => (float[1,{c},{s},{s}] y)
<float[{c},{c},3,3] a1, float[{c},{c},3,3] a2, float[{c},{c},3,3] b1, float[{c},{c},3,3] b2,
 float[{c},{c},3,3] c1, float[{c},{c},3,3] c2> {{
    a = Conv <pads = [1,1,1,1]> (x, a1)
    ar = Relu (a)
    ab = Conv <pads = [1,1,1,1]> (ar, a2)
    as = Add (ab, x)
    ao = Relu (as)
    b = Conv <pads = [1,1,1,1]> (ao, b1)
    br = Relu (b)
    bb = Conv <pads = [1,1,1,1]> (br, b2)
    bs = Add (bb, ao)
    bo = Relu (bs)
    c = Conv <pads = [1,1,1,1]> (bo, c1)
    cr = Relu (c)
    cb = Conv <pads = [1,1,1,1]> (cr, c2)
    cs = Add (cb, bo)
    y = Relu (cs)
}}"""

VALID = [
    # arithmetic bounds it
    Valid(_STAGE.format(c=256, s=28), device="cortex-a76"),
    # one block is no stage
    Valid(
        """block (float[1,64,112,112] x) => (float[1,64,112,112] y) <float[64,64,3,3] w, float[64,64,3,3] v> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Relu (a)
            c = Conv <pads = [1,1,1,1]> (b, v)
            y = Add (c, x)
        }""",
        device="t4",
    ),
]
INVALID = [Invalid(_STAGE.format(c=32, s=224), device="t4", severity="info")]
