"""`onnxlint check`: which models are read, which exit code they give, and where the report goes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import modelfiles
import pytest
from modelfiles import Run, report, run, usage_error
from onnx import helper
from zoo.store import STORED

USAGE = "Usage: onnxlint [OPTIONS] MODEL..."
MODEL = str(STORED)
pytestmark = pytest.mark.usefixtures("place")


# Which models


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["absent.onnx"], "onnxlint: absent.onnx: no such file"),
        (["empty.onnx"], "onnxlint: empty.onnx: is empty (0 bytes)"),
        (["folder"], "onnxlint: folder: is a folder without models (*.onnx)"),
        (["*.pb"], "onnxlint: *.pb: matches no file"),
        (
            ["model.onnx", "--shape", "y=1x3x8x8"],
            "onnxlint: model.onnx: --shape: the model has no input 'y' (it has x)",
        ),
        (
            ["model.onnx", "--shape", "x=1x3x9x8"],
            "onnxlint: model.onnx: --shape x=1x3x9x8: dim 2 is fixed at 8 already",
        ),
        (
            ["model.onnx", "--dim", "n=2"],
            "onnxlint: model.onnx: --dim: the model's inputs have no dim 'n' (they have none)",
        ),
        (["profile", "empty.onnx"], "onnxlint: empty.onnx: is empty (0 bytes)"),
    ],
)
def test_models_that_can_not_be_read(place: Path, words: list[str], expected: str) -> None:
    (place / "empty.onnx").touch()
    (place / "folder").mkdir()
    assert run(*words) == Run(2, "", expected + "\n")


def test_json_of_a_model_that_can_not_be_read(place: Path) -> None:
    result = run("absent.onnx", "--output-format", "json")
    found = json.loads(result.out)
    assert (result.code, found["exit_code"], found["error"]) == (2, 2, "no such file")
    assert found["model"]["path"] == "absent.onnx"
    assert result.err == "onnxlint: absent.onnx: no such file\n"


def test_of_several_models_the_highest_code_counts(place: Path) -> None:
    assert run("model.onnx", "model.onnx").code == 0
    assert run("model.onnx", MODEL, "-d", "hi3519").code == 1
    result = run("absent.onnx", "model.onnx", MODEL, "--output-format", "json")
    found = json.loads(result.out)
    assert sorted(found) == ["reports", "schema_version"]
    assert found["reports"][0]["exit_code"] == 2
    assert len(found["reports"]) == 3
    assert result.code == 2


def test_several_devices_are_several_reports() -> None:
    found = json.loads(run("model.onnx", "-d", "t4", "-d", "T4", "-d", "hi3519", "--output-format", "json").out)
    assert [one["device"]["name"] for one in found["reports"]] == ["t4", "hi3519"]


def test_a_folder_is_a_list_of_reports(place: Path) -> None:
    (place / "f").mkdir()
    modelfiles.saved(modelfiles.relu(), place / "f")
    assert len(json.loads(run("f", "--output-format", "json").out)["reports"]) == 1


def test_a_model_from_stdin() -> None:
    data = modelfiles.relu().SerializeToString()
    result = run("-", "--output-format", "json", stdin=data)
    model = json.loads(result.out)["model"]
    assert (result.code, model["path"]) == (0, "-")
    assert model["sha256"] == json.loads(run("model.onnx", "--output-format", "json").out)["model"]["sha256"]
    assert run("-").err == "onnxlint: -: is empty (0 bytes)\n"
    assert run("profile", "-", stdin=data).code == 0


def test_missing_weights_are_a_note(place: Path) -> None:
    path = modelfiles.saved(modelfiles.conv(modelfiles.weights("w", 64, 3, 3, 3, external="w.bin")), place)
    result = run(path)
    assert result.code == 0
    assert "'w.bin' is missing" in " ".join(result.out.split())
    assert "--weights always" not in result.out


# Exit codes, formats, files


def test_findings_fail_and_can_be_forgiven() -> None:
    assert run(MODEL, "-d", "hi3519").code == 1
    assert run(MODEL, "-d", "hi3519", "--exit-zero").code == 0
    assert run(MODEL, "-d", "hi3519", "--fail-on", "never").code == 0
    assert run(MODEL, "-d", "hi3519", "--ignore", "ALL").code == 0
    assert run("absent.onnx", "--exit-zero").code == 2
    assert run(MODEL, "-d", "hi3519", "--select", "OPS002", "--fail-on", "error").code == 1


def test_an_incomplete_analysis_is_never_clean() -> None:
    model = modelfiles.model_of([helper.make_node("Foo", ["x"], ["y"])], {"x": [1]}, {"y": [1]})
    path = modelfiles.saved(model, Path.cwd(), "odd.onnx")
    for words in ([], ["--fail-on", "never"], ["--ignore", "ALL"]):
        assert run(path, *words).code == 1
    assert report(path)["incomplete"]


def test_a_profile_file_as_the_device(place: Path) -> None:
    from importlib import resources

    source = resources.files("onnxlint.device_profiles").joinpath("t4.toml").read_text()
    (place / "mine.toml").write_text(source.replace('name = "t4"', 'name = "mine"'))
    assert report("model.onnx", "--device", "mine.toml")["device"]["name"] == "mine"
    (place / "bad.toml").write_text(source + "\nnonsense = 1\n")
    assert "nonsense" in usage_error("model.onnx", "--device", "bad.toml")


@pytest.mark.parametrize("name", ["hi3519", "HI3519", "Hi3519"])
def test_device_names_in_any_case(name: str) -> None:
    assert report("model.onnx", "--device", name)["device"]["name"] == "hi3519"


def test_an_output_file_holds_the_report_and_stdout_nothing(place: Path) -> None:
    for words in (["model.onnx"], ["profile", "model.onnx"]):
        result = run(*words, "--output-file", "new/out.json", "--output-format", "json")
        assert result == Run(0, "", "")
        assert json.loads((place / "new" / "out.json").read_text())
    assert run("model.onnx", "-o", "out.txt") == Run(0, "", "")
    assert "MACCs" in (place / "out.txt").read_text()
    assert "\x1b" not in (place / "out.txt").read_text()
    assert sorted(path.name for path in place.iterdir()) == ["model.onnx", "new", "out.txt"]


def test_an_output_file_is_replaced_whole_and_keeps_its_mode(place: Path) -> None:
    target = place / "out.json"
    target.write_text("old")
    target.chmod(0o640)
    before = target.stat().st_ino
    assert run("model.onnx", "-o", "out.json", "--output-format", "json").code == 0
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.stat().st_ino != before
    assert json.loads(target.read_text())


@pytest.mark.parametrize("target", ["out.json", "absent.json", "/dev/null"])
def test_no_link_is_written_through(place: Path, target: str) -> None:
    (place / "out.json").write_text("old")
    (place / "link.json").symlink_to(target)
    assert "link.json: is a link" in usage_error("model.onnx", "-o", "link.json")
    assert (place / "out.json").read_text() == "old"
    assert not (place / "absent.json").exists()


def test_a_file_below_a_linked_folder_is_written(place: Path) -> None:
    (place / "real").mkdir()
    (place / "linked").symlink_to("real")
    assert run("model.onnx", "-o", "linked/out.json", "--output-format", "json").code == 0
    assert json.loads((place / "real" / "out.json").read_text())


def test_the_systems_own_links_are_followed() -> None:
    assert '"exit_code"' in run("model.onnx", "-o", "/dev/stdout", "--output-format", "json").out


def test_a_failed_write_leaves_the_old_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "out.json").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "can't be written: No space left" in usage_error("model.onnx", "-o", "out.json")
    assert (place / "out.json").read_text() == "old"
    assert sorted(path.name for path in place.iterdir()) == ["model.onnx", "out.json"]


def test_output_to_a_device_does_not_replace_it() -> None:
    assert run("model.onnx", "-o", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_further_rules(place: Path) -> None:
    from test_registry import SOURCE

    (place / "more").mkdir()
    (place / "more" / "hello.py").write_text(SOURCE.format(code="MY001", name="hello"))
    words = ("--rules", "more", "--select", "MY001")
    (finding,) = report("model.onnx", *words)["findings"]  # type: ignore[misc]
    assert finding["rule"] == "MY001"
    assert "Because." in run("rule", "MY001", "--rules", "more").out


def test_a_rule_that_leaves_the_process_is_reported(place: Path) -> None:
    from test_registry import SOURCE

    (place / "more").mkdir()
    source = SOURCE.format(code="MY001", name="hello").replace("    yield", "    raise SystemExit(0)\n    yield")
    (place / "more" / "hello.py").write_text(source)
    result = run("model.onnx", "--rules", "more")
    assert result.code == 1
    assert "rule MY001 failed" in result.out


# Strangers' names


NAMES = [
    "\x1b[31mred\x1b[0m",
    "a\nb",
    "[bold red]x[/]",
    "\u202ebidi",
    "::error::x",
    "n" * 30_000,
    "=cmd()",
    "##[error]",
    "\x9b2J",
]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_terminal_or_log_obeys_is_printed(place: Path, name: str) -> None:
    model = modelfiles.model_of(
        [helper.make_node("Foo", [name], ["y" + name], name=name)], {name: [1]}, {"y" + name: [1]}
    )
    modelfiles.saved(model, place)
    for words in ([], ["-v"], ["--output-format", "json"]):
        check_harmless(run("model.onnx", *words))
    for words in (["--by", "node"], ["--output-format", "csv", "--by", "module"], ["--output-format", "json"]):
        check_harmless(run("profile", "model.onnx", *words))
    modelfiles.saved(modelfiles.relu("x", "y" + name), place)
    for words in ([], ["--output-format", "json"]):
        check_harmless(run("profile", "model.onnx", "--roofline", "-dt4", *words))


def check_harmless(result: Run) -> None:
    for character in ("\x1b", "\u202e", "\x9b", "\r"):
        assert character not in result.out + result.err
    if not result.out.startswith(("{", "[")):
        assert not any(line.lstrip().startswith(("::error", "##[")) for line in result.out.splitlines())
        assert max(map(len, result.out.splitlines())) < 400


@pytest.mark.parametrize(
    "name", ["\x1b[31mred.onnx", "new\nline.onnx", "[red]x.onnx", b"\xff\xfe.onnx".decode("utf-8", "surrogateescape")]
)
def test_paths_of_any_spelling(place: Path, name: str) -> None:
    (place / name).write_bytes(modelfiles.relu().SerializeToString())
    for words in ([], ["--output-format", "json"]):
        result = run(name, *words)
        assert (result.code, result.err) == (0, "")
        check_harmless(result)
    error = run(name + "x").err
    assert error.count("\n") == 1
    assert error.isascii() or "\x1b" not in error


def test_names_that_are_no_utf8(place: Path) -> None:
    data = modelfiles.relu("aaaa", "bbbb").SerializeToString()
    (place / "model.onnx").write_bytes(data.replace(b"aaaa", b"\xff\x1b\xff\xff"))
    assert run("model.onnx").code == 0
    assert report("model.onnx")["model"]["inputs"][0]["name"] == "\\udcff\x1b\\udcff\\udcff"
