"""The command line: options become Settings, reports become text, findings become an exit code.

Everything but typer is imported inside the commands, so that `--help` and `--version` stay instant.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from onnxlint import __version__, arguments, streams
from onnxlint.options import (
    DEVICE_HELP,
    EPILOG,
    FILE_MB,
    USAGE,
    BatchOption,
    By,
    DeviceOption,
    DimOption,
    FailOn,
    FileOption,
    Format,
    ImpactOption,
    LatencyBudget,
    MacsBudget,
    MeasureFormat,
    MemoryBudget,
    MemoryOption,
    NewRule,
    OutputFile,
    ParamsBudget,
    PrecisionOption,
    ProfileFormat,
    Quiet,
    RulesOption,
    ShapeOption,
    Sort,
    TestRules,
    TimeoutOption,
    Verbose,
    Weights,
    WeightsOption,
    Words,
    one_of,
)

_OF_WRITING = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG)
_SETTINGS = {"help_option_names": ["--help", "-h"]}
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class _Main(TyperCommand):
    """The main job, whose usage line does not name it."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return USAGE.split()[2:]


@app.command(cls=_Main, epilog=EPILOG, context_settings=_SETTINGS)
def check(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="A file, a glob, a folder of *.onnx, or - for stdin.")
    ],
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    shape: ShapeOption = None,
    dim: DimOption = None,
    batch: BatchOption = None,
    select: Annotated[
        Words, typer.Option(help="Rules to run: codes, slugs, families, prefixes.", metavar="RULES")
    ] = None,
    ignore: Annotated[Words, typer.Option(help="Rules to leave out.", metavar="RULES")] = None,
    extend_select: Annotated[Words, typer.Option(help="Rules to add to those selected.", metavar="RULES")] = None,
    min_impact: ImpactOption = 0.5,
    fail_on: Annotated[
        FailOn, typer.Option(help="The least severity that makes the exit code 1.", metavar=one_of(FailOn))
    ] = FailOn.warning,
    output_format: Annotated[Format, typer.Option(help="What is written.", metavar=one_of(Format))] = Format.terminal,
    output_file: OutputFile = None,
    max_latency: LatencyBudget = None,
    max_params: ParamsBudget = None,
    max_macs: MacsBudget = None,
    max_memory: MemoryBudget = None,
    statistics: Annotated[bool, typer.Option("--statistics", help="Count findings by rule.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even if there are findings.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Findings only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Hidden findings and all places too.")] = False,
    rules: RulesOption = None,
    weights: WeightsOption = Weights.auto,
    timeout: TimeoutOption = 60.0,
    max_memory_mb: MemoryOption = None,
    max_file_mb: FileOption = FILE_MB,
    version: Annotated[bool, typer.Option("--version", "-V", help="Show the version and exit.")] = False,
) -> int:
    """Lint ONNX models: what they cost on a device, what breaks its rules, what each fault is worth in milliseconds."""
    if version:
        return _show_version()
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
        max_latency=max_latency,
        max_params=max_params,
        max_macs=max_macs,
        max_memory=max_memory,
        weights=weights.value,
        timeout_s=timeout,
        memory_mb=max_memory_mb,
        max_file_mb=max_file_mb,
    )
    view = View(quiet=quiet, verbose=verbose, statistics=statistics, min_impact=min_impact / 100)
    code = run.check(models, device or ["generic"], settings, rules or [], output_format.value, output_file, view)
    return 0 if exit_zero and code == 1 else code


@app.command(context_settings=_SETTINGS)
def profile(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, or - for stdin.")],
    device: Annotated[
        str | None, typer.Option("--device", "-d", help=f"{DEVICE_HELP}; default generic.", metavar="NAME")
    ] = None,
    precision: PrecisionOption = None,
    shape: ShapeOption = None,
    dim: DimOption = None,
    batch: BatchOption = None,
    by: Annotated[By, typer.Option(help="What a row is.", metavar=one_of(By))] = By.kernel,
    sort: Annotated[Sort, typer.Option(help="Order of the rows.", metavar=one_of(Sort))] = Sort.order,
    top: Annotated[int | None, typer.Option(help="Show only so many rows.", min=1, metavar="N")] = None,
    depth: Annotated[int | None, typer.Option(help="Fold modules below this depth.", min=1, metavar="N")] = None,
    structure: Annotated[
        bool, typer.Option("--structure", help="Print the structures that are recognised instead.")
    ] = False,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Plot the kernels under the device's roofline instead.")
    ] = False,
    output_format: Annotated[
        ProfileFormat, typer.Option(help="What is written.", metavar=one_of(ProfileFormat))
    ] = ProfileFormat.table,
    output_file: OutputFile = None,
    timeout: TimeoutOption = 60.0,
    max_memory_mb: MemoryOption = None,
    max_file_mb: FileOption = FILE_MB,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Print what each layer of a model costs: parameters, multiply-accumulates, bytes, milliseconds."""
    if not model:  # some pairs of typer and click let it pass
        raise typer.BadParameter("Missing argument 'MODEL'")
    if structure and roofline:
        raise typer.BadParameter("--structure and --roofline are two things: give one")
    if roofline and device is None:
        raise typer.BadParameter("--roofline needs a --device: there is no roof without one")
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
    if device is None:
        device = "generic"
    if structure:
        return run.structure(model, device, settings, output_format.value, output_file)
    return run.profile(
        model,
        device,
        settings,
        by.value,
        sort.value,
        top,
        depth,
        output_format.value,
        output_file,
        on_roofline=roofline,
    )


@app.command(context_settings=_SETTINGS)
def rule(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="A rule's code or slug.")] = None,
    new: NewRule = None,
    test: TestRules = None,
    rules: RulesOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """List the rules, or explain one: what it checks, why it costs, how to fix it. Write a new one, or test some."""
    if sum(given is not None for given in (code, new, test)) > 1:
        raise typer.BadParameter("CODE, --new and --test are three things: give one")
    from onnxlint import run

    if new is not None:
        return run.new_rule(new)
    if test is not None:
        return run.try_rules(test, quiet=quiet)
    run.rule(code, rules or [])
    return 0


@app.command(context_settings=_SETTINGS)
def device(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=f"{DEVICE_HELP}.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the devices, or show one: every figure with its source."""
    from onnxlint import run

    run.device(name)


