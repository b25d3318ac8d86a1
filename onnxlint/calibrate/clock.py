"""Clean measurements on a machine that others use: every run stands between two runs of a fixed reference workload.

A shared machine's speed drifts by tens of percent within minutes, and a workload and the reference beside it drift
together. So a time is the median of paired ratios, times the reference's own speed as recorded once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxlint.calibrate.sessions import Workload, noise_feeds, open_session

Run = Callable[[], None]
Clock = Callable[[], float]
NOISY_SPREAD = 0.03
"""The paired ratios' median deviation above which a run is called noisy."""
_MEDIAN_SIGMA = 1.4826
_MEDIAN_EFFICIENCY = 1.2533
_LEAST_PAIRS, _MOST_RUNS = 3, 64
_LEAST_CLEAN = 0.25
"""The few moments at which nothing waits are none to judge a busy machine by."""
_TASKS = Path("/proc/self/task")
_LOST_S, _LOST_SHARE = 20e-6, 0.01
_SIDE = 288
_ROWS, _PRODUCTS = 192, 6
_ROWS_A_THREAD, _LONG_PRODUCTS = 768, 3
"""With several threads each product is long enough that their waking, which drifts by itself, matters little."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One workload against the reference: the median ratio, its standard error (a fraction), the pairs' spread.

    `reference_s` is the reference's median during this measurement, which tells how fast the machine was just then.
    """

    ratio: float
    standard_error: float
    spread: float
    pairs: int
    reference_s: float

    def seconds(self, recorded_reference_s: float) -> float:
        """The time at the speed at which the reference took so long."""
        return self.ratio * recorded_reference_s


def reference_model(threads: int = 1) -> onnx.ModelProto:
    """Matrix products with element-wise arithmetic between them: about 2 ms on one core of today, 4 ms on several."""
    rows, products = (_ROWS, _PRODUCTS) if threads == 1 else (_ROWS_A_THREAD * threads, _LONG_PRODUCTS)
    rng = np.random.default_rng(0)
    nodes, weights, x = [], [], "x"
    for index in range(products):
        weight = (rng.standard_normal((_SIDE, _SIDE)) / np.sqrt(_SIDE)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(helper.make_node("MatMul", [x, f"w{index}"], [f"a{index}"]))
        nodes.append(helper.make_node("Sigmoid", [f"a{index}"], [f"b{index}"]))
        nodes.append(helper.make_node("Mul", [f"b{index}", f"a{index}"], [f"c{index}"]))
        x = f"c{index}"
    shape = [rows, _SIDE]
    graph = helper.make_graph(
        nodes,
        "reference",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def reference_workload(threads: int, provider: str = "CPUExecutionProvider") -> Workload:
    """The reference, ready to run on so many threads."""
    session = open_session(reference_model(threads), threads=threads, provider=provider)
    return Workload(session, noise_feeds(session, {}))


def measure_pairs(
    workload: Run,
    reference: Run,
    *,
    seconds: float,
    min_pairs: int = 7,
    max_pairs: int = 400,
    target_error: float = 0.005,
    watch: Stopwatch | None = None,
) -> Paired:
    """Time `workload` between runs of `reference` until the standard error is reached or the seconds are spent.

    The runs of the reference on both sides take together as long as the workload: what slows the machine down now and
    then meets both alike. Pairs in which a thread waited for a core count only where there are too few others.
    """
    watch = watch or Stopwatch()
    start = watch.wall()
    workload()
    reference()
    once = watch.timed(workload)[0]
    side = _Repeated(reference, _reference_runs(once, watch.timed(reference)[0]))
    for _ in range(min(3, int(0.1 / max(once, 1e-6)))):
        workload()
    ratios: list[float] = []
    clean: list[float] = []
    references: list[float] = []
    before, lost_before = watch.timed(side)
    while len(ratios) < max_pairs:
        took, lost = watch.timed(workload)
        after, lost_after = watch.timed(side)
        ratios.append(2 * side.times * took / (before + after))
        if not (lost or lost_before or lost_after):
            clean.append(ratios[-1])
        references.append(after / side.times)
        before, lost_before = after, lost_after
        spent = watch.wall() - start
        if spent > seconds and (len(clean) >= min_pairs or spent > 2 * seconds) and len(ratios) >= _LEAST_PAIRS:
            break
        if len(clean) >= min_pairs and len(clean) % 8 == 0 and _summary(clean)[1] < target_error:
            break
    counted = clean if len(clean) >= max(min_pairs, _LEAST_CLEAN * len(ratios)) else ratios
    median, error, spread = _summary(counted)
    return Paired(median, error, spread, len(counted), float(np.median(references)))


class Stopwatch:
    """Seconds of one run, and whether the scheduler took a core away meanwhile.

    `cpu`: the processor's time instead of the wall's. On one thread both are the same on an idle machine, and on a
    busy one only the processor's is still that of the run.
    """

    def __init__(self, *, cpu: bool = False, wall: Clock = time.perf_counter) -> None:
        self.wall = wall
        self._clock = time.process_time if cpu else wall

    def timed(self, run: Run) -> tuple[float, bool]:
        """Run once."""
        before = _lost_seconds()
        began = self._clock()
        run()
        took = self._clock() - began
        return took, _lost_seconds() - before > max(_LOST_S, _LOST_SHARE * took)


def _lost_seconds() -> float:
    """How long this process's threads have been ready to run and had no core; a part of it where systems differ.

    Linux counts the wait itself, of a thread that lost its core and of one that woke and got none. Elsewhere each core
    that was taken away counts as a long wait.
    """
    try:
        return sum(_waited_ns(task) for task in _TASKS.iterdir()) * 1e-9
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw * 1.0


def _waited_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text(encoding="ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
        return 0


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Runs the reference so many times."""

    run: Run
    times: int

    def __call__(self) -> None:
        for _ in range(self.times):
            self.run()


def _reference_runs(workload_s: float, reference_s: float) -> int:
    """Runs of the reference on each side."""
    return max(1, min(_MOST_RUNS, round(0.5 * workload_s / max(reference_s, 1e-6))))


def _summary(ratios: list[float]) -> tuple[float, float, float]:
    """Median, its standard error and the median deviation, both as fractions of the median."""
    values = np.array(ratios)
    median = float(np.median(values))
    spread = float(np.median(np.abs(values / median - 1)))
    return median, _MEDIAN_EFFICIENCY * _MEDIAN_SIGMA * spread / len(ratios) ** 0.5, spread
