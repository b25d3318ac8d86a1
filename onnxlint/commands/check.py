"""The options of `onnxlint check`, the main job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from onnxlint import streams
from onnxlint.arguments import USAGE, VERSION_LINE
from onnxlint.commands.grouped import Grouped
from onnxlint.options import (
    FILE_MB,
    FINDINGS,
    BatchOption,
    DeviceOption,
    DimOption,
    FailOn,
    FileOption,
    Format,
    ImpactOption,
    LatencyBudget,
    MacsBudget,
    MemoryBudget,
    MemoryOption,
    OutputFile,
    ParamsBudget,
    PrecisionOption,
    RulesOption,
    ShapeOption,
    TimeoutOption,
    Weights,
    WeightsOption,
    Words,
    one_of,
)


class Main(Grouped):
    """The main job, whose usage line does not name it."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind `onnxlint`."""
        return USAGE.split()[2:]


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
        Words,
        typer.Option(help="Rules to run: codes, slugs, families, prefixes.", metavar="RULES", rich_help_panel=FINDINGS),
    ] = None,
    ignore: Annotated[
        Words, typer.Option(help="Rules to leave out.", metavar="RULES", rich_help_panel=FINDINGS)
    ] = None,
    extend_select: Annotated[
        Words, typer.Option(help="Rules to add to those selected.", metavar="RULES", rich_help_panel=FINDINGS)
    ] = None,
    min_impact: ImpactOption = 0.5,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            help="The least severity that makes the exit code 1.", metavar=one_of(FailOn), rich_help_panel=FINDINGS
        ),
    ] = FailOn.warning,
    output_format: Annotated[Format, typer.Option(help="What is written.", metavar=one_of(Format))] = Format.terminal,
    output_file: OutputFile = None,
    max_latency: LatencyBudget = None,
    max_params: ParamsBudget = None,
    max_macs: MacsBudget = None,
    max_memory: MemoryBudget = None,
    statistics: Annotated[bool, typer.Option("--statistics", help="Count findings by rule.")] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 even if there are findings.", rich_help_panel=FINDINGS)
    ] = False,
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
        streams.write(VERSION_LINE, None)
        return 0
    from onnxlint.output.terminal import View
    from onnxlint.run.check import lint_models
    from onnxlint.run.words import settings_of

    settings = settings_of(
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
    code = lint_models(models, device or ["generic"], settings, rules or [], output_format.value, output_file, view)
    return 0 if exit_zero and code == 1 else code


def _words(options: Sequence[str] | None) -> tuple[str, ...]:
    """`--select G,OPS002 --select CNV001` as three words."""
    return tuple(word.strip() for option in options or () for word in option.split(",") if word.strip())
