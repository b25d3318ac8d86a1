"""Cells of many small operators side by side

## What it does
Finds fork-join regions: nodes that lead to one Concat or sum alone and come from one point, or from earlier cells. A
region with at least three branches and four convolutions or pools is a fragmented cell. All cells of the model are
one finding; it says what part of their time is launch overhead or a machine too large for its kernels.

## Why it costs
G3 of ShuffleNetV2 (arXiv 1807.11164): many small operators in place of a few large ones lower the degree of parallelism
and add "kernel launching and synchronization". NASNet-A has 13 convolutions and pools in one block, ResNet two or
three. In its Table 3, ten blocks of four parallel 1x1 convolutions run at 691 batches a second, ten single ones with the same
FLOPs at 2446 (GTX 1080 Ti, 128 channels): 3.5 times slower; on a Snapdragon 810 35.0 against 40.2 images a second.

## How to fix
One or two wide convolutions with the cell's multiply-accumulates, priced in place of every cell: another architecture,
so advice. Convolutions of one input with the same window and activation whose results the Concat puts side by side
are one convolution with their weights stacked: exact.

## Where it is silent
On two branches (residual blocks, squeeze-excite gates, channel splits), on branches that feed one another (DenseNet,
one-shot aggregation), on cells that run on the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.regions import Region, regions
from onnxlint.patterns.stacked import stacked
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType

RULE = Rule(code="G3", name="network-fragmentation", severity="warning")

MIN_BRANCHES, MIN_OPERATORS = 3, 4
_OPERATORS = ANCHORS | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}
_WINDOW = 3
_LISTED = 6


@dataclass(frozen=True, slots=True)
class _Cell:
    region: Region
    operators: int
    kernels: int
    seconds: float
    idle: float
    macs: int

    def __str__(self) -> str:
        return f"{self.region.name}: {len(self.region.branches)} branches, {self.operators} convolutions and pools"


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all fragmented cells of the model."""
    cells = [cell for region in regions(ctx.graph, MIN_BRANCHES) if (cell := _cell(ctx, region)) is not None]
    if not cells:
        return
    cells.sort(key=lambda cell: -cell.seconds)
    worst, seconds = cells[0], sum(cell.seconds for cell in cells)
    idle = sum(cell.idle for cell in cells) / seconds if seconds else 0.0
    yield Finding(
        message=f"{len(cells)} fragmented cells, the dearest of {worst.operators} convolutions and pools in "
        f"{len(worst.region.branches)} branches",
        suggestion=f"{100 * idle:.0f} % of their time is launch overhead or an unfilled machine "
        f"({sum(cell.kernels for cell in cells)} kernels).\n{worst.region.name} first: one or two wide "
        f"{_WINDOW}x{_WINDOW} convolutions with its {worst.macs / 1e6:.1f} M MACs.",
        nodes=tuple(node.key for cell in cells for node in (*cell.region.inner, *cell.region.joins)),
        places=len(cells),
        fixes=tuple(fix for count in (1, 2) if (fix := _wide(ctx.graph, cells, count)).edits),
        details=tuple(str(cell) for cell in cells[:_LISTED]),
    )
    exact = [(c.region, edits) for c in cells if (edits := tuple(stacked(ctx.graph, c.region.joins[-1], RULE.code)))]
    if exact:
        yield Finding(
            message=f"{len(exact)} cells hold convolutions of one input that are one convolution",
            suggestion=f"Stack the weights of the like branches of {exact[0][0].name}: the outputs stay the same.",
            nodes=tuple(node.key for region, _ in exact for node in region.joins),
            places=len(exact),
            fixes=(
                Fix(
                    "like convolutions of one input stacked into one", "exact", tuple(e for _, es in exact for e in es)
                ),
            ),
        )


def _cell(ctx: Context, region: Region) -> _Cell | None:
    """The region as a cell, None where it has too few operators or leaves the device."""
    analysis, members = ctx.analysis, {node.key for node in (*region.inner, *region.joins)}
    indices = sorted({analysis.kernel_of[key] for key in members})
    own = [(i, k) for i in indices if (k := ctx.kernels[i]).main.key in members and not k.is_free]
    operators = [k for _, k in own if k.main.op_type in _OPERATORS]
    if len(operators) < MIN_OPERATORS or any(k.on_host for _, k in own):
        return None
    machine, idle = analysis.target.machine, len(own) * float(analysis.target.machine.overhead.mean())
    seconds = float(analysis.seconds(i for i, _ in own).mean())
    for i, kernel in own:
        known = ctx.graph.type_of(kernel.nodes[-1].outputs[0])
        if machine.fill and known.is_known and analysis.bounds[i] == "compute":
            busy = float(analysis.times[i].mean() - machine.overhead.mean())
            idle += busy * max(0.0, 1 - known.elements / machine.fill)
    macs = sum(analysis.kernel_costs[i].macs for i, _ in own)
    return _Cell(region, len(operators), len(own), seconds, idle, macs)


