"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlint.units import equal_to, operations, percent, rate, seconds, seconds_range


@pytest.mark.parametrize(
    ("part", "told"), [(0, "0 %"), (0.0996, "10 %"), (0.0994, "9.9 %"), (0.0004, "<0.1 %"), (1, "100 %")]
)
def test_percent(part: float, told: str) -> None:
    assert percent(part) == told


def test_a_part_behind_its_amount() -> None:
    assert (equal_to(0.27), equal_to(0.0002)) == ("= 27 %", "< 0.1 %")


@pytest.mark.parametrize(
    ("value", "told"), [(0.104, "0.104"), (5.3, "5.30"), (47, "47.0"), (99.97, "100"), (1990, "1,990"), (0, "0")]
)
def test_rate(value: float, told: str) -> None:
    assert rate(value) == told


@pytest.mark.parametrize(("value", "told"), [(2.048e12, "2.05 TOPS"), (38.4e9, "38.4 GOPS"), (1e12, "1.00 TOPS")])
def test_operations(value: float, told: str) -> None:
    assert operations(value) == told


def test_a_range_is_in_the_unit_of_its_middle() -> None:
    assert seconds_range(0.0137, 0.0213, 0.0172) == "13.7–21.3 ms"
    assert seconds_range(70e-6, 110e-6, 91e-6) == "70.0–110 µs"
    assert seconds_range(-50e-6, 140e-6, 53.6e-6) == "-50.0 to 140 µs"


@given(st.floats(1e-6, 100), st.floats(1, 3))
def test_a_value_and_its_range_have_one_unit(middle: float, spread: float) -> None:
    assert seconds(middle).split()[1] == seconds_range(middle / spread, middle * spread, middle).split()[1]
