"""The command line from outside: words in, streams and an exit code out."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import modelfiles
import pytest
from modelfiles import Run, run, usage_error
from zoo.store import STORED

from onnxlint import __version__
from onnxlint.arguments import COMMANDS
from onnxlint.commands.app import commands

USAGE = "Usage: onnxlint [OPTIONS] MODEL..."
MODEL = str(STORED)
pytestmark = pytest.mark.usefixtures("place")


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


def test_the_commands_that_are_suggested_are_those_that_there_are() -> None:
    assert set(COMMANDS) == set(commands())


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("columns", [80, 100])
def test_help_fits_the_screen_and_stands_in_groups(command: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run(*filter(None, (command, "--help"))).out.splitlines()
    assert max(map(len, lines)) <= columns
    assert "{" not in lines[0]
    titles = [line for line in lines if line and line[0] != " " and line.endswith(":")]
    if command in ("", "check"):
        assert titles == [
            "Arguments:", "Device and shapes:", "Rules and findings:", "Budgets:", "Other options:", "Limits:",
        ]  # fmt: skip


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
        (["--fix", "m"], "unknown option '--fix' (--help lists them)"),
        (["-Z", "m"], "unknown option '-Z'"),
        (["m", "--device"], "'--device' requires an argument"),
        (["--batch", "x", "m"], "--batch"),
        (["--batch", "0", "m"], "--batch: 0 is not in the range 1 to 1048576"),
        (["--min-impact", "101", "m"], "--min-impact: 101.0 is not in the range 0 to 100"),
        (["profile", "m", "--top", "0"], "--top: 0 is not in the range 1 or more"),
        (["profile", "m", "--roofline"], "--roofline needs a --device"),
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
        (["device", "x4"], "'x3'"),
        (["profil"], "profil: no such file (did you mean the command 'profile'?)"),
        (["mdel.onnx"], "mdel.onnx: no such file (did you mean 'model.onnx'?)"),
        (["./mdel.onnx"], "./mdel.onnx: no such file (did you mean './model.onnx'?)"),
        (["profile", "mdel.onnx"], "(did you mean 'model.onnx'?)"),
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


@pytest.mark.parametrize("size", ["0", "\u0663", "\u00b2", "-5", "9" * 30])
def test_a_terminal_of_no_columns(size: str) -> None:
    result = modelfiles.script("model.onnx", env={**os.environ, "COLUMNS": size, "LINES": size})
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
            os.write(holder, MODEL_BEGINS)
            while unread_bytes(holder):
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    os.close(holder)
    assert (process.returncode, out, err) == (130, b"", b"")


MODEL_BEGINS = b"\x08\x07"


def unread_bytes(pipe: int) -> int:
    """How much of what was written to the pipe nobody has read."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


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
