"""What a calibration goes on with: its own results, never a stranger's file of that name."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from onnxlint.calibrate.clock import Paired
from onnxlint.calibrate.partial import Circumstances, PartialResults

HERE = Circumstances("a machine", "a runtime", "CPUExecutionProvider", 1, 10)
GOOD = Paired(0.5, 0.01, 0.02, 7, 0.002)


def kept(folder: Path, where: Circumstances = HERE) -> dict[str, Paired]:
    results = PartialResults(folder / "box.toml", where)
    results.close()
    return results.found


def test_results_are_found_again(tmp_path: Path) -> None:
    results = PartialResults(tmp_path / "box.toml", HERE)
    results.add("a", GOOD)
    results.add("b", replace(GOOD, pairs=9))
    results.close()
    assert kept(tmp_path) == {"a": GOOD, "b": replace(GOOD, pairs=9)}
    assert kept(tmp_path, replace(HERE, threads=2)) == {}
    assert kept(tmp_path) == {}


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"name": "x"', b"[" * 100_000, b'{"name": "x", "ratio": "1"}'),
        *(
            json.dumps({"name": "x", **asdict(GOOD), field: value}).encode()
            for field in ("ratio", "reference_s", "spread")
            for value in (float("nan"), float("inf"), -1, "1", None, [], 10**400, 1e300)
        ),
        json.dumps({"name": "x", **asdict(GOOD), "pairs": 0}).encode(),
        json.dumps({"name": "x", **asdict(GOOD), "ratio": 0}).encode(),
    ],
)
def test_a_line_that_is_no_result_is_left_out(tmp_path: Path, line: bytes) -> None:
    results = PartialResults(tmp_path / "box.toml", HERE)
    results.add("a", GOOD)
    results.close()
    with results.path.open("ab") as file:
        file.write(line + b"\n")
    assert kept(tmp_path) == {"a": GOOD}


@pytest.mark.parametrize("kind", ["link", "dead link", "hard link", "fifo", "device"])
def test_a_file_that_somebody_else_put_there_is_left_alone(tmp_path: Path, kind: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    at = tmp_path / ".box.toml.partial"
    match kind:
        case "link":
            at.symlink_to(precious)
        case "dead link":
            at.symlink_to(tmp_path / "made")
        case "hard link":
            os.link(precious, at)
        case "fifo":
            os.mkfifo(at)
        case _:
            at.symlink_to("/dev/zero")
    results = PartialResults(tmp_path / "box.toml", HERE)
    results.add("a", GOOD)
    results.close()
    assert precious.read_text() == "precious"
    assert not (tmp_path / "made").exists()
    assert at.is_file()
    assert not at.is_symlink()
    assert kept(tmp_path) == {"a": GOOD}
