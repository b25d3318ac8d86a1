"""What is printed of tables and lists: without trailing blanks, and in lines that a narrow screen holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_LEAST_TEXT = 36
"""Columns that a sentence needs to stand beside others."""


@contextmanager
def screen(stream: TextIO, into: TextIO | None = None) -> Iterator[Console]:
    """A console as wide and colourful as `stream`, whose lines go there, or `into` another, once all are printed.

    They are without the blanks that tables are padded with.
    """
    from rich.console import Console

    console = Console(file=stream)
    with console.capture() as captured:
        yield console
    (stream if into is None else into).write("\n".join(line.rstrip() for line in captured.get().split("\n")))


def listing(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> RenderableType:
    """A row a line; where the last column's sentences have little room there, they stand below, indented."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in titles[:-1]:
        table.add_column(title, no_wrap=True)
    widths = [max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True)]
    if width - sum(widths[:-1]) >= min(_LEAST_TEXT, widths[-1]):
        table.add_column(titles[-1])
        for row in rows:
            table.add_row(*map(Text, row))
        return table
    return _below(titles, rows, widths[:-1], width)


def _below(titles: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], width: int) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = []
    for number, row in enumerate((titles, *rows)):
        line = "".join(cell.ljust(room) for cell, room in zip(row, widths, strict=False)).rstrip()
        parts.append(Text(line, style="bold" if number == 0 else "", overflow="ellipsis", no_wrap=True))
        if number:
            parts.append(Padding(Text(row[-1], style="dim"), (0, 0, 0, 4)))
    return Group(*parts)
