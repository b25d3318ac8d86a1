"""The options of `onnxlint calibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxlint.options import (
    OutputFile,
    Quiet,
    Verbose,
)


def calibrate(
    provider: Annotated[str, typer.Option(help="ONNX Runtime's execution provider.", metavar="NAME")] = "CPU",
    threads: Annotated[int, typer.Option(help="Threads within an operator.", min=1, max=1024, metavar="N")] = 1,
    name: Annotated[str, typer.Option(help="The profile's name.", metavar="NAME")] = "mybox",
    output_file: OutputFile = None,
    budget: Annotated[
        str, typer.Option(help="Time for measuring, without what is built and fitted: 180s, 5m.", metavar="TIME")
    ] = "180s",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Measure this machine by micro-benchmarks and write what it attains as a profile (NAME.toml)."""
    from onnxlint.calibrate import command

    return command.run(provider, threads, name, output_file, command.seconds_of(budget), force, quiet)
