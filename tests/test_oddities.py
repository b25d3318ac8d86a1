"""Every odd model ends in its exit code: in bounds, with one line at most, and never wrongly clean."""

from __future__ import annotations

import json
from pathlib import Path

import modelfiles
import pytest
from oddities import ODDITIES, UNREADABLE


@pytest.mark.parametrize("name", ODDITIES)
def test_an_odd_model(tmp_path: Path, name: str) -> None:
    code, make = ODDITIES[name]
    model = make()
    path = tmp_path / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    words = [str(path), "-d", "t4", "--timeout", "30", "--fail-on", "never"]
    result = modelfiles.run(*words, "-d", "hi3519", "--output-format", "json")
    found = json.loads(result.out)
    reports = found.get("reports", [found])
    assert result.err.count("\n") == (1 if code == UNREADABLE else 0), result.err
    assert "internal error" not in result.err
    incomplete = {problem for report in reports for problem in report["incomplete"]}
    assert ({report["exit_code"] for report in reports}, bool(incomplete)) == ({code}, code == 1), incomplete
    assert modelfiles.run(*words, "-v").code == code
