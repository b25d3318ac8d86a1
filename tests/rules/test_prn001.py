"""PRN001: channels that carry a constant, and whether they can go."""

from __future__ import annotations

import numpy as np
import pytest
from linting import found_in
from quantized import RESIDUAL, seeded

from onnxlint.report import ReportedFinding
from onnxlint.rule import Draw, example_model

PAIR = """pair (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float[64,64,3,3] v, float[64] c, float[64,64,{k},{k}] w> {{
    a = Conv <pads = [1,1,1,1]> (x, v, c)
    b = Relu (a)
    y = Conv <pads = [{p},{p},{p},{p}]> (b, w)
}}"""
SUM = """sum (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] v, float[64,64,3,3] w> {
    a = Conv <pads = [1,1,1,1]> (x, v)
    b = Add (a, x)
    y = Conv <pads = [1,1,1,1]> (b, w)
}"""
NORM = """norm (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float[64,64,3,3] v, float[64] g, float[64] c, float[64] m, float[64] s, float[64,64,3,3] w> {
    a = Conv <pads = [1,1,1,1]> (x, v)
    n = BatchNormalization (a, g, c, m, s)
    b = Relu (n)
    y = Conv <pads = [1,1,1,1]> (b, w)
}"""


def dense(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def first_zero(count: int, value: float = 0.0) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        weight = rng.standard_normal(shape)
        weight[:count] *= value
        return weight

    return draw


def constant(value: float) -> Draw:
    return lambda rng, shape: np.full(shape, value)


def check(text: str, **weights: Draw) -> list[ReportedFinding]:
    return found_in(example_model(text, {"w": dense, "v": dense, **weights}), "PRN001", "hi3519")


def test_zeros_behind_relu_are_removed_exactly_and_priced() -> None:
    (finding,) = check(PAIR.format(k=3, p=1), v=first_zero(16), c=constant(-0.5))
    assert finding.places == 16
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.saving_s is not None
    assert 0 < finding.saving_s < finding.latency_s + 1


def test_a_constant_stays_at_padded_borders_and_goes_without() -> None:
    (held,) = check(PAIR.format(k=3, p=1), v=first_zero(16), c=constant(0.5))
    assert held.fix is None
    assert "0 can be removed" in held.suggestion
    (gone,) = check(PAIR.format(k=1, p=0), v=first_zero(16), c=constant(0.5))
    assert gone.fix is not None
    assert gone.fix.safety == "exact"


def test_near_zeros_are_close() -> None:
    (finding,) = check(PAIR.format(k=3, p=1), v=first_zero(16, 1e-9), c=constant(-0.5))
    assert finding.fix is not None
    assert finding.fix.safety == "close"


def test_a_sum_holds_its_channels() -> None:
    (finding,) = check(SUM, v=first_zero(16))
    assert finding.fix is None
    assert "16 are held" in finding.suggestion


@pytest.mark.parametrize(("beta", "has_fix"), [(-1.0, True), (1.0, False)])
def test_the_scale_of_a_batchnorm_counts(beta: float, has_fix: bool) -> None:
    (finding,) = check(NORM, g=first_zero(8), c=constant(beta), m=constant(0.1), s=constant(1.0))
    assert finding.places == 8
    assert (finding.fix is not None) == has_fix


def test_a_layer_of_zeros_was_never_trained() -> None:
    (finding,) = check(NORM, g=constant(0), c=constant(0), m=constant(0), s=constant(1))
    assert finding.severity == "info"
    assert "before training" in finding.message


@pytest.mark.parametrize("device", ["hi3519", "t4", "cortex-a76"])
def test_random_networks_are_silent(device: str) -> None:
    assert found_in(seeded(RESIDUAL), "PRN001", device) == []
