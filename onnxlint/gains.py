"""Which of a finding's fixes save time at all: the others are no advice."""

from __future__ import annotations

from collections.abc import Iterable

from onnxlint.analysis import Analysis
from onnxlint.finding import Fix
from onnxlint.whatif import EditError, saving

_NO_TIME = 1e-4
"""The part of the latency below which a change costs nothing."""
_LEAST_GAIN = 1e-3
"""The part of the latency that a rewrite saves at least, to be worth its work by itself."""
NOTHING_YET = "It saves next to nothing yet, beside the operators that leave with it: mend those first."


def gaining(analysis: Analysis, fixes: Iterable[Fix], least_s: float = 0.0) -> tuple[Fix, ...]:
    """The fixes that save more than `least_s` seconds in the whole graph."""
    return tuple(fix for fix in fixes if gain(analysis, fix) > least_s)


def bearable(analysis: Analysis, fixes: Iterable[Fix]) -> tuple[Fix, ...]:
    """The fixes that do not cost time: of two faults that mask each other, mending one saves nothing yet."""
    least = -_NO_TIME * float(analysis.total.mean())
    return tuple(fix for fix in fixes if gain(analysis, fix) >= least)


def saves_nothing(analysis: Analysis, fixes: Iterable[Fix]) -> bool:
    """No fix saves what a rewrite saves at least."""
    most = _LEAST_GAIN * float(analysis.total.mean())
    return all(gain(analysis, fix) <= most for fix in fixes)


def gain(analysis: Analysis, fix: Fix) -> float:
    """Mean seconds that the fix saves; 0 where it does not fit the graph."""
    try:
        return float(saving(analysis, fix.edits).mean()) if fix.edits else 0.0
    except EditError:
        return 0.0
