"""The roofline in the terminal: every kernel and every mark is on it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from onnxlint.device_types import KERNEL_CLASSES
from onnxlint.output.roofline_plot import CLASS_MARKS, NUMBERS, groups_of, plot_of
from onnxlint.roofline import ClassRoof, Point, Roofline

PLACE = st.tuples(st.floats(1e-3, 1e5), st.floats(1e-4, 1e3), st.sampled_from(KERNEL_CLASSES))


def point(kernel: int, intensity: float, gops: float, kernel_class: str = "conv") -> Point:
    spent = 1e-3 * (1 + kernel)
    flops = round(gops * 1e9 * spent)
    return Point(
        kernel=kernel,
        node=f"n{kernel}",
        name=f"n{kernel}",
        ops="Conv",
        kernel_class=kernel_class,  # type: ignore[arg-type]
        flops=flops,
        bytes=round(flops / intensity),
        intensity=intensity,
        attained_gops=gops,
        roof_gops=gops,
        roof_share=1.0,
        bound="compute",
        latency_s=spent,
        share=0.1,
    )


def roofline(points: list[Point]) -> Roofline:
    classes = {one.kernel_class: ClassRoof(one.kernel_class, 1e3, 500.0, 50.0, 1, 1e-3, 0.1) for one in points}
    return Roofline("fp32", 1, 1e3, 20.0, 10.0, None, 50.0, tuple(classes.values()), tuple(points), ())


def test_every_class_has_a_mark_of_its_own() -> None:
    assert CLASS_MARKS.keys() == set(KERNEL_CLASSES)
    assert len({*CLASS_MARKS.values(), *NUMBERS}) == len(KERNEL_CLASSES) + len(NUMBERS)


def test_kernels_stand_under_the_part_of_the_roof_that_bounds_them() -> None:
    memory, compute = point(0, 2.0, 20.0, "vector"), point(1, 500.0, 400.0)
    found = roofline([memory, compute])
    plane = plot_of(found, [], 60, 20).plane
    assert plane.at(2.0, 20.0) == CLASS_MARKS["vector"]
    assert plane.at(2.0, 40.0) == "╱"
    assert plane.at(500.0, 400.0) == CLASS_MARKS["conv"]
    assert plane.at(500.0, 1e3) == "─"
    assert plane.row(400.0) > plane.row(1e3)


def test_the_ridge_is_marked_and_named() -> None:
    plane = plot_of(roofline([point(0, 2.0, 20.0)]), [], 60, 20).plane
    assert plane.at(50.0, 1e3) == "+"
    assert any("ridge 50 FLOP/B" in line for line in plane.lines("x", "y"))


@given(st.lists(PLACE, min_size=1, max_size=60))
def test_every_numbered_kernel_has_its_mark_on_the_plane(places: list[tuple[float, float, str]]) -> None:
    points = [point(index, *place) for index, place in enumerate(places)]
    groups = groups_of(points, len(NUMBERS))
    plot = plot_of(roofline(points), groups, 40, 20)
    shown = [plot.plane.cell(*place) for place in plot.classes]
    assert all(shown.count(group.mark) == 1 for group in groups)
    assert len(groups) == min(len(points), len(NUMBERS))


def test_equal_kernels_are_one_row_with_one_mark() -> None:
    twin = point(0, 2.0, 20.0)
    groups = groups_of([twin, replace(twin, kernel=1, name="other"), point(2, 3.0, 20.0)], 9)
    assert [(group.mark, len(group.points)) for group in groups] == [("1", 1), ("2", 2)]
