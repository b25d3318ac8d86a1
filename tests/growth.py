"""Whether time grows with the size of the input, told apart from what a machine shared with others does to clocks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

TRIES = 8


def at_most(factor: float, small: Callable[[], object], large: Callable[[], object], slack_s: float = 0.0) -> bool:
    """Whether `large` takes at most `factor` times as long as `small` (CPU time) in one of several pairs of runs.

    What slows the machine meets both runs of a pair; a square hidden in `large` fails all pairs.
    """
    return any(cpu_seconds(large) <= factor * cpu_seconds(small) + slack_s for _ in range(TRIES))


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of this process in one run, without collections of garbage."""
    gc.disable()
    try:
        start = time.process_time()
        run()
        return time.process_time() - start
    finally:
        gc.enable()
