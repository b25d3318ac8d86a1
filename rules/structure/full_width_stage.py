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
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.aggregation import cross_stages
from onnxlint.patterns.convolutions import attributes_of, sizes
from onnxlint.patterns.edits import stored
from onnxlint.patterns.parallel import merges
from onnxlint.patterns.residual import Residual, residuals
from onnxlint.patterns.walk import POINTWISE, is_private, row_back
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.units import plural
from onnxlint.whatif import seconds_alone

RULE = Rule(code="STR003", name="full-width-stage", severity="info")

_LEAST_BLOCKS, _MEMORY_BOUND = 2, 0.5
_PARTS = frozenset({"Conv", "Add", "BatchNormalization", "Mul"}) | POINTWISE


@dataclass(frozen=True, slots=True)
class _Stage:
    blocks: tuple[Residual, ...]
    nodes: tuple[Node, ...]

    @property
    def source(self) -> str:
        return self.blocks[0].source

    @property
    def output(self) -> str:
        return self.blocks[-1].output


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all stages that gain by half the width."""
    stages = [stage for stage in _stages(ctx.graph) if _is_memory_bound(ctx, stage)]
    if not stages:
        return
    edits = {stage.output: tuple(_partial(ctx.graph, stage)) for stage in stages}
    partial = seconds_alone(ctx.analysis, [*edits.values()])
    paying = [stage for stage, new in zip(stages, partial, strict=True) if new < ctx.seconds(stage.nodes)]
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


def _describe(graph: Graph, stage: _Stage) -> str:
    shape = "x".join(str(size) for size in graph.type_of(stage.output).dims)
    return f"{len(stage.blocks)} blocks of {shape}: {stage.output}"


def _stages(graph: Graph) -> Iterator[_Stage]:
    """Runs of identity blocks of one shape, each on the result of the one before."""
    closed = {node.key for stage in cross_stages(graph) for node in stage.nodes}
    closed |= {node.key for merge in merges(graph) for node in merge.nodes}
    runs: dict[str, list[Residual]] = {}
    for block in residuals(graph):
        if block.shortcut or block.join.key in closed or not _is_dense(graph, block):
            continue
        before = block.source
        for nodes, earlier in row_back(graph, block.source, 2):
            if before in runs or any(node.op_type not in POINTWISE for node in nodes):
                break
            before = earlier
        run = runs.pop(before, [])
        runs[block.output] = [*run, block]
    for run in runs.values():
        members = {node.key: node for block in run for node in (*block.body, block.join)}
        for block in run[1:]:
            members |= {
                node.key: node for step, _ in row_back(graph, block.source, 2) for node in step if _lies(run, step)
            }
        ordered = tuple(sorted(members.values(), key=lambda node: graph.position[node.key]))
        if len(run) >= _LEAST_BLOCKS and is_private(graph, ordered, [run[-1].output]):
            yield _Stage(tuple(run), ordered)


def _lies(run: list[Residual], step: tuple[Node, ...]) -> bool:
    """The activation between two blocks of the run."""
    outputs = {block.output for block in run[:-1]}
    return any(name in outputs for node in step for name in node.inputs)


def _is_dense(graph: Graph, block: Residual) -> bool:
    """Convolutions of many channels with a window among them, and activations: nothing depthwise, no attention."""
    shape = graph.type_of(block.output).shape or ()
    if len(shape) != 4 or (shape[1] or 1) % 2 or any(node.op_type not in _PARTS for node in block.body):
        return False
    found = [sizes(graph, node) for node in block.body if node.op_type == "Conv"]
    known = [conv for conv in found if conv is not None]
    if len(known) < len(found) or any(conv.is_depthwise or conv.in_pixels != conv.out_pixels for conv in known):
        return False
    return any(not conv.is_pointwise for conv in known)


def _is_memory_bound(ctx: Context, stage: _Stage) -> bool:
    indices = {ctx.analysis.kernel_of[node.key] for node in stage.nodes if node.key in ctx.analysis.kernel_of}
    spent = {index: float(ctx.times[index].mean()) for index in indices}
    bound = sum(seconds for index, seconds in spent.items() if ctx.analysis.bounds[index] == "memory")
    return bound > _MEMORY_BOUND * sum(spent.values())


def _partial(graph: Graph, stage: _Stage) -> Iterator[Edit]:
    """The stage's nodes at half the width, between a split by two 1x1 convolutions and a Concat with a 1x1 behind."""
    out = graph.type_of(stage.output)
    channels = out.dims[1]
    names = {stage.source: f"{stage.output}~{RULE.code}.in", stage.output: f"{stage.output}~{RULE.code}.out"}
    yield from (Remove(node.key) for node in stage.nodes)
    past, joined = f"{stage.output}~{RULE.code}.past", f"{stage.output}~{RULE.code}.joined"
    yield from _pointwise(stage.source, channels // 2, names[stage.source], graph.type_of(stage.source))
    yield from _pointwise(stage.source, channels // 2, past, graph.type_of(stage.source))
    for node in stage.nodes:
        inputs = []
        for name in node.inputs:
            if name and graph.is_constant(name) and graph.type_of(name).is_known:
                half = f"{name}~{RULE.code}:{node.key}"
                yield Declare(half, _halved_weight(graph, node, name), is_weight=True)
                inputs.append(half)
            else:
                inputs.append(names.get(name, name))
        for name in node.outputs:
            names.setdefault(name, f"{name}~{RULE.code}")
            known = graph.type_of(name)
            if known.is_known and len(known.dims) > 1:
                yield Declare(
                    names[name], TensorType(known.dtype, (known.dims[0], known.dims[1] // 2, *known.dims[2:]))
                )
        given = attributes_of(node)
        if node.op_type == "Conv" and (groups := int(node.attr("group", 1))) > 1:
            given = (*((name, value) for name, value in given if name != "group"), ("group", groups // 2))
        yield Insert(node.op_type, tuple(inputs), tuple(names[name] for name in node.outputs), given, node.domain)
    yield Declare(joined, out)
    yield Insert("Concat", (names[stage.output], past), (joined,), (("axis", 1),))
    yield from _pointwise(joined, channels, stage.output, out)


def _halved_weight(graph: Graph, node: Node, name: str) -> TensorType:
    known = graph.type_of(name)
    dims = list(known.dims)
    if dims and dims[0] > 1:
        dims[0] //= 2
    if node.op_type == "Conv" and len(dims) == 4 and int(node.attr("group", 1)) == 1:
        dims[1] = max(1, dims[1] // 2)
    return TensorType(known.dtype, tuple(dims))


def _pointwise(source: str, channels: int, out: str, like: TensorType) -> Iterator[Edit]:
    """A 1x1 convolution with an activation behind it."""
    weight, linear = f"{out}.weight", f"{out}.linear"
    kind = TensorType(like.dtype, (like.dims[0], channels, *like.dims[2:]))
    yield stored(weight, like.dtype, (channels, like.dims[1], 1, 1))
    yield from (Declare(name, kind) for name in (linear, out))
    yield Insert("Conv", (source, weight), (linear,))
    yield Insert("Relu", (linear,), (out,))


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
