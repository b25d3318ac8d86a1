"""The options' types and help, as typer reads them; several commands share most."""

from __future__ import annotations

import math
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated

import typer

FILE_MB = 16_384
EPILOG = """\b
Other commands (onnxlint COMMAND --help):
  onnxlint profile MODEL   what each layer costs, as a table
  onnxlint rule [CODE]     list the rules, or explain one
  onnxlint device [NAME]   list the devices, or show one
  onnxlint calibrate       measure this machine, write a profile of it
  onnxlint measure MODEL   predicted beside measured, kernel by kernel
  onnxlint check MODEL...  this one, also for a model named like a command
\b
Exit code: 0 clean; 1 findings, a broken budget or an incomplete analysis;
  2 usage error or a model that can't be read.
"""
BINDING, FINDINGS, BUDGETS, LIMITS = "Device and shapes", "Rules and findings", "Budgets", "Limits"


class Format(StrEnum):
    """Output formats of the main job."""

    terminal = "terminal"
    json = "json"


class FailOn(StrEnum):
    """The least severity that fails."""

    error = "error"
    warning = "warning"
    info = "info"
    never = "never"


class Precision(StrEnum):
    """Executed precision."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"
    int4 = "int4"


class Sort(StrEnum):
    """Columns that the profile sorts by."""

    order = "order"
    time = "time"
    macs = "macs"
    params = "params"
    bytes = "bytes"


class By(StrEnum):
    """What a row of the profile is."""

    node = "node"
    kernel = "kernel"
    op = "op"
    module = "module"


class ProfileFormat(StrEnum):
    """Output formats of the profile."""

    table = "table"
    json = "json"
    csv = "csv"


class MeasureFormat(StrEnum):
    """Output formats of the measurement."""

    table = "table"
    json = "json"
    plot = "plot"


class Weights(StrEnum):
    """Whether the weights' values are read."""

    auto = "auto"
    never = "never"
    always = "always"


def one_of(choices: type[Enum]) -> str:
    """`a|b|c`."""
    return "|".join(str(choice.value) for choice in choices)


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number")
    return value


DEVICE_HELP = "A device's name or a profile.toml"
DeviceOption = Annotated[
    list[str] | None,
    typer.Option("--device", "-d", help=f"{DEVICE_HELP}; repeatable.", metavar="NAME", rich_help_panel=BINDING),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        help="Executed precision; default the device's own.", metavar=one_of(Precision), rich_help_panel=BINDING
    ),
]
ShapeOption = Annotated[
    list[str] | None,
    typer.Option(help="Bind an input: NAME=1x3x224x224.", metavar="NAME=DIMS", rich_help_panel=BINDING),
]
DimOption = Annotated[
    list[str] | None, typer.Option(help="Bind a symbolic dim.", metavar="NAME=VALUE", rich_help_panel=BINDING)
]
BatchOption = Annotated[
    int | None, typer.Option(help="Samples per pass.", min=1, max=1 << 20, metavar="N", rich_help_panel=BINDING)
]
OutputFile = Annotated[Path | None, typer.Option("--output-file", "-o", help="Write there.", metavar="PATH")]
RulesOption = Annotated[
    list[Path] | None,
    typer.Option(help="Folders of further rule files, which are run.", metavar="DIR", rich_help_panel=FINDINGS),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        help="Seconds that a model may take.", min=0.1, max=86400, metavar="S", callback=_finite, rich_help_panel=LIMITS
    ),
]
MeasureTimeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds that the runs may take; default by size.",
        min=0.1,
        max=86400,
        metavar="S",
        callback=_finite,
        rich_help_panel=LIMITS,
    ),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        help="MiB that native code may take; default by size.",
        min=64,
        max=1 << 20,
        metavar="MB",
        rich_help_panel=LIMITS,
    ),
]
FileOption = Annotated[
    int,
    typer.Option(
        "--max-file-mb",
        help="Largest model file read, in MiB.",
        min=1,
        max=1 << 24,
        metavar="MB",
        rich_help_panel=LIMITS,
    ),
]
WeightsOption = Annotated[
    Weights,
    typer.Option(
        help="Read weights' values for the rules that need them.", metavar=one_of(Weights), rich_help_panel=FINDINGS
    ),
]
ImpactOption = Annotated[
    float,
    typer.Option(
        help="Hide findings below this % of the latency.",
        min=0,
        max=100,
        metavar="PERCENT",
        callback=_finite,
        rich_help_panel=FINDINGS,
    ),
]
LatencyBudget = Annotated[
    str | None, typer.Option(help="Fail above this latency: 10ms.", metavar="TIME", rich_help_panel=BUDGETS)
]
ParamsBudget = Annotated[
    str | None, typer.Option(help="Fail above so many parameters: 5M.", metavar="N", rich_help_panel=BUDGETS)
]
MacsBudget = Annotated[
    str | None, typer.Option(help="Fail above so many multiply-accumulates: 1G.", metavar="N", rich_help_panel=BUDGETS)
]
MemoryBudget = Annotated[
    str | None,
    typer.Option(help="Fail above this for weights and activations: 64MiB.", metavar="SIZE", rich_help_panel=BUDGETS),
]
NewRule = Annotated[str | None, typer.Option("--new", help="Write a rule file to start from.", metavar="FAMILY/SLUG")]
TestRules = Annotated[
    Path | None, typer.Option("--test", help="Run the examples of a rule file, or of a folder's.", metavar="PATH")
]
Words = list[str] | None
Quiet = Annotated[bool, typer.Option("--quiet", "-q", hidden=True)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", hidden=True)]
