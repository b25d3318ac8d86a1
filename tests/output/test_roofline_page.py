"""`profile --roofline`: nothing is wider than the screen, left out in silence or injected."""

from __future__ import annotations

import csv
import io

import modelfiles
import pytest
from models import analyse, model, value
from onnx import helper
from zoo import build

from onnxlint.roofline import roofline_of


def lines(words: str, columns: int, monkeypatch: pytest.MonkeyPatch, path: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = modelfiles.run("profile", path, "--roofline", *words.split())
    assert (result.code, result.err) == (0, "")
    return result.out.splitlines()


@pytest.fixture(scope="module")
def shufflenet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return modelfiles.saved(build("shufflenet_v2_x1_0"), tmp_path_factory.mktemp("models"))


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
