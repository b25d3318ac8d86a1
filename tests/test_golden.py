"""The terminal output as a whole, against stored texts; `pytest tests/test_golden.py --refresh-golden` writes them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import modelfiles
import pytest
from zoo import build
from zoo.store import STORED

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Case:
    """One stored text: the words behind `onnxlint MODEL`, the screen's width, the exit code."""

    name: str
    network: str
    words: str
    columns: int
    code: int


CASES = (
    Case("shufflenet_v2_hi3519_80", "shufflenet_v2_x1_0", "--device hi3519", 80, 1),
    Case("shufflenet_v2_hi3519_120", "shufflenet_v2_x1_0", "--device hi3519", 120, 1),
    Case("shufflenet_v2_t4_80", "shufflenet_v2_x1_0", "--device t4 -v", 80, 1),
    Case("resnet18_t4_80", "resnet18", "--device t4", 80, 0),
    Case("tinybert_cortex-a76_120", "tinybert_4l_312", "--device cortex-a76", 120, 0),
    Case(
        "shufflenet_v2_hi3519_profile_120", "shufflenet_v2_x1_0", "profile --device hi3519 --sort time --top 12", 120, 0
    ),
    Case("resnet18_t4_roofline_80", "resnet18", "profile --device t4 --roofline", 80, 0),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_output_is_the_stored_one(
    case: Case, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = f"{case.network}.onnx"
    if case.network == STORED.stem:
        (tmp_path / model).write_bytes(STORED.read_bytes())
    else:
        modelfiles.saved(build(case.network), tmp_path, model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(case.columns))
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "CLICOLOR_FORCE"):
        monkeypatch.delenv(variable, raising=False)

    result = modelfiles.run(*case.words.split(), model)
    assert (result.code, result.err) == (case.code, "")
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert max(map(len, lines)) <= case.columns
    assert "\x1b" not in result.out

    path = GOLDEN / f"{case.name}.txt"
    if request.config.getoption("--refresh-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    stored = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    changed = "\n".join(difflib.unified_diff(stored, lines, "stored", "now", lineterm=""))
    assert not changed, f"\n{changed}\n(pytest tests/test_golden.py --refresh-golden)"


def test_no_stored_text_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {case.name for case in CASES}
