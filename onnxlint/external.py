"""Weights outside of the model file: what a model says of them is checked, and they are opened in one way only.

A lint opens none of them. Whoever needs values calls `place_of` for what the tensor says, and `open_weights`, which
goes down from the model's folder one step at a time, by descriptors: no link is followed, nothing above the folder is
reached, and what was checked is what is read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec
import onnx

from onnxlint.filebytes import read_at
from onnxlint.tensor import dtype_bits
from onnxlint.tensors import all_tensors
from onnxlint.text import printable, text
from onnxlint.wire import LENGTH_KEY, OFFSET_KEY

KEYS = frozenset({"location", "offset", "length", "checksum"})
_OWN_KEYS = frozenset({OFFSET_KEY, LENGTH_KEY})
_SHOWN, _LOOKED_FOR = 5, 1000
_OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_DIRECTORY", 0)


class ExternalDataError(Exception):
    """External data that is not read; `str()` says why. `is_missing` where there is just no such file."""

    def __init__(self, why: str, *, is_missing: bool = False, is_link: bool = False) -> None:
        super().__init__(why)
        self.is_missing, self.is_link = is_missing, is_link


class Place(msgspec.Struct, frozen=True):
    """Where a tensor's bytes lie: `location` relative to the model's folder; `length` None for all that follows."""

    location: str
    offset: int = 0
    length: int | None = None


class Weights:
    """An opened stretch of a weights file; reading it raises ChangedError (an OSError) if it has become shorter."""

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self.descriptor, self.offset, self.length = descriptor, offset, length

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of the stretch, all of it by default."""
        start = min(max(0, start), self.length)
        rest = self.length - start
        return read_at(self.descriptor, self.offset + start, rest if length is None else min(max(0, length), rest))

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)

    def __enter__(self) -> Weights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_external(tensor: onnx.TensorProto) -> bool:
    """The tensor's values lie in another file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def place_of(tensor: onnx.TensorProto) -> Place:
    """What an external tensor says of its bytes; raises ExternalDataError for what no reader should follow."""
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        key = text(entry.key)
        if key in _OWN_KEYS:
            continue
        if key not in KEYS:
            raise ExternalDataError(f"has the unknown key {printable(key, 40)!r}")
        if key in entries:
            raise ExternalDataError(f"has its {key} twice")
        entries[key] = text(entry.value)
    numbers = {key: _number(key, entries[key]) for key in ("offset", "length") if key in entries}
    location = entries.get("location", "")
    _parts(location)
    place = Place(location, numbers.get("offset", 0), numbers.get("length"))
    needed = needed_bytes(tensor)
    if needed is not None and place.length not in (None, needed):
        raise ExternalDataError(f"has {place.length} bytes, the tensor's dims take {needed}")
    return place


def needed_bytes(tensor: onnx.TensorProto) -> int | None:
    """The bytes that a tensor of these dims takes; None where its element type has no fixed size."""
    bits = dtype_bits(tensor.data_type)
    elements = 1
    for dim in tensor.dims:
        elements *= max(0, dim)
    return (elements * bits + 7) // 8 if bits else None


def open_weights(folder: str | Path, location: str, offset: int = 0, length: int | None = None) -> Weights:
    """Open `length` bytes at `offset` of the file at `location` in the model's folder; raises ExternalDataError.

    Only a regular file of one name is opened, without a link on the way, and only a stretch that it holds whole.
    """
    *folders, name = _parts(location)
    try:
        with _step_down(folder, folders) as place:
            descriptor = os.open(name, _OPEN, dir_fd=place)
    except (OSError, ValueError, NotImplementedError) as error:
        raise _why_not(error) from None
    try:
        start, size = _stretch(os.fstat(descriptor), offset, length)
    except BaseException:
        os.close(descriptor)
        raise
    return Weights(descriptor, start, size)


class Said(msgspec.Struct):
    """What must be said of a model's external data: `problems` are such that no careful runtime would load it."""

    notes: list[str] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)
    is_missing: bool = False


