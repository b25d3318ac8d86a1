"""MODEL arguments turned into files: a file of any name, a glob, a folder walked for `*.onnx`, or `-`."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from onnxlint.load import STDIN, LoadError
from onnxlint.text import printable
from onnxlint.units import plural
from onnxlint.walk import TooDeep, walk

_MAGIC = frozenset("*?[")
_SUFFIX = ".onnx"
_LINKS_NAMED = 3
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(slots=True)
class Found:
    """The model files named, in order and each once; what names none, with the reason; whether many were asked for.

    `linked`: links to folders that were met on the way and are not followed, but those to what is searched anyway.
    """

    files: list[str] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    many: bool = False
    linked: list[str] = field(default_factory=list)

    @property
    def passed_by(self) -> str | None:
        """One line about the links that are not followed."""
        if not self.linked:
            return None
        named = ", ".join(map(printable, self.linked[:_LINKS_NAMED])) + ", …" * (len(self.linked) > _LINKS_NAMED)
        return f"{plural(len(self.linked), 'linked folder')} not followed: {named} (name it to lint what is in it)"


def discover(arguments: Iterable[str]) -> Found:
    """Expand the MODEL arguments; an existing path wins over a glob of the same spelling."""
    found = Found()
    files: dict[str, None] = {}
    for argument in arguments:
        try:
            models, is_many = _expand(argument, found)
        except LoadError as error:
            found.missing.append((argument, str(error)))
        else:
            found.many |= is_many
            files |= dict.fromkeys(models)
    found.files = list(files)
    found.linked = sorted(set(found.linked))
    found.many |= len(files) + len(found.missing) > 1
    return found


def _expand(argument: str, found: Found) -> tuple[list[str], bool]:
    if argument == STDIN:
        return [argument], False
    if os.path.isdir(argument):
        before = len(found.missing)
        models = _walk(argument, found)
        if not models and len(found.missing) == before:
            raise LoadError(f"is a folder without models (*{_SUFFIX})")
        return models, True
    if not os.path.lexists(argument) and _MAGIC & set(argument):
        models = sorted(path for path in matching(argument, found.linked) if not os.path.isdir(path))
        if not models:
            raise LoadError("matches no file")
        return models, True
    return [argument], False


def matching(pattern: str, linked: list[str]) -> Iterator[str]:
    """What a pattern matches. One with `**` follows no links: two to their own folder are 2^40 ways through it."""
    parts = [part for part in pattern.split("/") if part]
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = next(index for index, part in enumerate(parts) if _MAGIC & set(part))
    place = ("/" if pattern.startswith("/") else "") + "".join(f"{part}/" for part in parts[:at])
    with_hidden = any(part.startswith(".") for part in parts[at:])
    walked, links = [], []
    for folder, folders, names in walk(place or ".", _too_deep):
        folders[:] = [name for name in folders if with_hidden or name[0] != "."]
        below = os.path.relpath(folder, place or ".")
        inside = () if below == "." else tuple(below.split(os.sep))
        walked.append(os.path.join(place, *inside))
        leading = (name for name in folders if _reached((*inside, name), parts[at:]) - {len(parts) - at})
        links += _links(walked[-1], leading)
        yield from (os.path.join(place, *inside, name) for name in names if _fits((*inside, name), parts[at:]))
    linked += _leading_elsewhere(links, walked)


def _too_deep(error: OSError) -> None:
    """What a pattern may not look into, it does not match; but this is no tree that anyone works with."""
    if isinstance(error, TooDeep):
        raise LoadError(f"{printable(str(error.filename), 200)} can't be listed: {error.strerror}")


def _fits(names: Iterable[str], parts: Sequence[str]) -> bool:
    """The names of a path fit the parts of a pattern, of which `**` stands for any number of names."""
    return len(parts) in _reached(names, parts)


def _reached(names: Iterable[str], parts: Sequence[str]) -> set[int]:
    """The parts of the pattern that may come next behind these names."""
    reached = _behind_stars({0}, parts)
    for name in names:
        fitting = {at for at in reached if at < len(parts) and _fits_part(name, parts[at])}
        reached = _behind_stars({at + (parts[at] != "**") for at in fitting}, parts)
    return reached


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


def _walk(folder: str, found: Found) -> list[str]:
    """Every `*.onnx` below the folder, but not in hidden or package folders; what can't be listed is missing."""

    def failed(error: OSError) -> None:
        found.missing.append((error.filename or folder, f"can't be listed: {error.strerror}"))

    models: list[str] = []
    walked, links = [], []
    for place, folders, names in walk(folder, failed):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS)
        walked.append(place)
        links += _links(place, folders)
        # whatever bears the name is handed on, a pipe or a dead link too: to leave it out would pass it as clean
        models += (os.path.join(place, name) for name in names if name.lower().endswith(_SUFFIX))
    found.linked += _leading_elsewhere(links, walked)
    return sorted(models)


def _links(place: str, folders: Iterable[str]) -> list[str]:
    return [path for name in folders if os.path.islink(path := os.path.join(place, name))]


def _leading_elsewhere(links: Sequence[str], walked: Sequence[str]) -> list[str]:
    """The links to folders that were not walked themselves."""
    if not links:
        return []
    known = {os.path.realpath(place or ".") for place in walked}
    return [link for link in links if os.path.realpath(link) not in known]
