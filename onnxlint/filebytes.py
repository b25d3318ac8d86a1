"""A file opened without waiting and read like bytes: unlike a memory map, it survives that another truncates it."""

from __future__ import annotations

import os
from typing import overload

_BLOCK = 1 << 16
_SMALL = 1 << 22


class ChangedError(OSError):
    """The file has become shorter since its size was asked."""

    def __init__(self) -> None:
        super().__init__(0, "it was changed while it was read")


def open_regular(path: str) -> int:
    """A descriptor of the file, opened without waiting for a writer where it is a pipe; raises OSError."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when another file takes this one's place or its content is rewritten."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class FileBytes:
    """The first `size` bytes of a descriptor by index and slice; one block is kept, of a small file all of it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size = descriptor, size
        self._start, self._block = 0, b""
        if size <= _SMALL:
            self._block = self._read(0, size)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes: ...
    def __getitem__(self, key: int | slice, /) -> int | bytes:
        if isinstance(key, slice):
            start, end, _ = key.indices(self._size)
            return self._read(start, max(0, end - start))
        at = key - self._start
        if not 0 <= at < len(self._block):
            if not 0 <= key < self._size:
                raise IndexError(key)
            self._start = key
            self._block = self._read(key, min(_BLOCK, self._size - key))
            at = 0
        return self._block[at]

    def _read(self, start: int, length: int) -> bytes:
        return read_at(self._descriptor, start, length)


def read_at(descriptor: int, start: int, length: int) -> bytes:
    """Exactly so many bytes of a file; raises ChangedError where it ends before."""
    pieces: list[bytes] = []
    while length > 0:
        piece = os.pread(descriptor, min(length, 1 << 30), start)
        if not piece:
            raise ChangedError
        pieces.append(piece)
        start += len(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