@app.command(context_settings=_SETTINGS)
def calibrate(
    provider: Annotated[str, typer.Option(help="ONNX Runtime's execution provider.", metavar="NAME")] = "CPU",
    threads: Annotated[int, typer.Option(help="Threads within an operator.", min=1, max=1024, metavar="N")] = 1,
    name: Annotated[str, typer.Option(help="The profile's name.", metavar="NAME")] = "mybox",
    output_file: OutputFile = None,
    budget: Annotated[str, typer.Option(help="Time for measuring: 180s, 5m.", metavar="TIME")] = "180s",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Measure this machine by micro-benchmarks and write what it attains as a profile (NAME.toml)."""
    from onnxlint.calibrate import command

    return command.run(provider, threads, name, output_file, command.seconds_of(budget), force, quiet)


@app.command(context_settings=_SETTINGS)
def measure(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file.")],
    device: Annotated[str, typer.Option("--device", "-d", help=f"{DEVICE_HELP}.", metavar="NAME")],
    shape: ShapeOption = None,
    dim: DimOption = None,
    batch: BatchOption = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads; default the profile's.", min=1, max=1024, metavar="N")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="Execution provider; default the profile's.", metavar="NAME")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for measuring.", min=0.1, max=3600, metavar="S")] = 3.0,
    top: Annotated[int | None, typer.Option(help="Show only so many kernels.", min=1, metavar="N")] = None,
    output_format: Annotated[
        MeasureFormat, typer.Option(help="What is written.", metavar=one_of(MeasureFormat))
    ] = MeasureFormat.table,
    output_file: OutputFile = None,
    timeout: TimeoutOption = 600.0,
    max_memory_mb: MemoryOption = None,
    max_file_mb: FileOption = FILE_MB,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Run a model on this machine and print what a profile predicts beside what it takes, kernel by kernel."""
    from onnxlint import run
    from onnxlint.measure import command

    settings = run.settings(
        shapes=shape or (),
        dims=dim or (),
        batch=batch,
        timeout_s=timeout,
        memory_mb=max_memory_mb,
        max_file_mb=max_file_mb,
    )
    return command.run(
        model,
        device,
        settings,
        threads=threads,
        provider=provider,
        seconds=seconds,
        top=top,
        output_format=output_format.value,
        output_file=output_file,
    )


def _words(options: Sequence[str] | None) -> tuple[str, ...]:
    """`--select G,OPS002 --select CNV001` as three words."""
    return tuple(word.strip() for option in options or () for word in option.split(",") if word.strip())


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; leaves with its exit code."""
    sys.exit(run_main(list(sys.argv[1:] if words is None else words)))


def run_main(words: list[str]) -> int:
    """Carry out the command line and return its exit code; errors are one line on stderr, never a traceback."""
    streams.prepare()
    gc.disable()  # graphs hold no cycles, and searching them for some is a quarter of a large model's time
    # weights are small matrices: threads waiting for each other took ten times as long on a busy machine
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = _dispatch(words)
        streams.flush()
    except (BrokenPipeError, SystemExit):
        # whoever read us has gone (rich says it with a SystemExit)
        streams.discard()
        return 141
    except (KeyboardInterrupt, typer.Abort):
        streams.discard()
        return 130
    except Exception as error:
        if os.environ.get("ONNXLINT_DEBUG"):
            raise
        _complain(_message_of(error))
        streams.discard()
        return 2
    return code


def _dispatch(words: list[str]) -> int:
    if not words:
        print(f"{USAGE} (onnxlint --help explains)", file=sys.stderr)  # noqa: T201
        return 2
    if words[0] in arguments.VERSION:
        return _show_version()
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    name, rest = arguments.split_command(words, commands)
    if name == "version":
        return _show_version()
    program = "onnxlint" if name == arguments.MAIN_COMMAND else f"onnxlint {name}"
    result = commands[name].main(rest, prog_name=program, standalone_mode=False)
    return result if isinstance(result, int) else 0


def _show_version() -> int:
    print(f"onnxlint {__version__}")  # noqa: T201
    return 0


def _message_of(error: Exception) -> str:
    """One line for any exception: our own errors and typer's usage errors speak for themselves."""
    if hasattr(error, "format_message"):
        return arguments.usage_message(error)
    from onnxlint.binding import BindingError
    from onnxlint.budgets import BudgetError
    from onnxlint.device import DeviceError
    from onnxlint.load import LoadError
    from onnxlint.registry import RuleError

    # our own errors of heavier modules are known by their mark, so that those need not be imported for it
    if isinstance(
        error, BindingError | BudgetError | DeviceError | LoadError | RuleError | streams.OutputError | streams.Refusal
    ):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if error.errno in _OF_WRITING else "")
        return f"{where}: {error.strerror}" if where else error.strerror
    return f"internal error: {type(error).__name__}: {error} (set ONNXLINT_DEBUG=1 for the traceback)"


def _complain(message: str) -> None:
    from onnxlint.text import printable

    print(f"onnxlint: {printable(message, 2000)}", file=sys.stderr)  # noqa: T201
