"""The per-layer table."""

from __future__ import annotations

import csv
import io
import json

import pytest
from models import lint, model, value
from onnx import helper
from zoo import build

from onnxlint.output.profile_rows import ProfileView, module_of, rows_of, total_of
from onnxlint.output.profile_table import write
from onnxlint.report import Report


@pytest.fixture(scope="module")
def report() -> Report:
    return lint(build("shufflenet_v2_x1_0"))


def text(report: Report, monkeypatch: pytest.MonkeyPatch | None = None, width: int = 80, **options: object) -> str:
    if monkeypatch is not None:
        monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    write(report, stream, ProfileView(**options))  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "depth", "module"),
    [
        ("/stage2/stage2.0/branch2/branch2.0/Conv", None, "stage2.0/branch2.0"),
        ("/stage2/stage2.0/branch2/branch2.0/Conv", 1, "stage2.0"),
        ("/encoder/layer.3/attention/MatMul_output_0", 2, "encoder/layer.3"),
        ("resnet/block1/conv/Conv2D", None, "resnet/block1/conv"),
        ("/Conv", None, ""),
        ("Conv_12", None, ""),
        ("", None, ""),
        ("/stage/stage1/Conv", None, "stage/stage1"),
    ],
)
def test_modules_are_folded(name: str, depth: int | None, module: str) -> None:
    assert module_of(name, depth) == module


@pytest.mark.parametrize("by", ["node", "kernel", "op", "module"])
def test_rows_add_up_to_the_totals(report: Report, by: str) -> None:
    total = total_of(rows_of(report, by, "order"))
    totals = report.totals
    assert totals is not None
    assert (total.params, total.macs, total.flops) == (totals.params, totals.macs, totals.flops)
    assert total.bytes == totals.memory_access_bytes
    assert total.latency_s == pytest.approx(totals.latency_s)
    assert total.share == pytest.approx(1)
    assert total.nodes == report.model.compute_nodes


@pytest.mark.parametrize(("sort", "field"), [("macs", "macs"), ("time", "latency_s"), ("bytes", "bytes")])
def test_sorted_rows_fall(report: Report, sort: str, field: str) -> None:
    values = [getattr(row, field) for row in rows_of(report, "kernel", sort)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


@pytest.mark.parametrize("width", [60, 80, 110, 160, 220])
@pytest.mark.parametrize("by", ["node", "kernel", "op", "module"])
def test_the_table_fits_the_screen(report: Report, monkeypatch: pytest.MonkeyPatch, width: int, by: str) -> None:
    lines = text(report, monkeypatch, width, by=by, top=20).splitlines()
    assert max(map(len, lines)) <= width
    table = [line for line in lines if " %" in line]
    assert len(table) > 3
    assert any(line.startswith("total") for line in lines)


def test_names_are_cut_at_their_front(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "/" + "/".join(f"module{i}" for i in range(20)) + "/theEnd"
    proto = model([helper.make_node("Relu", ["x"], ["y"], name=name)], [value("x", [4])], ["y"])
    assert "theEnd" in text(lint(proto), monkeypatch, 80)


def test_top_keeps_the_rest_in_one_row(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = text(report, monkeypatch, 120, top=3, sort="time").splitlines()
    assert sum("more)" in line for line in lines) == 1
    assert next(line for line in lines if line.startswith("total")).split()[1:3] == ["2.27", "M"]


def test_csv_has_a_header_all_rows_and_the_total(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(text(report, output_format="csv", by="node"))))
    assert len(rows) == report.model.compute_nodes + 1
    assert rows[-1]["name"] == "total"
    assert report.totals is not None
    assert int(rows[-1]["macs"]) == report.totals.macs == sum(int(row["macs"]) for row in rows[:-1])
    assert "'" not in rows[0]["output"]


def test_csv_disarms_formulas() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"], name="=cmd()")], [value("x", [4])], ["y"])
    assert list(csv.reader(io.StringIO(text(lint(proto), output_format="csv"))))[1][0] == "'=cmd()"


def test_json_carries_rows_totals_and_model(report: Report) -> None:
    found = json.loads(text(report, output_format="json", by="module", depth=1))
    assert found["schema_version"] == 1
    assert found["by"] == "module"
    assert found["total"]["macs"] == found["totals"]["macs"] == sum(row["macs"] for row in found["rows"])
    assert found["model"]["formulas"] == []


def test_a_model_without_modules_falls_back_to_kernels() -> None:
    nodes = [helper.make_node("MaxPool", [a], [b], name=f"pool{b}", kernel_shape=[1]) for a, b in ("xa", "ab")]
    found = lint(model(nodes, [value("x", [1, 1, 4])], ["b"]))
    assert [row.name for row in rows_of(found, "module", "order")] == ["poola", "poolb"]


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node("Mystery", ["x"], ["a"], domain="nobody"), helper.make_node("MatMul", ["a", "a"], ["y"])]
    found = lint(model(nodes, [value("x", [4, 4])], ["y"], domains={"nobody": 1}))
    said = text(found, monkeypatch, 100)
    assert "known: the cost of 0 % of the nodes, 0 % of those that multiply" in said
    assert found.model.macs_coverage == 0
    assert "?" in said
