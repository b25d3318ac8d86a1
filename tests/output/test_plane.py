"""The plane of characters: where points land, and that nothing falls off it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlint.output.plane import Plane

POSITIVE = st.floats(1e-12, 1e12)


def test_a_decade_stands_at_its_tick() -> None:
    plane = Plane(30, 10, (1e-6, 1e-3), (1.0, 1e3))
    plane.mark(1e-5, 1e1, "x")
    lines = list(plane.lines("seconds", "rate"))
    assert lines[0] == "rate"
    assert lines[-1].strip() == "seconds"
    row = next(line for line in lines if "x" in line)
    assert row.startswith("    10 ┤")
    assert row.index("x") == lines[-3].index("┴", lines[-3].index("┴") + 1)
    assert lines[-2].split() == ["1µ", "10µ", "100µ", "1m"]


def test_a_curve_has_a_character_in_every_column_where_it_lies_inside() -> None:
    plane = Plane(40, 40, (1.0, 100.0), (1.0, 100.0))
    plane.curve(lambda x: x, "/")
    assert all(plane.at(10 ** (2 * (i + 0.5) / 40), 10 ** (2 * (i + 0.5) / 40)) == "/" for i in range(40))


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_every_point_lands_on_it(low: float, factor: float, x: float, y: float) -> None:
    plane = Plane(20, 8, (low, low * max(factor, 1.0)), (low, low * max(factor, 1.0)))
    plane.mark(x, y, "o")
    assert sum(line.count("o") for line in plane.lines("", "")) == 1


@pytest.mark.parametrize("ends", [(1.0, 1.0), (1e-3, 1e-3)])
def test_one_value_alone_has_an_axis(ends: tuple[float, float]) -> None:
    assert list(Plane(10, 3, ends, ends).lines("x", "y"))
