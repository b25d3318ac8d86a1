"""Results so far, in a file beside the output: an interrupted calibration goes on where it stopped.

The file bears a name that anybody can guess, in a folder that may be a stranger's: it is taken only where it is a
regular file of ours, of one name and no link, and its figures only where they can be times.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from onnxlint.calibrate.clock import Paired
from onnxlint.filebytes import read_at
from onnxlint.streams import OutputError, write_all

_MOST_BYTES = 16 << 20
_LONGEST_S = 1e6
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What must be the same for results to be put together."""

    machine: str
    runtime: str
    provider: str
    threads: int
    benchmarks: int


class PartialResults:
    """One line of JSON per benchmark behind a line that says where they were measured; a torn last line is left out."""

    def __init__(self, output: Path, circumstances: Circumstances) -> None:
        self.path = output.with_name(f".{output.name}.partial")
        self.found: dict[str, Paired] = {}
        header = msgspec.json.encode(asdict(circumstances), order="sorted")
        first, *lines = self._content().split(b"\n")
        for line in lines if first == header else ():
            with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError, KeyError):
                record = msgspec.json.decode(line, type=dict[str, str | int | float])
                name = str(record.pop("name"))
                paired = msgspec.convert(record, Paired)
                if is_sane(paired):
                    self.found[name] = paired
        kept = [header, *(self._line(name, paired) for name, paired in self.found.items())]
        try:
            self._file = self._started(b"\n".join(kept) + b"\n")
        except OSError as error:
            raise self._failed(error) from None

    def _content(self) -> bytes:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _NO_LINK)
        except OSError:
            return b""
        try:
            status = os.fstat(descriptor)
            is_ours = status.st_uid == os.geteuid() if hasattr(os, "geteuid") else True
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not is_ours:
                return b""
            return read_at(descriptor, 0, min(status.st_size, _MOST_BYTES))
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def _started(self, content: bytes) -> int:
        """A new file put in the place of whatever bears the name; the descriptor is kept, so nobody can swap it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
        try:
            write_all(descriptor, content)
            os.replace(name, self.path)
        except BaseException:
            os.close(descriptor)
            Path(name).unlink(missing_ok=True)
            raise
        return descriptor

    @staticmethod
    def _line(name: str, paired: Paired) -> bytes:
        return msgspec.json.encode({"name": name, **asdict(paired)})

    def add(self, name: str, paired: Paired) -> None:
        """Keep one result, on disk at once; raises OutputError."""
        self.found[name] = paired
        try:
            write_all(self._file, self._line(name, paired) + b"\n")
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}: can't be written: {error.strerror or error} (run it again: it goes on from here)"
        )

    def discard(self) -> None:
        """The profile is written: nothing is left to go on with."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; it stays where it is."""
        os.close(self._file)


def is_sane(paired: Paired) -> bool:
    """The figures can be those of a measurement."""
    figures = (paired.ratio, paired.standard_error, paired.spread, paired.reference_s)
    return (
        all(math.isfinite(figure) and 0 <= figure < _LONGEST_S for figure in figures)
        and paired.ratio > 0
        and paired.reference_s > 0
        and paired.pairs > 0
    )
