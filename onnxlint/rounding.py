"""Widths rounded to a machine's multiples all over a network, each value by itself, so that it can be priced."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from onnxlint.analysis import Analysis
from onnxlint.channels import channels_of
from onnxlint.finding import Declare, Edit
from onnxlint.graph import Graph
from onnxlint.kernels import ANCHORS, weight_of
from onnxlint.patterns.padding import up
from onnxlint.tensor import TensorType
from onnxlint.whatif import saving, trial

_ROUND_DOWN = (1.0, 0.75, 0.5, 0.25, 0.1)
"""The parts of a multiple that a width may lose by rounding down, most first."""
_Spot = tuple[TensorType, tuple[int, ...], bool]
"""A value's type, its axes of channels, and whether it is a weight."""
_Way = Mapping[int, int]
"""Width → what it is rounded to."""


def filled(analysis: Analysis, widths: Collection[int], multiple: int) -> tuple[Edit, ...]:
    """All rounded up, where that saves time; else nothing."""
    edits = _retyped(_spots(analysis.graph, widths), {width: up(width, multiple) for width in widths})
    return edits if _saving(analysis, edits)[0] > 0 else ()


def rounded(
    analysis: Analysis, padded: Mapping[str, float], widths: Collection[int], multiple: int, most_s: float
) -> tuple[Edit, ...]:
    """Some up, some down: what saves most without saving more than `most_s` seconds; nothing where no way does.

    The search begins at the widths at which the `padded` layers (keys, with the seconds of each) would by themselves
    save that much. More widths are rounded up while the whole network saves more than that, else more down, as far as
    what the layers tell is left of it.
    """
    ways = [{width: _down(width, multiple, part) for width in widths} for part in _ROUND_DOWN]
    ways = [way for index, way in enumerate(ways) if way not in ways[:index]]
    expected = _spared(analysis, padded, ways)
    trials = _Trials(analysis, ways)
    last = len(ways) - 1
    at = start = next((index for index, spared in enumerate(expected) if spared <= most_s), last)
    # more up while the whole network saves more than the padding takes
    while trials.saved(at) > most_s:
        if at == last:
            return ()
        at += 1
    # else more down while what the layers say that adds is left of it, or while nothing is saved yet
    while 0 < at <= start:
        gain, more = trials.saved(at), expected[at - 1] - expected[at]
        if (gain > 0 and gain + more > most_s) or trials.saved(at - 1) > most_s:
            break
        at -= 1
    return trials.edits(at) if trials.saved(at) > 0 else ()


class _Trials:
    """Ways to round, each priced once and from what the one before left as it was."""

    def __init__(self, analysis: Analysis, ways: Sequence[_Way]) -> None:
        self._analysis, self._ways = analysis, ways
        self._spots = _spots(analysis.graph, ways[0])
        self._priced: dict[int, tuple[float, tuple[Edit, ...]]] = {}
        self._near: Analysis | None = None

    def saved(self, index: int) -> float:
        """Mean seconds that the whole network saves."""
        if index not in self._priced:
            edits = _retyped(self._spots, self._ways[index])
            gain, self._near = _saving(self._analysis, edits, self._near)
            self._priced[index] = gain, edits
        return self._priced[index][0]

    def edits(self, index: int) -> tuple[Edit, ...]:
        """The edits of a way that was priced."""
        return self._priced[index][1]


def _spared(analysis: Analysis, padded: Mapping[str, float], ways: Sequence[_Way]) -> list[float]:
    """Seconds that the layers by themselves, given by key with the seconds of each, would save at each way's widths."""
    alignment = analysis.target.device.alignment
    taken: dict[tuple[int, int], float] = {}
    for key, spent in padded.items():
        channels = channels_of(analysis.graph, analysis.graph.node(key))
        if channels is not None:
            taken[channels[:2]] = taken.get(channels[:2], 0.0) + spent

    def computed(into: int, out: int) -> int:
        return up(into, alignment.input_channels) * up(out, alignment.output_channels)

    return [
        sum(
            spent * (1 - computed(way.get(into, into), way.get(out, out)) / computed(into, out))
            for (into, out), spent in taken.items()
        )
        for way in ways
    ]


def _saving(analysis: Analysis, edits: tuple[Edit, ...], near: Analysis | None = None) -> tuple[float, Analysis]:
    """Mean seconds saved; 0 where the layers of the edited graph do not fit together, so that some have no cost.

    `near` is the analysis after other widths for the same values; that after these is returned besides.
    """
    after = trial(analysis, edits, near)
    if any(after.costs.work(node) is None for node in after.graph.compute_nodes if node.op_type in ANCHORS):
        return 0.0, after
    return float(saving(analysis, edits).mean()), after


def _down(width: int, multiple: int, most: float) -> int:
    """Down where the width is above a multiple by at most that part of one, else up."""
    down = width // multiple * multiple
    return down if down and width - down <= most * multiple else up(width, multiple)


def _spots(graph: Graph, widths: Collection[int]) -> dict[str, _Spot]:
    """Every activation and layer weight that has one of these widths, with the axes that may have it."""
    found: dict[str, _Spot] = {}

    def look(name: str, axes: tuple[int, ...]) -> None:
        known = graph.type_of(name)
        if known.is_known and any(known.dims[axis] in widths for axis in axes if axis < len(known.dims)):
            found[name] = known, axes, name in graph.weights

    for node in graph.compute_nodes:
        for name in node.outputs:
            rank = graph.type_of(name).rank or 0
            if rank > 1:
                look(name, (1,) if rank > 3 else (rank - 1,))
        if node.op_type in ANCHORS and len(node.inputs) > 1 and graph.is_constant(node.inputs[1]):
            look(weight_of(node), (0, 1))
    return found


def _retyped(spots: Mapping[str, _Spot], way: _Way) -> tuple[Edit, ...]:
    """Every such value at its rounded width, each by itself; layers alike share their types and are priced once."""
    types: dict[_Spot, TensorType] = {}
    for known, axes, is_weight in spots.values():
        dims = [way.get(size, size) if at in axes else size for at, size in enumerate(known.dims)]
        types.setdefault((known, axes, is_weight), TensorType(known.dtype, tuple(dims)))
    return tuple(Declare(name, types[spot], is_weight=spot[2]) for name, spot in spots.items())
