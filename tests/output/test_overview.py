"""The lines at the end of several reports."""

from __future__ import annotations

from pathlib import Path

import modelfiles
import pytest
from modelfiles import run
from zoo.store import STORED

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    modelfiles.saved(modelfiles.relu(), tmp_path, "model.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("columns", [80, 120])
def test_each_model_on_each_device_has_a_line(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run("model.onnx", str(STORED), "absent.onnx", "-d", "t4", "-d", "hi3519")
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= columns
    overview = lines[lines.index("5 reports") + 1 :]
    assert [line.split()[1] for line in overview[:4]] == ["t4", "hi3519"] * 2
    assert overview[0].split()[-2:] == ["✓", "clean"]
    assert "✗ 33 parts  1 error" in overview[3]
    assert overview[4].split() == ["absent.onnx", "not", "read"]
    assert ("FPS" in overview[0]) == (columns > 100)


def test_one_report_has_none_nor_has_a_quiet_run() -> None:
    assert "reports" not in run("model.onnx").out
    assert "reports" not in run("model.onnx", "-d", "t4", "-d", "x3", "-q").out


def test_a_folder_that_all_lie_in_is_said_once(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("one.onnx", "two.onnx"):
        modelfiles.saved(modelfiles.relu(), folder, name)
    lines = run("models", "-d", "t4").out.splitlines()
    overview = lines[lines.index("2 reports in models/") + 1 :]
    assert [line.split()[0] for line in overview] == ["one.onnx", "two.onnx"]
