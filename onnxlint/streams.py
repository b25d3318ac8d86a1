"""The process's streams: standard ones that are always there, and output files that are never seen half written."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

_STDOUT = ("/dev/stdout", "/dev/fd/1")
_LEAST_COLUMNS = 40


class Refusal(Exception):
    """What was asked can't be done here; `str()` is one line that says why."""


class OutputError(Exception):
    """The output can't be written; `str()` names where and says why."""


def prepare() -> None:
    """Give the process all three standard streams, and let none fail on a character that it can't encode."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # else the next file opened would take its place, and a child's output would land in it
            os.open(os.devnull, os.O_RDWR)
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if size.isdigit() and not size.isascii():  # ² is a digit and no number
            del os.environ[name]
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns[-9:]) < _LEAST_COLUMNS:
        # a report of no columns would be an empty one
        os.environ["COLUMNS"] = str(_LEAST_COLUMNS)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Send out what is still buffered; raises BrokenPipeError or OutputError."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None


def discard() -> None:
    """Let what is still buffered, and all that follows, go nowhere: whoever read us has gone."""
    with contextlib.suppress(OSError, ValueError):
        out = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, out)
        os.close(null)


def write(content: str, path: Path | None) -> None:
    """Write to the file at `path`, or to standard output; raises BrokenPipeError or OutputError."""
    if path is not None and str(path) not in _STDOUT:
        _write_file(content, path)
        return
    try:
        sys.stdout.write(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None
    flush()


@contextlib.contextmanager
def writing(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or what becomes the file at `path` once all is written to it; raises as `write` does."""
    if path is None:
        yield sys.stdout
        return
    written = io.StringIO()
    yield written
    write(written.getvalue(), path)


def check_output(path: Path | None, inputs: Iterable[str]) -> None:
    """Raise OutputError for an output file that is a folder, a link, or one of the models themselves.

    Whoever may put a link at a place where reports are written would choose what file they replace.
    """
    if path is None:
        return
    if path.is_dir():
        raise OutputError(f"{path}: is a folder (--output-file names a file)")
    if path.is_symlink() and not _is_of_the_system(path):
        raise OutputError(f"{path}: is a link (give --output-file the file that it leads to)")
    for model in inputs:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(model, path):
                raise OutputError(f"{path}: is the model itself (give --output-file another name)")


def write_new(content: str, path: Path) -> None:
    """Write a file that is not there yet, whole or not at all; raises OSError, FileExistsError where it is."""
    name = _written_beside(content, path, 0o666 & ~_umask())
    try:
        os.link(name, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte, however many calls it takes; raises OSError."""
    while content:
        content = content[os.write(descriptor, content) :]


def _is_of_the_system(path: Path) -> bool:
    """A name of the system's own, such as /dev/stderr."""
    place = os.path.realpath(path.parent)
    return place == "/dev" or place.startswith("/proc/")


def _write_file(content: str, path: Path) -> None:
    try:
        status = path.stat() if path.exists() else None
        if status is not None and (not stat.S_ISREG(status.st_mode) or _is_of_the_system(path)):
            # /dev/stderr, a pipe: nothing to replace
            with open(_opened_at_once(path), "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # a link that has come to lie there is replaced, not followed
        target = Path(os.path.realpath(path.parent), path.name)
        name = _written_beside(
            content, target, stat.S_IMODE(status.st_mode) if status is not None else 0o666 & ~_umask()
        )
        try:
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: can't be written: {getattr(error, 'strerror', None) or error}") from None


def _opened_at_once(path: Path) -> int:
    """A descriptor that is appended to: a pipe that nobody reads is an error, not a wait without end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    return descriptor


def _written_beside(content: str, target: Path, mode: int) -> str:
    """A new file beside the target, to be moved there: a reader sees the old file or the whole new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return name


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
