"""Dense blocks: every layer reads the concatenation of all layers before it.

## What it does
Finds rows of three or more layers in which each layer's result is concatenated with everything before it and the next
layer reads the whole (DenseNet), by data flow. All blocks of the model are one finding.

## Why it costs
The input of layer i has grown by i features, so what is read, normalised and concatenated rises with the square of the
depth, while the layer itself writes few channels. VoVNet (arXiv 1904.09730, abstract) finds that the linearly
increasing input of dense connections leads to heavy memory access cost; its detectors with one-shot aggregation run
twice as fast as those with DenseNet and take 1.6 to 4.1 times less energy.

## How to fix
One-shot aggregation: up to five 3x3 convolutions of equal width in a row, one Concat of all at the end, a 1x1
convolution back to the block's width. The price is of such modules with the multiply-accumulates and the output
channels of the blocks that they replace. It is another architecture and needs training. Layers of more than plain
convolutions (RDNet's, with LayerNorm and GELU) would take theirs along: there no price is given, but what the
concatenations take.

## Where it is silent
On one-shot aggregation itself, cross-stage partial networks and other Concats that are read once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.patterns.aggregation import DenseBlock, dense_blocks
from onnxlint.patterns.edits import stored
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.units import plural, size

RULE = Rule(code="STR002", name="dense-connectivity", severity="warning")

_IN_A_ROW, _REPLACED = 5, 6
_PLAIN = frozenset(
    {"Conv", "BatchNormalization", "Relu", "Clip", "LeakyRelu", "PRelu", "Identity", "Dropout", "Concat"}
)
_STEP = 8


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all dense blocks."""
    graph = ctx.graph
    found = [(block, *_modules(ctx, block)) for block in dense_blocks(graph)]
    if not found:
        return
    layered = [node for block, *_ in found for layer in block.layers for node in layer]
    is_plain = all(node.op_type in _PLAIN for node in layered)
    nodes = [*(layered if is_plain else ()), *(join for block, *_ in found for join in block.joins)]
    joined = sum(ctx.analysis.value_bytes(join.outputs[0]) for block, *_ in found for join in block.joins)
    once = sum(ctx.analysis.value_bytes(block.output) for block, *_ in found)
    edits = tuple(edit for block, count, width in found if width for edit in _aggregated(ctx, block, count, width))
    layers = sum(len(block.layers) for block, *_ in found)
    largest = max(found, key=lambda entry: len(entry[0].layers))
    yield Finding(
        message=f"{plural(len(found), 'dense block')} of {layers} layers: {100 * ctx.share(nodes):.0f} % of the time"
        + ("" if is_plain else " for their concatenations"),
        suggestion=f"Their concatenations hold {size(joined)}; joined once a block it were {size(once)}.\n"
        + (_advice(ctx, *largest) if is_plain else "One-shot aggregation joins them once."),
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(Fix("one-shot aggregation of equal MACs and output channels", "advice", edits),)
        if edits and is_plain
        else (),
        severity=None if is_plain else "info",
        details=tuple(_describe(ctx, block) for block, *_ in found),
    )


def _channels(ctx: Context, block: DenseBlock) -> tuple[int, int]:
    return ctx.graph.type_of(block.source).dims[1], ctx.graph.type_of(block.output).dims[1]


def _describe(ctx: Context, block: DenseBlock) -> str:
    before, after = _channels(ctx, block)
    return f"{len(block.layers)} layers, {before} to {after} channels: {block.output}"


def _advice(ctx: Context, block: DenseBlock, modules: int, width: int) -> str:
    after = _channels(ctx, block)[1]
    if not width:
        return "One-shot aggregation joins them once; no width of equal MACs is found here."
    many = f"{modules} times " if modules > 1 else ""
    convolutions = f"{many}{_IN_A_ROW} 3x3 convolutions of {width} channels, one Concat, 1x1 to {after}"
    return f"One-shot aggregation for the {len(block.layers)} layers: {convolutions}."


def _modules(ctx: Context, block: DenseBlock) -> tuple[int, int]:
    """How many modules, and the channels of their 3x3 convolutions, have the MACs of the dense block; 0 where none."""
    for count in range(math.ceil(len(block.layers) / _REPLACED), 0, -1):
        width = _width(ctx, block, count)
        if width >= min(ctx.graph.type_of(name).dims[1] for name in block.features):
            return count, width
    return 0, 0