def external_data(proto: onnx.ModelProto, folder: Path | None) -> Said:
    """Check what every tensor says of its external data; nothing is opened, files are looked for in `folder` only."""
    files: dict[str, os.stat_result | ExternalDataError | None] = {}
    missing: Counter[str] = Counter()
    links: Counter[str] = Counter()
    wrong: list[str] = []
    for tensor in all_tensors(proto):
        if not is_external(tensor):
            continue
        try:
            place = place_of(tensor)
            if place.location not in files:
                files[place.location] = _looked_for(folder, place.location) if len(files) < _LOOKED_FOR else None
            found = files[place.location]
            if isinstance(found, ExternalDataError):
                raise found
            if found is not None:
                _stretch(found, place.offset, needed_bytes(tensor) if place.length is None else place.length)
        except ExternalDataError as error:
            if error.is_missing or error.is_link:
                (missing if error.is_missing else links)[place.location] += 1
            else:
                wrong.append(f"external data of the tensor {printable(text(tensor.name), 60)!r} {error}")
    said = Said()
    said.notes += _listed(f"external data {_shown(name)} is reached by a link and never opened" for name in links)
    said.notes += _listed(
        f"external data {_shown(name)} is missing ({count} tensors): linted without their values"
        for name, count in sorted(missing.items())
    )
    said.problems += _listed(wrong)
    said.is_missing = bool(missing)
    return said


def _listed(lines: Iterator[str] | list[str]) -> list[str]:
    lines = list(lines)
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"{len(lines) - _SHOWN} more of external data alike"]


def _shown(location: str) -> str:
    return repr(printable(location, 100))


def _looked_for(folder: Path | None, location: str) -> os.stat_result | ExternalDataError | None:
    if folder is None:
        return None
    *folders, name = _parts(location)
    try:
        with _step_down(folder, folders) as place:
            status = os.stat(name, dir_fd=place, follow_symlinks=False)
        _stretch(status, 0, 0)
    except ExternalDataError as error:
        return error
    except (OSError, ValueError, NotImplementedError) as error:
        return _why_not(error)
    return status


def _parts(location: str) -> list[str]:
    parts = [part for part in location.replace("\\", "/").split("/") if part != "."]
    if not location or "\0" in location or not all(parts) or ".." in parts or not parts or ":" in parts[0]:
        raise ExternalDataError(f"lies at {_shown(location)}, which is no path inside the model's folder")
    return parts


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ExternalDataError(f"has the {key} {printable(value, 40)!r}")
    return int(value)


def _stretch(status: os.stat_result, offset: int, length: int | None) -> tuple[int, int]:
    """Offset and length within the file; raises ExternalDataError."""
    if stat.S_ISLNK(status.st_mode):
        raise ExternalDataError("is a link", is_link=True)
    if not stat.S_ISREG(status.st_mode):
        raise ExternalDataError("lies in no regular file")
    if status.st_nlink != 1:
        raise ExternalDataError("lies in a file of several names (hard links)", is_link=True)
    if offset < 0 or (length is not None and length < 0):
        raise ExternalDataError("has a negative offset or length")
    if offset + (length or 0) > status.st_size:
        raise ExternalDataError(f"ends at {offset + (length or 0)}, behind its file of {status.st_size} bytes")
    return offset, status.st_size - offset if length is None else length


@contextlib.contextmanager
def _step_down(folder: str | Path, folders: list[str]) -> Iterator[int]:
    """A descriptor of the folder that lies so deep below the model's, reached without following a link."""
    place = os.open(os.fspath(folder) or ".", _STEP)
    try:
        for name in folders:
            below = os.open(name, _STEP | getattr(os, "O_NOFOLLOW", 0), dir_fd=place)
            os.close(place)
            place = below
        yield place
    finally:
        os.close(place)


def _why_not(error: Exception) -> ExternalDataError:
    if isinstance(error, FileNotFoundError):
        return ExternalDataError("is missing", is_missing=True)
    if isinstance(error, NotImplementedError):
        return ExternalDataError("can't be opened safely on this system")
    # ELOOP for a file that is a link, ENOTDIR for a folder that is one
    if isinstance(error, NotADirectoryError) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
        return ExternalDataError("is a link, or behind one", is_link=True)
    return ExternalDataError(f"can't be opened: {getattr(error, 'strerror', None) or 'not a path'}")
