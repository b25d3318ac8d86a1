"""The options of `onnxlint measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxlint.options import (
    BINDING,
    DEVICE_HELP,
    FILE_MB,
    BatchOption,
    DimOption,
    FileOption,
    MeasureFormat,
    MeasureTimeout,
    MemoryOption,
    OutputFile,
    Quiet,
    ShapeOption,
    Verbose,
    one_of,
)


def measure(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file.")],
    device: Annotated[
        str, typer.Option("--device", "-d", help=f"{DEVICE_HELP}.", metavar="NAME", rich_help_panel=BINDING)
    ],
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
    timeout: MeasureTimeout = None,
    max_memory_mb: MemoryOption = None,
    max_file_mb: FileOption = FILE_MB,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Run a model on this machine and print what a profile predicts beside what it takes, kernel by kernel."""
    from onnxlint.measure import command
    from onnxlint.run.words import settings_of

    settings = settings_of(
        shapes=shape or (),
        dims=dim or (),
        batch=batch,
        timeout_s=timeout or command.READING_S,
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
        timeout_s=timeout,
        top=top,
        output_format=output_format.value,
        output_file=output_file,
    )