def _width(ctx: Context, block: DenseBlock, count: int) -> int:
    before, after = _channels(ctx, block)
    out = ctx.graph.type_of(block.output)
    works = (ctx.analysis.costs.work(node) for layer in block.layers for node in layer)
    wanted = sum(work.macs for work in works if work is not None) / max(1, out.elements // after)

    def macs(width: int) -> int:
        sources = [before, *[after] * (count - 1)]
        return sum(9 * (c * width + 4 * width * width) + (c + _IN_A_ROW * width) * after for c in sources)

    width = 0
    while macs(width + _STEP) <= wanted:
        width += _STEP
    return width


def _aggregated(ctx: Context, block: DenseBlock, count: int, width: int) -> Iterator[Edit]:
    graph = ctx.graph
    out = graph.type_of(block.output)
    after, places = out.dims[1], out.dims[2:]
    yield from (Remove(node.key) for layer in block.layers for node in layer)
    yield from (Remove(join.key) for join in block.joins)
    source = block.source
    for module in range(count):
        last = module == count - 1
        here = f"{block.output}~{RULE.code}.{module}"
        features, value = [source], source
        for step in range(_IN_A_ROW):
            made = f"{here}.{step}"
            yield from _convolution(value, _channels_of(ctx, value, width), width, 3, made, out, places)
            features.append(made)
            value = made
        joined = f"{here}.joined"
        wide = _channels_of(ctx, source, after) + _IN_A_ROW * width
        yield Declare(joined, TensorType(out.dtype, (out.dims[0], wide, *places)))
        yield Insert("Concat", tuple(features), (joined,), (("axis", 1),))
        result = block.output if last else f"{here}.out"
        yield from _convolution(joined, wide, after, 1, result, out, places)
        source = result


def _channels_of(ctx: Context, value: str, otherwise: int) -> int:
    """Channels of a value of the graph, `otherwise` those of a new one."""
    known = ctx.graph.type_of(value)
    return known.dims[1] if known.is_known else otherwise


def _convolution(
    source: str, before: int, after: int, window: int, out: str, like: TensorType, places: tuple[int, ...]
) -> Iterator[Edit]:
    """A convolution with its bias and a Relu behind it."""
    weight, bias, linear = f"{out}.weight", f"{out}.bias", f"{out}.linear"
    kind = TensorType(like.dtype, (like.dims[0], after, *places))
    yield stored(weight, like.dtype, (after, before, window, window))
    yield stored(bias, like.dtype, (after,))
    yield Declare(linear, kind)
    yield Declare(out, kind)
    yield Insert("Conv", (source, weight, bias), (linear,), (("pads", [window // 2] * 4),))
    yield Insert("Relu", (linear,), (out,))


_BLOCK = """dense (float[1,64,56,56] x) => (float[1,192,56,56] y)
<float[128,64,1,1] a1, float[32,128,3,3] a2, float[128,96,1,1] b1, float[32,128,3,3] b2,
 float[128,128,1,1] c1, float[32,128,3,3] c2, float[128,160,1,1] d1, float[32,128,3,3] d2> {
    aa = Conv (x, a1)
    ab = Relu (aa)
    a = Conv <pads = [1,1,1,1]> (ab, a2)
    ca = Concat <axis = 1> (x, a)
    ba = Conv (ca, b1)
    bb = Relu (ba)
    b = Conv <pads = [1,1,1,1]> (bb, b2)
    cb = Concat <axis = 1> (x, a, b)
    cc = Conv (cb, c1)
    cd = Relu (cc)
    c = Conv <pads = [1,1,1,1]> (cd, c2)
    ce = Concat <axis = 1> (x, a, b, c)
    da = Conv (ce, d1)
    db = Relu (da)
    d = Conv <pads = [1,1,1,1]> (db, d2)
    y = Concat <axis = 1> (x, a, b, c, d)
}"""

VALID = [
    # one-shot aggregation: each layer reads the one before, all are joined once
    Valid(
        """osa (float[1,64,56,56] x) => (float[1,256,56,56] y)
        <float[64,64,3,3] w, float[64,64,3,3] v, float[64,64,3,3] u> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Conv <pads = [1,1,1,1]> (a, v)
            c = Conv <pads = [1,1,1,1]> (b, u)
            y = Concat <axis = 1> (x, a, b, c)
        }"""
    ),
]
INVALID = [
    Invalid(_BLOCK, device="t4", severity="warning"),
    Invalid(_BLOCK, device="cortex-a76"),
    # exports of DenseNet have a Concat of one in front of the first layer
    Invalid(
        _BLOCK.replace("aa = Conv (x, a1)", "one = Concat <axis = 1> (x)\n    aa = Conv (one, a1)"),
        device="t4",
        severity="warning",
    ),
    # layers of more than convolutions have no price
    Invalid(_BLOCK.replace("Relu", "Erf"), device="t4", severity="info"),
]
