"""The library's front door: `lint` a file, `lint_model` a ModelProto."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from onnxlint.binding import BindingError
from onnxlint.device import DeviceError, load_device
from onnxlint.engine import lint_graph, read_model, unreadable
from onnxlint.load import LoadError, load
from onnxlint.registry import RuleError, installed_rules, select
from onnxlint.report import Report
from onnxlint.rule import LoadedRule
from onnxlint.settings import Settings

__all__ = ["BindingError", "DeviceError", "LoadError", "Report", "RuleError", "Settings", "lint", "lint_model"]


def lint(path: str | Path, device: str = "generic", settings: Settings | None = None) -> Report:
    """Lint the model at `path` on a device (a profile's name or a TOML file).

    A model that can't be read gives a Report with `error` set; raises DeviceError, RuleError and BindingError for
    what was asked wrongly.
    """
    settings = settings or Settings()
    rules = _rules(settings)
    profile = load_device(device)
    try:
        loaded = load(path, settings.max_file_mb)
        model = read_model(loaded.proto, settings, str(path), loaded.notes, loaded.problems, loaded)
    except LoadError as error:
        return unreadable(str(path), str(error))
    try:
        return lint_graph(model, profile, rules, settings)
    finally:
        model.weights.close()


def lint_model(proto: onnx.ModelProto, device: str = "generic", settings: Settings | None = None) -> Report:
    """Lint a ModelProto in memory; raises LoadError, DeviceError, RuleError and BindingError."""
    settings = settings or Settings()
    return lint_graph(read_model(proto, settings), load_device(device), _rules(settings), settings)


def _rules(settings: Settings) -> Sequence[LoadedRule]:
    return select(installed_rules(), settings.select, settings.extend_select, settings.ignore)
