"""MODEL arguments turned into files: a file of any name, a glob, or a folder walked for `*.onnx`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from onnxlint.load import LoadError

_MAGIC = frozenset("*?[")


def discover(arguments: Iterable[str]) -> tuple[list[str], list[tuple[str, str]], bool]:
    """The model files named, in order and each once; what names none, with the reason; whether many were asked for.

    An existing path wins over a glob of the same spelling.
    """
    files: dict[str, None] = {}
    missing: list[tuple[str, str]] = []
    many = False
    for argument in arguments:
        try:
            found, is_many = _expand(argument)
            many = many or is_many
            files |= dict.fromkeys(found)
        except LoadError as error:
            missing.append((argument, str(error)))
    return list(files), missing, many or len(files) + len(missing) > 1


def _expand(argument: str) -> tuple[list[str], bool]:
    try:
        is_folder, exists = os.path.isdir(argument), os.path.lexists(argument)
    except ValueError:
        raise LoadError("is no path") from None
    if is_folder:
        models = sorted(str(path) for path in Path(argument).rglob("*.onnx") if path.is_file())
        if not models:
            raise LoadError("is a folder without models (*.onnx)")
        return models, True
    if not exists and _MAGIC & set(argument):
        models = sorted(path for path in glob.glob(argument, recursive=True) if not os.path.isdir(path))
        if not models:
            raise LoadError("matches no file")
        return models, True
    return [argument], False
