"""The command line from outside: words in, streams and an exit code out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import modelfiles
import pytest
from modelfiles import Run, run
from onnx import helper
from zoo.store import STORED

from onnxlint import __version__

USAGE = "Usage: onnxlint [OPTIONS] MODEL..."
MODEL = str(STORED)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    modelfiles.saved(modelfiles.relu(), tmp_path)
    return tmp_path


def usage_error(*words: str) -> str:
    """The one line of a command line that can't be carried out."""
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("onnxlint: ")
    return line.removeprefix("onnxlint: ")


def report(*words: str) -> dict[str, object]:
    result = run(*words, "--output-format", "json")
    found = json.loads(result.out)
    assert found["exit_code"] == result.code
    return dict(found)


# Which command


def test_no_argument_shows_the_usage() -> None:
    result = run()
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith(USAGE)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["-q", "--help"], ["check", "--help"], ["--device", "t4", "-h"]])
def test_help_is_that_of_the_main_job(words: list[str]) -> None:
    result = run(*words)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(USAGE)
    for option in ("--device", "--precision", "--shape", "--select", "--fail-on", "onnxlint rule [CODE]"):
        assert option in result.out


@pytest.mark.parametrize("command", ["profile", "rule", "device"])
def test_help_of_the_others(command: str) -> None:
    for words in ([command, "--help"], ["--help", command]):
        result = run(*words)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"Usage: onnxlint {command} [OPTIONS]")


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["-q", "--version"], ["model.onnx", "--version"]])
def test_version(words: list[str]) -> None:
    assert run(*words) == Run(0, f"onnxlint {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["./rule"],
        ["--", "rule"],
        ["check", "rule"],
        ["-q", "./rule"],
        ["check", "--", "rule"],
        ["-d", "t4", "--", "rule"],
    ],
)
def test_models_named_like_commands(place: Path, words: list[str]) -> None:
    modelfiles.saved(modelfiles.relu(), place, "rule")
    assert run(*words).code == 0


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["rule"], "code"),
        (["-q", "rule"], "code"),
        (["-qv", "rule", "OPS002"], "OPS002"),
        (["rule", "channel-shuffle"], "OPS002"),
        (["device"], "device"),
        (["-v", "device", "T4"], "t4: "),
        (["--device", "t4", "profile", "model.onnx"], "layer"),
        (["-dt4", "profile", "model.onnx"], "layer"),
        (["-qd", "t4", "profile", "model.onnx"], "layer"),
        (["--device=t4", "--batch", "2", "profile", "model.onnx", "--by", "op"], "layer"),
    ],
)
def test_commands(words: list[str], start: str) -> None:
    result = run(*words)
    assert (result.code, result.err) == (0, "")
    assert result.out.lstrip().startswith(start)


def test_the_value_of_an_option_is_no_command() -> None:
    assert "unknown device 'rule'" in usage_error("--device", "rule", "model.onnx")


# Usage errors


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--devise", "t4", "m"], "unknown option '--devise' (did you mean '--device'?)"),
        (["--zzz"], "unknown option '--zzz'"),
        (["-Z", "m"], "unknown option '-Z'"),
        (["m", "--device"], "'--device' requires an argument"),
        (["--batch", "x", "m"], "--batch"),
        (["--batch", "0", "m"], "--batch"),
        (["--min-impact", "101", "m"], "--min-impact"),
        (["--timeout", "nan", "m"], "--timeout"),
        (["--precision", "fp61", "m"], "--precision: unknown value 'fp61' (did you mean 'fp16'?)"),
        (["--precision", "x", "m"], "one of fp32, fp16, bf16, int8, int4"),
        (["--output-format", "jsn", "m"], "--output-format: unknown value 'jsn' (did you mean 'json'?)"),
        (["--fail-on", "warn", "m"], "did you mean 'warning'?"),
        (["check"], "Missing argument"),
        (["profile"], "Missing argument"),
        (["profile", "a", "b"], "unexpected extra argument"),
        (["--device", "hi3591", "model.onnx"], "unknown device 'hi3591' (did you mean 'hi3519'?)"),
        (["--device", "./absent.toml", "model.onnx"], "no such file"),
        (["device", "t44"], "did you mean 't4'?"),
        (["--select", "OPS02", "model.onnx"], "unknown rule 'OPS02' (did you mean"),
        (["--ignore", "nothing", "model.onnx"], "unknown rule 'nothing'"),
        (["rule", "chanel-shuffle"], "did you mean 'channel-shuffle'?"),
        (["--rules", "absent", "model.onnx"], "is no folder"),
        (["--shape", "x", "model.onnx"], "--shape: 'x' is not NAME=1x3x224x224"),
        (["--shape", "x=1x0", "model.onnx"], "--shape x: '0' is no size"),
        (["--shape", "x=axb", "model.onnx"], "'a' is no size"),
        (["--dim", "=3", "model.onnx"], "--dim: '=3' is not NAME=VALUE"),
        (["--dim", "n=99999999999999", "model.onnx"], "is no size"),
        (["--dim", "n=3", "--dim", "n=4", "model.onnx"], "--dim n: is given twice and differently"),
        (["--device", "hi3519", "--precision", "fp32", "model.onnx"], "fp32"),
        (["--output-file", ".", "model.onnx"], "is a folder"),
        (["--output-file", "model.onnx", "model.onnx"], "is the model itself"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], expected: str) -> None:
    assert expected in usage_error(*words)


