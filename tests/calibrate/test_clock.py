"""Paired measurement on a clock that is made up: drift cancels, noise is noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onnxlint.calibrate.clock import NOISY_SPREAD, Paired, Stopwatch, measure_pairs


class Machine:
    """A clock that only runs of workloads move, at a speed that drifts and, if asked, jumps."""

    def __init__(self, jitter: float = 0.0) -> None:
        self.now, self.runs, self.jitter = 0.0, 0, jitter
        self.rng = np.random.default_rng(0)

    def run(self, seconds: float) -> Callable[[], None]:
        def go() -> None:
            self.runs += 1
            drift = 1 + 0.4 * np.sin(self.runs / 300)
            self.now += seconds * drift * float(np.exp(self.jitter * self.rng.standard_normal()))

        return go

    def pairs(self, seconds: float) -> Paired:
        watch = Stopwatch(wall=lambda: self.now)
        return measure_pairs(self.run(seconds), self.run(0.002), seconds=2.0, watch=watch)


@pytest.mark.parametrize("seconds", [0.0001, 0.004, 0.1])
def test_drift_cancels(seconds: float) -> None:
    found = Machine().pairs(seconds)
    assert found.seconds(0.002) == pytest.approx(seconds, rel=0.02)
    assert found.standard_error < 0.01
    assert found.spread < NOISY_SPREAD


def test_noise_is_noticed_and_does_not_bias() -> None:
    found = Machine(jitter=0.2).pairs(0.004)
    assert found.spread > NOISY_SPREAD
    assert found.seconds(0.002) == pytest.approx(0.004, rel=0.1)


def test_a_quiet_machine_needs_few_pairs() -> None:
    assert Machine().pairs(0.004).pairs < Machine(jitter=0.1).pairs(0.004).pairs


@pytest.mark.parametrize("seconds", [0.001, 0.007, 0.03, 0.1])
def test_a_long_workload_is_not_blamed_for_the_moments_at_which_the_machine_is_slow(seconds: float) -> None:
    class Bursts(Machine):
        def run(self, seconds: float) -> Callable[[], None]:
            def go() -> None:
                for _ in range(round(seconds / 0.0005)):
                    self.now += 0.001 if self.rng.random() < 0.05 else 0.0005

            return go

    found = Bursts().pairs(seconds)
    assert found.ratio * 0.002 == pytest.approx(seconds, rel=0.03)
