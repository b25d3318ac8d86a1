"""The commands as typer reads them."""

from __future__ import annotations

from typing import Any

import typer
from typer.main import get_command

from onnxlint.commands.calibrate import calibrate
from onnxlint.commands.check import Main, check
from onnxlint.commands.device import device
from onnxlint.commands.grouped import Grouped
from onnxlint.commands.measure import measure
from onnxlint.commands.profile import profile
from onnxlint.commands.rule import rule
from onnxlint.options import EPILOG

_SETTINGS = {"help_option_names": ["--help", "-h"], "max_content_width": 100}


def commands() -> dict[str, Any]:
    """Every command by name, as the click inside typer has it."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(cls=Main, epilog=EPILOG, context_settings=_SETTINGS)(check)
    for command in (profile, rule, device, calibrate, measure):
        app.command(cls=Grouped, context_settings=_SETTINGS)(command)
    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return found
