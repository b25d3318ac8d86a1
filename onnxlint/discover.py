"""MODEL arguments turned into files: a file of any name, a glob, a folder walked for `*.onnx`, or `-`."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from onnxlint.load import STDIN, LoadError

_MAGIC = frozenset("*?[")
_SUFFIX = ".onnx"
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(slots=True)
class Found:
    """The model files named, in order and each once; what names none, with the reason; whether many were asked for."""

    files: list[str] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    many: bool = False


def discover(arguments: Iterable[str]) -> Found:
    """Expand the MODEL arguments; an existing path wins over a glob of the same spelling."""
    found = Found()
    files: dict[str, None] = {}
    for argument in arguments:
        try:
            models, is_many = _expand(argument, found.missing)
        except LoadError as error:
            found.missing.append((argument, str(error)))
        else:
            found.many |= is_many
            files |= dict.fromkeys(models)
    found.files = list(files)
    found.many |= len(files) + len(found.missing) > 1
    return found


def _expand(argument: str, missing: list[tuple[str, str]]) -> tuple[list[str], bool]:
    if argument == STDIN:
        return [argument], False
    if os.path.isdir(argument):
        before = len(missing)
        models = _walk(argument, missing)
        if not models and len(missing) == before:
            raise LoadError(f"is a folder without models (*{_SUFFIX})")
        return models, True
    if not os.path.lexists(argument) and _MAGIC & set(argument):
        models = sorted(path for path in matching(argument) if not os.path.isdir(path))
        if not models:
            raise LoadError("matches no file")
        return models, True
    return [argument], False


def matching(pattern: str) -> Iterator[str]:
    """What a pattern matches. One with `**` follows no links: two to their own folder are 2^40 ways through it."""
    parts = [part for part in pattern.split("/") if part]
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = next(index for index, part in enumerate(parts) if _MAGIC & set(part))
    place = ("/" if pattern.startswith("/") else "") + "".join(f"{part}/" for part in parts[:at])
    with_hidden = any(part.startswith(".") for part in parts[at:])
    for folder, folders, names in os.walk(place or "."):
        folders[:] = [name for name in folders if with_hidden or name[0] != "."]
        below = os.path.relpath(folder, place or ".")
        inside = () if below == "." else tuple(below.split(os.sep))
        yield from (os.path.join(place, *inside, name) for name in names if _fits((*inside, name), parts[at:]))


def _fits(names: Iterable[str], parts: Sequence[str]) -> bool:
    """The names of a path fit the parts of a pattern, of which `**` stands for any number of names."""
    reached = _behind_stars({0}, parts)
    for name in names:
        fitting = {at for at in reached if at < len(parts) and _fits_part(name, parts[at])}
        reached = _behind_stars({at + (parts[at] != "**") for at in fitting}, parts)
    return len(parts) in reached


def _behind_stars(reached: set[int], parts: Sequence[str]) -> set[int]:
    for at in sorted(reached):
        while at < len(parts) and parts[at] == "**":
            at += 1
            reached.add(at)
    return reached


def _fits_part(name: str, part: str) -> bool:
    if name[0] == "." and part[0] != ".":
        return False
    return part == "**" or fnmatch.fnmatch(name, part)


def _walk(folder: str, missing: list[tuple[str, str]]) -> list[str]:
    """Every `*.onnx` below the folder, but not in hidden or package folders; what can't be listed is missing."""

    def failed(error: OSError) -> None:
        missing.append((error.filename or folder, f"can't be listed: {error.strerror}"))

    models: list[str] = []
    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS)
        # whatever bears the name is handed on, a pipe or a dead link too: to leave it out would pass it as clean
        models += (os.path.join(place, name) for name in names if name.lower().endswith(_SUFFIX))
    return sorted(models)
