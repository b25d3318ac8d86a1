"""The folders below one, each with what it holds: as `os.walk`, but neither recursive nor without end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

MOST_FOLDERS_DEEP = 512


class TooDeep(OSError):
    """Folders within folders that no work has."""


def walk(top: str, failed: Callable[[OSError], object]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder with the names of its folders, which the caller may take some from, and of its files.

    Links are not followed; `failed` is given what can't be listed, and TooDeep with the folder.
    """
    pending = [(top, 0)]
    while pending:
        place, depth = pending.pop()
        folders: list[str] = []
        names: list[str] = []
        try:
            if depth > MOST_FOLDERS_DEEP:
                raise TooDeep(0, f"it lies more than {MOST_FOLDERS_DEEP} folders deep", place)
            with os.scandir(place) as entries:
                for entry in entries:
                    (folders if _is_folder(entry) else names).append(entry.name)
        except OSError as error:
            failed(error)
            continue
        yield place, folders, names
        below = (os.path.join(place, name) for name in reversed(folders))
        pending += [(path, depth + 1) for path in below if not os.path.islink(path)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
