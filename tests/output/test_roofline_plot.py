"""The roofline in the terminal: every kernel and every mark is on it, nothing is wider than the screen or injected."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import modelfiles
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import analyse, model, value
from onnx import helper
from zoo import build

from onnxlint.device_types import KERNEL_CLASSES
from onnxlint.output.roofline_plot import CLASS_MARKS, NUMBERS, groups_of, plot_of
from onnxlint.roofline import ClassRoof, Point, Roofline, roofline_of

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


def lines(words: str, columns: int, monkeypatch: pytest.MonkeyPatch, path: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = modelfiles.run("profile", path, "--roofline", *words.split())
    assert (result.code, result.err) == (0, "")
    return result.out.splitlines()


@pytest.fixture(scope="module")
def shufflenet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return modelfiles.saved(build("shufflenet_v2_x1_0"), tmp_path_factory.mktemp("models"))


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


@pytest.mark.parametrize("columns", [60, 80, 110, 140, 200])
@pytest.mark.parametrize("device", ["hi3519", "rk3588", "t4", "cortex-a76", "generic"])
def test_it_fits_the_screen(shufflenet: str, monkeypatch: pytest.MonkeyPatch, columns: int, device: str) -> None:
    shown = lines(f"-d {device}", columns, monkeypatch, shufflenet)
    assert max(map(len, shown)) <= columns
    text = "\n".join(shown)
    assert "attained GOPS" in text
    assert "ridge" in text
    assert "\x1b" not in text
    table = text[text.index("layer ") :]
    assert all(f"\n{number} " in table for number in "123456789")


def test_what_is_not_shown_is_said(shufflenet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(lines("-d hi3519", 120, monkeypatch, shufflenet))
    assert "kernels on the host, " in text
    assert "parameter sets" in text
    assert "bandwidth not published" in text


def test_top_is_the_number_of_rows(shufflenet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(lines("-d t4 --top 12", 100, monkeypatch, shufflenet))
    assert "\nC " in text
    assert "\nD " not in text


def test_csv_is_one_line_a_kernel(shufflenet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(lines("-d t4 --output-format csv", 80, monkeypatch, shufflenet)))))
    points = roofline_of(analyse(build("shufflenet_v2_x1_0"), "t4")).points
    assert [row["node"] for row in rows] == [one.node for one in points]
    assert float(rows[0]["attained_gops"]) == pytest.approx(points[0].attained_gops)


def test_csv_disarms_formulas(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"], name="=cmd()")], [value("x", [4])], ["y"])
    path = modelfiles.saved(proto, tmp_path)  # type: ignore[arg-type]
    (row,) = csv.DictReader(lines("-d t4 --output-format csv", 80, monkeypatch, path))
    assert row["name"] == "'=cmd()"


def test_a_model_without_arithmetic_has_no_plot(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = model([helper.make_node("Transpose", ["x"], ["y"])], [value("x", [4, 4])], ["y"])
    shown = lines("-d t4", 80, monkeypatch, modelfiles.saved(proto, tmp_path))  # type: ignore[arg-type]
    assert shown[0] == "no kernel stands on the roofline"
    assert "1 kernel without arithmetic" in shown[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [("", "--roofline needs a --device"), ("-d t4 --structure", "--structure and --roofline are two things")],
)
def test_usage_errors_are_one_line(shufflenet: str, words: str, said: str) -> None:
    result = modelfiles.run("profile", shufflenet, "--roofline", *words.split())
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert said in result.err
