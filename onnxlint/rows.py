"""A stored tensor that is too large to be held: its rows, a few at a time, for what needs no more at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Read = Callable[[int, int], "bytes | memoryview"]
SLICED: set[object] = set()
"""The functions that take Rows for an array."""
_BLOCK = 1 << 22
_F = TypeVar("_F", bound=Callable[..., Any])


def takes_rows(function: _F) -> _F:
    """Decorate a function that takes Rows for an array."""
    SLICED.add(function)
    return function


class Rows:
    """A tensor by blocks along its first axis; `read` gives bytes of it by offset and length."""

    def __init__(self, shape: tuple[int, ...], stored: str, read: Read, widened: Callable[[Array], Array]) -> None:
        self.shape, self.size = shape, math.prod(shape)
        self._stored, self._read, self._widened = np.dtype(stored), read, widened

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[Array]:
        """Rows in order, some millions of elements at once."""
        row = math.prod(self.shape[1:])
        height = max(1, _BLOCK // row)
        row_bytes = row * self._stored.itemsize
        for start in range(0, len(self), height):
            count = min(height, len(self) - start)
            data = self._read(start * row_bytes, count * row_bytes)
            yield self._widened(np.frombuffer(data, self._stored).reshape(count, *self.shape[1:]))


def blocks_of(weight: Array | Rows) -> Iterator[Array]:
    """Rows in order: of an array so many that what is made of them stays in the cache."""
    if isinstance(weight, Rows):
        yield from weight.blocks()
        return
    height = max(1, (1 << 18) // max(1, math.prod(weight.shape[1:])))
    for start in range(0, len(weight), height):
        yield weight[start : start + height]


def is_finite(weight: Array | Rows) -> bool:
    """No element is an infinity or none at all."""
    return all(bool(np.isfinite(block).all()) for block in blocks_of(weight))
