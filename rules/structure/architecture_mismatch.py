"""An architecture made for another class of device.

## What it does
Looks which kind of block takes most of the time, and whether that kind suits the device: depthwise-separable blocks on
an NPU or GPU, parallel branches on a GPU, dense 3×3 convolutions on a phone's CPU. Then it prices the graph with those
blocks replaced by the kind that suits, and reports what comes out.

## Why it costs
A MAC is not a MAC. Arrays and tensor cores run a dense convolution near their peak and a depthwise one at a small
part of it (MobileDets, arXiv 2004.14525: regular convolutions in place of inverted bottlenecks on the Edge TPU and
DSP). Branches are launches and synchronisation (ShuffleNetV2, arXiv 1807.11164, G3; RepVGG, arXiv 2101.03697). A CPU
runs separable convolutions about as well as dense ones, and they need an eighth of the MACs (MobileNet, arXiv
1704.04861, table 4: 70.6 % instead of 71.7 % top-1 with 569 instead of 4866 M).

## How to fix
Another family, trained anew: CSPNet or RepVGG on NPUs, RepVGG on GPUs, MobileNet or ShuffleNetV2 on phone CPUs. The
price is of this graph with each block replaced: a separable or branched block by a dense convolution into few channels
and a 1×1 behind it, of equal MACs (MobileDets' fused block; its kernel is the block's own); on a CPU a dense
convolution by a separable one of the same channels (an eighth of the MACs, another accuracy). It says nothing of
accuracy. A warning where, at equal MACs, it gains more than 20 % at the low end of its range, else an info: an eighth
of the MACs is another network, and no reason to fail a build. Parallel branches are an info: G3 warns of them.
Silent where the profile makes CNV001 silent (the vendor supports depthwise), where the blocks take less than half of
the time, and where the replacement gains less than 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from onnxlint.finding import Edit, Finding, Fix, Severity
from onnxlint.patterns.block_swaps import fused, separable
from onnxlint.patterns.blocks import Block, branched_blocks, dense_convolutions, separable_blocks
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import UnknownShape
from onnxlint.whatif import EditError, saving, seconds_alone

RULE = Rule(code="STR006", name="architecture-mismatch", severity="warning")
_DOMINANT, _LEAST_GAIN, _WARNING_GAIN = 0.5, 0.05, 0.2
_BRANCHES = "parallel branches"
_SUITS = {"npu": "CSPNet or RepVGG", "dsp": "CSPNet or RepVGG", "gpu": "RepVGG", "cpu": "MobileNet or ShuffleNetV2"}


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the kind of block that gains most from being replaced."""
    depthwise = ctx.device.rules.get("CNV001")
    kinds: list[tuple[str, str, Iterator[Block], Callable[[Context, Block], list[Edit]]]] = []
    if ctx.device.kind in ("npu", "dsp", "gpu") and not (depthwise is not None and depthwise.silent):
        kinds.append(("depthwise-separable blocks", "fused", separable_blocks(ctx.graph), _fused))
    if ctx.device.kind == "gpu":
        kinds.append((_BRANCHES, "fused", branched_blocks(ctx.graph), _fused))
    if ctx.device.kind == "cpu":
        kinds.append(("dense convolutions", "separable", dense_convolutions(ctx.graph), _separable))
    for found, wanted, blocks, replaced in kinds:
        finding = _finding(ctx, found, wanted, _apart(ctx, blocks), replaced)
        if finding is not None:
            yield finding


def _apart(ctx: Context, blocks: Iterator[Block]) -> list[Block]:
    """The blocks between maps of one rank, none of them empty, without those that share a node with an earlier one."""
    taken: set[str] = set()
    kept: list[Block] = []
    for block in blocks:
        keys = {node.key for node in block.nodes}
        maps = [ctx.graph.type_of(name) for name in (block.source, block.output)]
        fit = all(known.is_known and known.rank == len(block.kernel) + 2 and known.elements for known in maps)
        if fit and taken.isdisjoint(keys):
            taken |= keys
            kept.append(block)
    return kept


def _finding(
    ctx: Context, found: str, wanted: str, blocks: list[Block], replaced: Callable[[Context, Block], list[Edit]]
) -> Finding | None:
    nodes = [node for block in blocks for node in block.nodes]
    share = ctx.share(nodes)
    if share < _DOMINANT or ctx.analysis.placement.on_host & {node.key for node in nodes}:
        return None
    try:
        swaps = [tuple(replaced(ctx, block)) for block in blocks]
        # the new kernels by themselves are soon priced, and most often right to a hundredth
        if ctx.seconds(nodes) - sum(seconds_alone(ctx.analysis, swaps)) < _LEAST_GAIN * ctx.total_s:
            return None
        edits = tuple(edit for swap in swaps for edit in swap)
        gain = ctx.analysis.spread(saving(ctx.analysis, edits))
    except (EditError, UnknownShape):
        return None
    if gain[0] < _LEAST_GAIN * ctx.total_s:
        return None
    is_alike = wanted == "fused"
    is_told = found == _BRANCHES  # G3 warns of them, with what to do in each cell
    severity: Severity | None = None if is_alike and not is_told and gain[1] > _WARNING_GAIN * ctx.total_s else "info"
    family = _SUITS[ctx.device.kind]
    priced = "equal MACs" if is_alike else "the same channels"
    return Finding(
        message=f"{found} take {100 * share:.0f} % of the time: another architecture suits {ctx.device.name} better",
        suggestion=f"Another architecture, trained anew ({family}); what keeps the outputs comes first. "
        f"Priced: {wanted} blocks of {priced} here.",
        nodes=tuple(node.key for node in nodes),
        places=len(blocks),
        fixes=(Fix(f"{wanted} blocks of {priced}, as in {family}", "advice", edits),),
        severity=severity,
    )


def _fused(ctx: Context, block: Block) -> list[Edit]:
    """As many MACs as the block in dense convolutions."""
    works = (ctx.analysis.costs.work(node) for node in block.nodes)
    macs = sum(work.macs for work in works if work is not None)
    return fused(ctx.graph, block, macs, ctx.device.alignment.output_channels)


def _separable(ctx: Context, block: Block) -> list[Edit]:
    return separable(ctx.graph, block)


_SEPARABLE = """
net (float[1,128,56,56] x) => (float[1,128,56,56] y)
<float[128,1,3,3] d1, float[128,128,1,1] p1, float[128,1,3,3] d2, float[128,128,1,1] p2> {
  a = Conv<group = 128, pads = [1, 1, 1, 1]>(x, d1)
  b = Relu(a)
  c = Conv(b, p1)
  e = Relu(c)
  f = Conv<group = 128, pads = [1, 1, 1, 1]>(e, d2)
  g = Relu(f)
  y = Conv(g, p2)
}
"""
_DENSE = """
net (float[1,128,56,56] x) => (float[1,128,56,56] y)
<float[128,128,3,3] w> {
  a = Conv<pads = [1, 1, 1, 1]>(x, w)
  y = Relu(a)
}
"""
VALID = [Valid(_SEPARABLE, device="x3"), Valid(_SEPARABLE, device="cortex-a76"), Valid(_DENSE, device="t4")]
INVALID = [Invalid(_SEPARABLE, device="hi3519", places=2), Invalid(_DENSE, device="cortex-a76", severity="info")]
