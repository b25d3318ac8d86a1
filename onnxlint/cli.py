"""The command line: options become Settings, reports become text, findings become an exit code.

Everything but typer is imported inside the commands, so that `--help` and `--version` stay instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from onnxlint import __version__

COMMANDS = ("check", "profile", "rule", "device")
_EPILOG = (
    "Other commands: `onnxlint profile MODEL` the per-layer table; `onnxlint rule [CODE]` list or explain rules; "
    "`onnxlint device [NAME]` list or show devices. Exit code: 0 clean, 1 findings, 2 usage error or unreadable model."
)

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Format(str, Enum):
    """Output formats of the main job."""

    terminal = "terminal"
    json = "json"


class FailOn(str, Enum):
    """The least severity that fails."""

    error = "error"
    warning = "warning"
    info = "info"
    never = "never"


class Precision(str, Enum):
    """Executed precision."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"
    int4 = "int4"


class UsageError(Exception):
    """A command line that can't be carried out: one line, exit code 2."""


Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help="A file, a glob, or a folder of *.onnx.")]
DeviceOption = Annotated[
    list[str] | None, typer.Option("--device", "-d", help="A device's name or a profile.toml; repeatable.")
]
PrecisionOption = Annotated[Precision | None, typer.Option(help="Executed precision; default the device's own.")]
ShapeOption = Annotated[list[str] | None, typer.Option(help="Bind an input: NAME=1x3x224x224.", metavar="NAME=DIMS")]
DimOption = Annotated[list[str] | None, typer.Option(help="Bind a symbolic dim.", metavar="NAME=VALUE")]
BatchOption = Annotated[int | None, typer.Option(help="Samples per pass.", min=1, max=1 << 20)]
OutputFile = Annotated[Path | None, typer.Option("--output-file", "-o", help="Write there instead of to the screen.")]
TimeoutOption = Annotated[float, typer.Option(help="Seconds that shape inference may take.", min=0.1, max=86400)]
MemoryOption = Annotated[int, typer.Option(help="MiB that shape inference may take.", min=64, max=1 << 20)]
FileOption = Annotated[int, typer.Option("--max-file-mb", help="Largest model file read, in MiB.", min=1, max=1 << 24)]
_FILE_MB = 16_384


@app.command(epilog=_EPILOG)
def check(
    models: Models,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    shape: ShapeOption = None,
    dim: DimOption = None,
    batch: BatchOption = None,
    select: Annotated[list[str] | None, typer.Option(help="Rules to run: codes, slugs, families, prefixes.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Rules to leave out.")] = None,
    extend_select: Annotated[list[str] | None, typer.Option(help="Rules to add to those selected.")] = None,
    min_impact: Annotated[float, typer.Option(help="Hide findings below this % of the latency.", min=0, max=100)] = 0.5,
    fail_on: Annotated[FailOn, typer.Option(help="The least severity that makes the exit code 1.")] = FailOn.warning,
    output_format: Annotated[Format, typer.Option(help="What is printed.")] = Format.terminal,
    output_file: OutputFile = None,
    statistics: Annotated[bool, typer.Option("--statistics", help="Count findings by rule.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even if there are findings.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Findings only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Hidden findings and all places too.")] = False,
    rules: Annotated[list[Path] | None, typer.Option(help="Folders of further rule files.", metavar="DIR")] = None,
    timeout: TimeoutOption = 60.0,
    max_memory_mb: MemoryOption = 4096,
    max_file_mb: FileOption = _FILE_MB,
) -> None:
    """Lint ONNX models: what they cost on a device, what breaks its rules, what each fault is worth in milliseconds."""
    from onnxlint import run
    from onnxlint.output.terminal import View

    settings = run.settings(
        precision=precision.value if precision else None,
        shapes=shape or (),
        dims=dim or (),
        batch=batch,
        select=_words(select),
        ignore=_words(ignore),
        extend_select=_words(extend_select),
        min_impact=min_impact / 100,
        fail_on=fail_on.value,
        timeout_s=timeout,
        memory_mb=max_memory_mb,
        max_file_mb=max_file_mb,
    )
    view = View(quiet=quiet, verbose=verbose, statistics=statistics, min_impact=min_impact / 100)
    code = run.check(models, device or ["generic"], settings, rules or [], output_format.value, output_file, view)
    raise typer.Exit(0 if exit_zero and code == 1 else code)


class Sort(str, Enum):
    """Columns that the profile sorts by."""

    order = "order"
    time = "time"
    macs = "macs"
    params = "params"
    bytes = "bytes"


