"""Cells: fork-join regions of many small operators, with what they cost and how much of that is idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from onnxlint.analysis import Analysis
from onnxlint.finding import Edit, Fix, Reconnect
from onnxlint.graph import Graph, Node
from onnxlint.idle import idle_seconds
from onnxlint.kernels import CONVOLUTIONS, TRANSPOSED
from onnxlint.patterns.convolutions import sizes
from onnxlint.patterns.mixed_depthwise import MixedDepthwise, mixed_depthwise
from onnxlint.patterns.parallel import merges
from onnxlint.patterns.regions import Region, distinct_branches, regions
from onnxlint.patterns.stacked import stacked
from onnxlint.patterns.wide_convolutions import wide_convolutions
from onnxlint.units import plural

_MIN_BRANCHES, _MIN_OPERATORS = 3, 4
_MAX_DEPTH = 12
"""Convolutions and pools behind one another in a cell (PNASNet-5: 9); more are a part of a network (DDRNet: 21)."""
_OPERATORS = CONVOLUTIONS | TRANSPOSED | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A region with its branches, convolutions and pools, kernels, seconds (all, and idle) and multiply-accumulates.

    `stacked` are the edits that join its like convolutions; `mixed` tells that it is depthwise convolutions of several
    windows, and nothing else.
    """

    region: Region
    branches: int
    operators: int
    kernels: int
    seconds: float
    idle_s: float
    macs: int
    stacked: tuple[Edit, ...]
    mixed: MixedDepthwise | None

    @property
    def is_whole(self) -> bool:
        """Stacked, the cell is one convolution."""
        return any(isinstance(edit, Reconnect) for edit in self.stacked)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All of the region."""
        return (*self.region.inner, *self.region.joins)

    def __str__(self) -> str:
        return f"{self.region.name}: {self.branches} branches, {self.operators} convolutions and pools"


def cells(analysis: Analysis, tag: str) -> list[Cell]:
    """The cells that run on the device, the dearest first, but for sums of linear branches; `tag` marks new names."""
    graph = analysis.graph
    linear = {node.key for merge in merges(graph) for node in merge.nodes}
    plain = [region for region in regions(graph, _MIN_BRANCHES) if not linear & {node.key for node in region.joins}]
    found = [cell for region in plain if (cell := _cell(analysis, region, tag)) is not None]
    return sorted(found, key=lambda cell: -cell.seconds)


def _cell(analysis: Analysis, region: Region, tag: str) -> Cell | None:
    """The region as a cell, None where it has too few operators or branches or leaves the device."""
    graph, members = analysis.graph, {node.key for node in (*region.inner, *region.joins)}
    indices = sorted({analysis.kernel_of[key] for key in members})
    own = {i: k for i in indices if (k := analysis.kernels[i]).main.key in members and not k.is_free}
    operators = [kernel for kernel in own.values() if kernel.main.op_type in _OPERATORS]
    branches = distinct_branches(graph, region, _OPERATORS)
    if len(operators) < _MIN_OPERATORS or branches < _MIN_BRANCHES or any(k.on_host for k in own.values()):
        return None
    if _depth(graph, region) > _MAX_DEPTH:
        return None
    return Cell(
        region=region,
        branches=branches,
        operators=len(operators),
        kernels=len(own),
        seconds=float(analysis.seconds(own).mean()),
        idle_s=idle_seconds(analysis, list(own)),
        macs=sum(analysis.kernel_costs[i].macs for i in own),
        stacked=tuple(stacked(graph, region.joins[-1], tag)),
        mixed=mixed_depthwise(graph, region.joins[-1]),
    )


def _depth(graph: Graph, region: Region) -> int:
    """The most convolutions and pools of the region behind one another."""
    depth: dict[str, int] = {}
    for node in sorted((*region.inner, *region.joins), key=lambda node: graph.position[node.key]):
        above = max((depth.get(name, 0) for name in node.inputs), default=0)
        depth |= dict.fromkeys(node.outputs, above + (node.op_type in _OPERATORS))
    return max(depth.values(), default=0)


def idle_share(found: Sequence[Cell]) -> float:
    """The part of the cells' time that is launches and an unfilled machine."""
    seconds = sum(cell.seconds for cell in found)
    return sum(cell.idle_s for cell in found) / seconds if seconds else 0.0


def median_width(graph: Graph, found: Sequence[Cell]) -> int | None:
    """The middle one of their convolutions' widths; None where they have none."""
    every = [sizes(graph, node) for cell in found for node in cell.region.inner]
    widths = [conv.out_channels for conv in every if conv is not None]
    return int(median(widths)) if widths else None


def as_wide(graph: Graph, found: Sequence[Cell], tag: str) -> list[Fix]:
    """The cells as one or two wide convolutions each, with the same MACs; none where all of theirs are depthwise."""
    every = [sizes(graph, node) for cell in found for node in cell.region.inner]
    if all(conv is None or conv.is_depthwise for conv in every):
        return []
    where = f"of equal MACs in place of each of {plural(len(found), 'cell')}"
    fixes = []
    for count, how in ((1, "one wide convolution"), (2, "2 wide convolutions")):
        edits = (edit for cell in found for edit in wide_convolutions(graph, cell.region, cell.macs, count, tag))
        fixes.append(Fix(f"{how} {where}", "advice", tuple(edits)))
    return fixes
