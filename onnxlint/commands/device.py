"""The options of `onnxlint device`."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxlint.options import (
    DEVICE_HELP,
    Quiet,
    Verbose,
)


def device(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=f"{DEVICE_HELP}.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the devices, or show one: every figure with its source."""
    from onnxlint.run.device import show_devices

    show_devices(name)