class By(str, Enum):
    """What a row of the profile is."""

    node = "node"
    kernel = "kernel"
    op = "op"
    module = "module"


class ProfileFormat(str, Enum):
    """Output formats of the profile."""

    table = "table"
    json = "json"
    csv = "csv"


@app.command()
def profile(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file.")],
    device: Annotated[str, typer.Option("--device", "-d", help="A device's name or a profile.toml.")] = "generic",
    precision: PrecisionOption = None,
    shape: ShapeOption = None,
    dim: DimOption = None,
    batch: BatchOption = None,
    by: Annotated[By, typer.Option(help="What a row is.")] = By.kernel,
    sort: Annotated[Sort, typer.Option(help="Order of the rows.")] = Sort.order,
    top: Annotated[int | None, typer.Option(help="Show only so many rows.", min=1)] = None,
    output_format: Annotated[ProfileFormat, typer.Option(help="What is printed.")] = ProfileFormat.table,
    output_file: OutputFile = None,
    timeout: TimeoutOption = 60.0,
    max_memory_mb: MemoryOption = 4096,
    max_file_mb: FileOption = _FILE_MB,
) -> None:
    """Print what each layer of a model costs: parameters, multiply-accumulates, bytes, milliseconds."""
    from onnxlint import run

    settings = run.settings(
        precision=precision.value if precision else None,
        shapes=shape or (),
        dims=dim or (),
        batch=batch,
        timeout_s=timeout,
        memory_mb=max_memory_mb,
        max_file_mb=max_file_mb,
    )
    run.profile(model, device, settings, by.value, sort.value, top, output_format.value, output_file)


@app.command()
def rule(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="A rule's code or slug.")] = None,
    rules: Annotated[list[Path] | None, typer.Option(help="Folders of further rule files.", metavar="DIR")] = None,
) -> None:
    """List the rules, or explain one: what it checks, why it costs, how to fix it."""
    from onnxlint import run

    run.rule(code, rules or [])


@app.command()
def device(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A device's name or a profile.toml.")] = None,
) -> None:
    """List the devices, or show one: every figure with its source."""
    from onnxlint import run

    run.device(name)


def _words(options: Sequence[str] | None) -> tuple[str, ...]:
    """`--select G,OPS002 --select CNV001` as three words."""
    return tuple(word.strip() for option in options or () for word in option.split(",") if word.strip())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; leaves with its exit code."""
    sys.exit(run_main(list(sys.argv[1:] if arguments is None else arguments)))


def run_main(arguments: list[str]) -> int:
    """Carry out the command line and return its exit code; errors are one line on stderr, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        # whoever read us has gone: what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("ONNXLINT_DEBUG"):
            raise
        _complain(_message_of(error))
        return 2


def _dispatch(arguments: list[str]) -> int:
    if "--version" in arguments[:1] or arguments == ["-V"]:
        print(f"onnxlint {__version__}")  # noqa: T201
        return 0
    command = get_command(app)
    if not arguments:
        _complain("which model? (onnxlint MODEL --device NAME; onnxlint --help)")
        return 2
    arguments = _with_command(arguments, command)
    try:
        result = command.main(arguments, prog_name="onnxlint", standalone_mode=False)
    except typer.Exit as leaving:
        result = leaving.exit_code
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _with_command(arguments: list[str], command: Any) -> list[str]:
    """The command line with its sub-command first: the first word if it is one, else `check`."""
    flags = {name for parameter in command.commands["check"].params if getattr(parameter, "is_flag", False) for name in parameter.opts}
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word in ("--help", "-h"):
            return ["check", "--help"]
        if word == "--" or not word.startswith("-") or word == "-":
            break
        index += 1 if word in flags or "=" in word else 2
    if index < len(arguments) and arguments[index] in COMMANDS:
        return [arguments[index], *arguments[:index], *arguments[index + 1 :]]
    return ["check", *arguments]


def _message_of(error: Exception) -> str:
    """One line for any exception: our own errors and click's usage errors speak for themselves."""
    if isinstance(error, UsageError) or hasattr(error, "format_message"):
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        return " ".join(message.split())
    from onnxlint.binding import BindingError
    from onnxlint.device import DeviceError
    from onnxlint.load import LoadError
    from onnxlint.registry import RuleError

    if isinstance(error, BindingError | DeviceError | LoadError | RuleError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"internal error: {type(error).__name__}: {error} (set ONNXLINT_DEBUG=1 for the traceback)"


def _complain(message: str) -> None:
    from onnxlint.text import printable

    print(f"onnxlint: {printable(message, 2000)}", file=sys.stderr)  # noqa: T201
