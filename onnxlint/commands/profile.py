"""The options of `onnxlint profile`."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxlint.options import (
    BINDING,
    DEVICE_HELP,
    FILE_MB,
    BatchOption,
    By,
    DimOption,
    FileOption,
    MemoryOption,
    OutputFile,
    PrecisionOption,
    ProfileFormat,
    Quiet,
    ShapeOption,
    Sort,
    TimeoutOption,
    Verbose,
    one_of,
)


def profile(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, or - for stdin.")],
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", help=f"{DEVICE_HELP}; default generic.", metavar="NAME", rich_help_panel=BINDING
        ),
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
    from onnxlint.run.words import settings_of

    settings = settings_of(
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
        from onnxlint.run.structure import write_structures

        return write_structures(model, device, settings, output_format.value, output_file)
    from onnxlint.output.profile_rows import ProfileView
    from onnxlint.run.profile import write_profile

    view = ProfileView(by.value, sort.value, top, depth, output_format.value)
    return write_profile(model, device, settings, view, output_file, on_roofline=roofline)
