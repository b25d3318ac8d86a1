"""CNV006: weights of low rank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from linting import found, found_in

from onnxlint.patterns.spectrum import LOSSY_ENERGY, _can_hold, ranks
from onnxlint.rule import Draw, example_model

LAYER = """layer (float[1,{n}] x) => (float[1,{m}] y) <float[{n},{m}] w> {{ y = MatMul (x, w) }}"""


def low(rank: int, noise: float = 0.0) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        left, right = rng.standard_normal((shape[0], rank)), rng.standard_normal((rank, *shape[1:]))
        return np.tensordot(left, right, 1) + noise * rng.standard_normal(shape)

    return draw


@given(st.integers(8, 80), st.integers(8, 80), st.integers(1, 4), st.integers(0, 99))
@example(21, 10, 4, 28)  # few singular values: probes alone would misjudge them
@settings(max_examples=40)
def test_the_rank_holds_the_energy(rows: int, columns: int, rank: int, seed: int) -> None:
    weight = low(rank, 1e-4)(np.random.default_rng(seed), (rows, columns)).astype(np.float32)
    sigma = np.linalg.svd(weight.astype(float), compute_uv=False) ** 2
    known = int(np.searchsorted(np.cumsum(sigma) / sigma.sum(), LOSSY_ENERGY)) + 1
    measured = ranks(weight)
    if measured is None:  # too high a rank to pay
        assert known > 0.6 * rows * columns / (rows + columns)
    else:
        assert measured.lossy == known <= measured.close


@given(st.integers(16, 300), st.integers(16, 300), st.integers(0, 99), st.sampled_from(["normal", "uniform", "zeros"]))
@settings(max_examples=60)
def test_random_initialization_has_no_low_rank(rows: int, columns: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    drawn = {"normal": rng.standard_normal, "uniform": lambda s: rng.uniform(-1, 1, s), "zeros": np.zeros}[kind]
    assert ranks(np.asarray(drawn((rows, columns)), np.float32)) is None


@given(
    st.integers(4, 60),
    st.integers(0, 60),
    st.floats(0.0, 3.0, allow_subnormal=False),
    st.floats(0.5, 1.5),
    st.integers(0, 99),
)
@settings(max_examples=100)
def test_what_the_bound_rejects_holds_less(side: int, wider: int, fall: float, most: float, seed: int) -> None:
    """Singular values that fall at any pace, asked for ranks on both sides of the one that holds the energy."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((side, side)))
    right, _ = np.linalg.qr(rng.standard_normal((side + wider, side)))
    matrix = ((left * np.exp(-fall * np.arange(side) / side * 4)) @ right.T).astype(np.float32)
    sigma = np.linalg.svd(matrix.astype(float), compute_uv=False) ** 2
    known = int(np.searchsorted(np.cumsum(sigma) / sigma.sum(), LOSSY_ENERGY)) + 1
    asked = min(side - 1, max(1, round(most * known)))
    assert _can_hold(matrix, float(sigma.sum()), asked) or asked < known


@pytest.mark.parametrize("device", ["cortex-a76", "generic"])
def test_a_product_of_low_rank_is_found_where_it_pays(device: str) -> None:
    model = example_model(LAYER.format(n=1024, m=1024), {"w": low(64)})
    (finding,) = found_in(model, "CNV006", device)
    assert finding.fix is not None
    assert finding.fix.safety == "close"
    assert finding.saving_s is not None
    assert 0 < finding.saving_s < finding.latency_s
    assert "1.05 M MACs become 131 k" in finding.suggestion


def test_energy_of_99_percent_is_lossy() -> None:
    model = example_model(LAYER.format(n=1024, m=1024), {"w": low(64, noise=0.3)})
    (finding,) = found_in(model, "CNV006", "generic")
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"


def test_without_values_it_does_not_run() -> None:
    assert found("resnet18", "CNV006", "hi3519") == []
