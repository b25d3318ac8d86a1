"""`onnxlint rule --new` and `--test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxlint.cli import run_main
from onnxlint.registry import installed_rules, rules_in


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", ["mine/slow-thing", "operators/slow-thing", "deep/er/mine/x", "g/a1"])
def test_a_new_rule_passes_its_own_test(place: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["rule", "--new", place]) == 0
    path = Path(f"{place.replace('-', '_')}.py")
    assert capsys.readouterr().out.startswith(f"{path}: rule ")
    (rule,) = rules_in(path)
    assert (rule.family, rule.name) == (Path(place).parent.name, Path(place).name)
    assert rule.code not in {known.code for known in installed_rules()}
    headings = [line for line in rule.page.splitlines() if line.startswith("## ")]
    assert headings == ["## What it does", "## Why it costs", "## How to fix"]
    assert run_main(["rule", "--test", str(path)]) == 0
    assert capsys.readouterr().out.endswith("1 rule: all 2 pass\n")


def test_rules_side_by_side_get_codes_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    for slug in ("one", "two", "three"):
        assert run_main(["rule", "--new", f"mine/{slug}"]) == 0
    assert {rule.code for rule in rules_in(Path("mine"))} == {"MIN001", "MIN002", "MIN003"}
    assert run_main(["rule", "--rules", "mine", "MIN002"]) == 0


def test_a_new_rule_takes_its_family_s_letters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["rule", "--new", "shufflenetv2/more"]) == 0
    (rule,) = rules_in(Path("shufflenetv2"))
    assert rule.code == "G5"


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/thing.py").write_text("kept")
    assert run_main(["rule", "--new", "mine/thing"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("mine/thing.py").read_text() == "kept"


@pytest.mark.parametrize("place", ["thing", "Mine/thing", "mine/Thing", "mine/a b", "mine/../thing", "mine/", "", "/x"])
def test_what_is_no_family_and_slug(place: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["rule", "--new", place]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("places=2", "places=3", "2 places, where 3 are expected"),
        ("y = Relu(x)", "y = Elu(x)", "valid 1 on generic: finds '1 Elu activations'"),
        ("a = Elu(x)", "a = Elu(", "invalid 1 on generic: "),
        ("a = Elu(x)\n          y = Elu(a)", "y = Relu(x)", "0 findings, where one is expected"),
        ("VALID = [", "IGNORED = [", "valid: the rule has no VALID examples"),
        ("    found = [", "    raise ValueError\n    found = [", "rule MIN001 failed"),
        ("places=2,", "device='nowhere',", "unknown device"),
    ],
)
def test_an_example_that_fails(old: str, new: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_main(["rule", "--new", "mine/thing"])
    path = Path("mine/thing.py")
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))
    capsys.readouterr()
    assert run_main(["rule", "--test", "mine"]) == 1
    printed = capsys.readouterr()
    assert words in printed.out
    assert "FAIL" in printed.out
    assert not printed.err


def test_what_holds_no_rules(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("broken.py").write_text("1 / 0")
    for path in ("empty", "broken.py", "absent"):
        assert run_main(["rule", "--test", path]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert run_main(["rule", "G1", "--test", "empty"]) == 2