def _wide(graph: Graph, cells: list[_Cell], count: int) -> Fix:
    """The cells as `count` wide convolutions each, with the same MACs."""
    edits = tuple(edit for cell in cells for edit in _convolutions(graph, cell, count))
    how = "one wide convolution" if count == 1 else f"{count} wide convolutions"
    return Fix(f"{how} of equal MACs in place of each of {len(cells)} cells", "advice", edits)


def _convolutions(graph: Graph, cell: _Cell, count: int) -> Iterator[Edit]:
    region, out = cell.region, graph.type_of(cell.region.output)
    images = [name for name in region.inputs if graph.type_of(name).is_known and graph.type_of(name).rank == 4]
    if not images or not out.is_known or out.rank != 4 or not cell.macs or 0 in out.dims:
        return
    source = max(images, key=lambda name: graph.type_of(name).elements)
    batch, narrow, *positions = graph.type_of(source).dims
    wide, pixels = out.dims[1], out.dims[0] * math.prod(out.dims[2:])
    products = narrow * wide + (count - 1) * wide * wide
    scale = math.sqrt(cell.macs / (pixels * _WINDOW**2 * products))
    into, width = max(1, round(scale * narrow)), max(1, round(scale * wide))
    yield from (Remove(node.key) for node in (*region.inner, *region.joins))
    names = [f"{region.output}~{RULE.code}.{count}.{step}" for step in range(count + 1)]
    for name in region.inputs:
        # a view reads each input, so that it counts as written
        yield Insert("Flatten", (name,), (names[0] if name == source else f"{name}~{names[0]}",))
    yield Declare(names[0], TensorType(out.dtype, (batch, into, *positions)))
    strides = [max(1, round(a / b)) for a, b in zip(positions, out.dims[2:], strict=True)]
    for step in range(count):
        weight, hidden, name = (f"{names[step + 1]}.{part}" for part in ("weight", "hidden", "out"))
        shape = (width, into if step == 0 else width, _WINDOW, _WINDOW)
        known = TensorType(out.dtype, (out.dims[0], width, *out.dims[2:]))
        yield Declare(weight, TensorType(out.dtype, shape), is_weight=True)
        yield from (Declare(value, known) for value in (hidden, name))
        attributes = (("kernel_shape", [_WINDOW] * 2), ("pads", [1] * 4), ("strides", strides if step == 0 else [1, 1]))
        yield Insert("Conv", (names[0] if step == 0 else f"{names[step]}.out", weight), (hidden,), attributes)
        yield Insert("Relu", (hidden,), (name,))
    yield Declare(region.output, out)
    yield Insert("Flatten", (f"{names[count]}.out",), (region.output,))


_CELL = """(float[1,64,14,14] x) => (float[1,64,14,14] y)
<float[16,64,1,1] a1, float[16,64,1,1] b1, float[16,16,3,3] b2, float[16,64,1,1] c1, float[16,16,3,3] c2, float[16,64,1,1] d2> {
    a = Conv (x, a1)
    b0 = Conv (x, b1)
    b = Conv <pads = [1,1,1,1]> (b0, b2)
    c0 = Conv (x, c1)
    c = Conv <pads = [1,1,1,1]> (c0, c2)
    p = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (x)
    d = Conv (p, d2)
    y = Concat <axis = 1> (a, b, c, d)
}"""

VALID = [
    # a residual block: two branches, one of them empty
    Valid(
        """residual (float[1,64,14,14] x) => (float[1,64,14,14] y) <float[64,64,3,3] w, float[64,64,3,3] v> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Relu (a)
            c = Conv <pads = [1,1,1,1]> (b, v)
            y = Add (c, x)
        }""",
        device="t4",
    ),
    # one-shot aggregation: the branches feed one another
    Valid(
        """osa (float[1,64,14,14] x) => (float[1,256,14,14] y)
        <float[64,64,3,3] w, float[64,64,3,3] v, float[64,64,3,3] u, float[64,64,3,3] t> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Conv <pads = [1,1,1,1]> (a, v)
            c = Conv <pads = [1,1,1,1]> (b, u)
            d = Conv <pads = [1,1,1,1]> (c, t)
            y = Concat <axis = 1> (a, b, c, d)
        }""",
        device="t4",
    ),
]
INVALID = [
    Invalid("inception " + _CELL, device="t4", severity="warning"),
    # four convolutions of one input with the same window: exactly one convolution
    Invalid(
        """stacked (float[1,64,14,14] x) => (float[1,64,14,14] y)
        <float[16,64,3,3] w, float[16,64,3,3] v, float[16,64,3,3] u, float[16,64,3,3] t> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Conv <pads = [1,1,1,1]> (x, v)
            c = Conv <pads = [1,1,1,1]> (x, u)
            d = Conv <pads = [1,1,1,1]> (x, t)
            y = Concat <axis = 1> (a, b, c, d)
        }""",
        device="t4",
        places=2,
        severity="warning",
    ),
]
