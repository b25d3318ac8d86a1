"""A plane of characters with logarithmic axes, for plots in the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

_DECADE_NAMES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
LEFT = 8
"""Columns at the left of the plane: the names of its rows and the axis."""


class Plane:
    """`columns` × `rows` characters over x and y from low to high; what lies outside is put on the edge."""

    def __init__(self, columns: int, rows: int, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.columns, self.rows = columns, rows
        self.x, self.y = _logs(x), _logs(y)
        self._marks = [[" "] * columns for _ in range(rows)]

    def mark(self, x: float, y: float, sign: str) -> None:
        """Put one character at a point; both coordinates are above 0."""
        self._marks[self.row(y)][self.column(x)] = sign

    def write(self, row: int, column: int, text: str) -> None:
        """Put a text there, further to the left where it would not fit."""
        column = max(0, min(column, self.columns - len(text)))
        for offset, sign in enumerate(text[: self.columns]):
            self._marks[row][column + offset] = sign

    def at(self, x: float, y: float) -> str:
        """The character at a point."""
        return self.cell(self.row(y), self.column(x))

    def cell(self, row: int, column: int) -> str:
        """The character in a cell, rows counted from the top."""
        return self._marks[row][column]

    def column(self, x: float) -> int:
        """The column of a coordinate."""
        return _place(x, self.x, self.columns)

    def row(self, y: float) -> int:
        """The row of a coordinate, from the top."""
        return self.rows - 1 - _place(y, self.y, self.rows)

    def curve(self, of: Callable[[float], float], sign: str) -> None:
        """Draw y as a function of x, one character a column, where it lies inside."""
        low, high = self.x
        for column in range(self.columns):
            x = 10 ** (low + (high - low) * (column + 0.5) / self.columns)
            y = of(x)
            if y > 0 and self.y[0] <= math.log10(y) <= self.y[1]:
                self.mark(x, y, sign)

    def lines(self, x_title: str, y_title: str, name: Callable[[float], str] | None = None) -> Iterator[str]:
        """The plane with its axes; `name` gives a power of ten its name there."""
        name = name or decade
        yield y_title
        names = {self.row(10.0**e): name(10.0**e) for e in _decades(self.y)}
        for index, marks in enumerate(self._marks):
            yield f"{names.get(index, ''):>{LEFT - 2}} {'┤' if index in names else '│'}{''.join(marks)}".rstrip()
        ticks = {self.column(10.0**e): name(10.0**e) for e in _decades(self.x)}
        yield " " * (LEFT - 1) + "└" + "".join("┴" if column in ticks else "─" for column in range(self.columns))
        labels = [" "] * (self.columns + LEFT)
        for column, tick in ticks.items():
            start = min(column, self.columns - len(tick))
            if all(sign == " " for sign in labels[max(0, start - 1) : start + len(tick)]):
                labels[start : start + len(tick)] = tick
        yield (" " * LEFT + "".join(labels)).rstrip()
        yield " " * LEFT + x_title


def _logs(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = math.log10(ends[0]), math.log10(ends[1])
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _place(value: float, ends: tuple[float, float], cells: int) -> int:
    low, high = ends
    return min(cells - 1, max(0, int((math.log10(value) - low) / (high - low) * cells)))


def _decades(ends: tuple[float, float]) -> range:
    return range(math.ceil(ends[0]), math.floor(ends[1]) + 1)


def decade(value: float) -> str:
    """`10k`: the name of a power of ten."""
    exponent = round(math.log10(value))
    thousands = 3 * (exponent // 3)
    return f"{10 ** (exponent - thousands)}{_DECADE_NAMES.get(thousands, f'e{thousands}')}"