def test_names_in_errors_are_escaped() -> None:
    assert "\\x1b[31mt4" in usage_error("--device", "\x1b[31mt4", "model.onnx")
    assert "'--out\\nput'" in usage_error("--out\nput", "m")


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
    assert report("model.onnx", "--device", "mine.toml")["device"]["name"] == "mine"  # type: ignore[index]
    (place / "bad.toml").write_text(source + "\nnonsense = 1\n")
    assert "nonsense" in usage_error("model.onnx", "--device", "bad.toml")


@pytest.mark.parametrize("name", ["hi3519", "HI3519", "Hi3519"])
def test_device_names_in_any_case(name: str) -> None:
    assert report("model.onnx", "--device", name)["device"]["name"] == "hi3519"  # type: ignore[index]


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
    assert report("model.onnx")["model"]["inputs"][0]["name"] == "\\udcff\x1b\\udcff\\udcff"  # type: ignore[index]


# The process


def test_python_m_imports_nothing_from_the_working_directory(place: Path) -> None:
    for name in ("typer", "onnx", "rich", "msgspec", "json", "numpy", "networkx", "difflib"):
        (place / f"{name}.py").write_text(f"raise SystemExit('hijacked by {name}')")
    result = modelfiles.script("model.onnx", cwd=place)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"MACCs" in result.stdout


def onnxlint(words: str) -> str:
    return f"'{sys.executable}' -m onnxlint {words}"


@pytest.mark.parametrize("command", ["device", "rule", f"'{MODEL}' -v", f"'{MODEL}' --output-format json"])
def test_a_reader_that_leaves_early(command: str) -> None:
    result = subprocess.run(
        f"{onnxlint(command)} | head -c 1", shell=True, capture_output=True, timeout=60, check=False
    )
    assert (len(result.stdout), result.stderr) == (1, b"")


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(redirect: str) -> None:
    result = subprocess.run(
        f"{onnxlint('model.onnx')} {redirect}", shell=True, capture_output=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_model_from_a_closed_input() -> None:
    result = subprocess.run(f"{onnxlint('-')} <&-", shell=True, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (2, b"onnxlint: -: standard input is closed\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_line() -> None:
    result = subprocess.run(
        f"{onnxlint('model.onnx')} >/dev/full", shell=True, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert result.stderr == b"onnxlint: standard output: No space left on device\n"


def test_a_pipe_that_nobody_reads_is_one_line(place: Path) -> None:
    os.mkfifo(place / "pipe")
    words = ("model.onnx", "--output-format", "json", "-o", "pipe")
    refused = modelfiles.run(*words)
    assert (refused.code, refused.err) == (2, "onnxlint: pipe: can't be written: No such device or address\n")
    reader = os.open(place / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert modelfiles.run(*words).code == 0
    os.set_blocking(reader, True)
    with open(reader, encoding="utf-8") as pipe:
        assert json.load(pipe)["exit_code"] == 0


def test_an_encoding_that_lacks_characters() -> None:
    result = modelfiles.script("model.onnx", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, b"")
    result.stdout.decode("ascii")


def test_a_terminal_of_no_columns() -> None:
    result = modelfiles.script("model.onnx", env={**os.environ, "COLUMNS": "0"})
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"Latency" in result.stdout


def test_ends_of_children_that_are_thrown_away() -> None:
    """As under a supervisor that ignores SIGCHLD, which those it starts inherit."""
    result = subprocess.run(
        [sys.executable, "-m", "onnxlint", "model.onnx"],
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")


def test_an_interrupt_ends_quietly(place: Path) -> None:
    os.mkfifo(place / "pipe")
    holder = os.open(place / "pipe", os.O_RDWR)
    with subprocess.Popen(
        [sys.executable, "-m", "onnxlint", "-"],
        stdin=holder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # under nohup and the like, children inherit an ignored SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    os.close(holder)
    assert (process.returncode, out, err) == (130, b"", b"")


def imported(*words: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "onnxlint", *words], capture_output=True, timeout=60, check=False
    )
    return {line.rpartition(b"|")[2].strip().decode() for line in result.stderr.splitlines()}


HEAVY = {"onnx", "numpy", "networkx", "msgspec", "google.protobuf", "onnxruntime", "onnxlint.run", "importlib.metadata"}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["rule", "--help"], [], ["--nonsense"]])
def test_quick_answers_import_nothing_heavy(words: list[str]) -> None:
    assert not imported(*words) & HEAVY


def test_version_takes_what_typer_takes() -> None:
    """Paired and repeated, because the machine is shared; the least of each is compared."""

    def seconds(*words: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        return time.perf_counter() - start

    pairs = [(seconds("-m", "onnxlint", "--version"), seconds("-c", "import typer")) for _ in range(7)]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    assert ours < 1.3 * theirs


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("oh\x1b")

    monkeypatch.setattr("onnxlint.run.check.lint_graph", broken)
    assert usage_error("model.onnx") == (
        "model.onnx: internal error: RuntimeError: oh\\x1b (set ONNXLINT_DEBUG=1 for the traceback)"
    )
    monkeypatch.setenv("ONNXLINT_DEBUG", "1")
    with pytest.raises(RuntimeError):
        run("model.onnx")
