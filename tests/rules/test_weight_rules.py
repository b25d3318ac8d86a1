"""PRN002 and QNT002: what values of weights say of zeros and of 8-bit integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linting import found_in
from quantized import RESIDUAL, quantized, seeded

from onnxlint.patterns.weight_statistics import int8_noise, is_two_of_four, zero_count
from onnxlint.rule import Draw, example_model

LAYER = """layer (float[1,64,28,28] x) => (float[1,64,28,28] y) <float[64,64,3,3] w> {
    y = Conv <pads = [1,1,1,1]> (x, w)
}"""


def sparse(share: float) -> Draw:
    return lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) >= share)


@pytest.mark.parametrize(("share", "places"), [(0.1, 0), (0.5, 1), (0.9, 1)])
def test_scattered_zeros_are_found_from_a_third_on(share: float, places: int) -> None:
    assert len(found_in(example_model(LAYER, {"w": sparse(share)}), "PRN002", "hi3519")) == places


def test_zeros_of_whole_filters_are_no_scattered_ones() -> None:
    weight = np.ones((8, 4, 3, 3), np.float32)
    weight[:4] = 0
    weight[5, 0] = 0
    assert zero_count(weight) == 9


def test_two_of_four_is_seen_along_the_input_channels() -> None:
    weight = np.ones((8, 8, 3, 3), np.float32)
    weight[:, [0, 3, 5, 6]] = 0
    assert is_two_of_four(weight)
    weight[0, 0] = 1
    assert not is_two_of_four(weight)
    assert not is_two_of_four(np.ones((8, 6), np.float32))


@given(st.integers(1, 32), st.integers(2, 64), st.floats(1e-3, 1e3), st.integers(0, 99))
@settings(max_examples=40)
def test_equal_ranges_lose_nothing_by_one_scale(rows: int, columns: int, scale: float, seed: int) -> None:
    weight = (np.random.default_rng(seed).uniform(-1, 1, (rows, columns)) * scale).astype(np.float32)
    weight[:, 0] = scale
    noise = int8_noise(weight)
    assert noise is not None
    assert noise.per_tensor_db == pytest.approx(noise.per_channel_db, abs=0.1)
    assert noise.per_channel_db > 30


def test_the_noise_is_the_theorys() -> None:
    # uniform numbers: signal 1/3, noise step²/12 with a step of 1/127
    weight = np.random.default_rng(0).uniform(-1, 1, (64, 4096)).astype(np.float32)
    noise = int8_noise(weight)
    assert noise is not None
    assert noise.per_channel_db == pytest.approx(10 * np.log10(4 * 127**2), abs=0.2)


def test_merged_kernels_are_told_from_unequal_ranges() -> None:
    def merged(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        weight = 0.01 * rng.standard_normal(shape)
        weight[np.arange(shape[0]), np.arange(shape[0]), 1, 1] += 2
        return weight

    (finding,) = found_in(example_model(LAYER, {"w": merged}), "QNT002", "rk3588")
    assert "merged kernels" in finding.message
    (finding,) = found_in(
        example_model(
            LAYER, {"w": lambda rng, s: rng.standard_normal(s) * np.geomspace(1e-2, 1, 64)[:, None, None, None]}
        ),
        "QNT002",
        "rk3588",
    )
    assert "unequal ranges" in finding.message


@pytest.mark.parametrize("code", ["QNT002", "PRN002", "CNV006"])
@pytest.mark.parametrize("device", ["hi3519", "rk3588", "t4", "cortex-a76", "edgetpu"])
def test_random_and_quantized_networks_are_silent(code: str, device: str) -> None:
    assert found_in(seeded(RESIDUAL), code, device) == []
    assert found_in(quantized(), code, device) == []
