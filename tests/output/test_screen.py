"""Lists and tables on screens of several widths."""

from __future__ import annotations

import io

import pytest
from modelfiles import run
from rich.console import Console

from onnxlint.output.screen import listing, screen

TITLES = ("code", "name", "what it finds")
ROWS = [
    ("A1", "short", "A sentence of some length that a narrow screen has no room for beside the others."),
    ("B", "x", "Y."),
]


def shown(width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    console.print(listing(TITLES, ROWS, width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_sentences_stand_below_on_a_narrow_screen() -> None:
    assert shown(40)[:3] == ["code  name", "A1    short", "    A sentence of some length that a"]
    assert max(map(len, shown(40))) <= 40


def test_sentences_stand_beside_on_a_wide_screen() -> None:
    assert shown(120)[:2] == ["code  name   what it finds", f"A1    short  {ROWS[0][2]}"]


def test_no_line_ends_with_blanks_and_nothing_is_written_of_what_fails() -> None:
    stream = io.StringIO()
    with screen(stream) as console:
        console.print("a   ")
        console.print("  b ", end="")
    assert stream.getvalue() == "a\n  b"

    def failing() -> None:
        with screen(stream) as console:
            console.print("c")
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        failing()
    assert "c" not in stream.getvalue()


@pytest.mark.parametrize("words", [("rule",), ("device",), ("device", "t4"), ("rule", "OPS002")])
@pytest.mark.parametrize("columns", [80, 130])
def test_pages_fit_the_screen(words: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run(*words).out.splitlines()
    assert not [line for line in lines if line != line.rstrip()]
    if words != ("rule", "OPS002"):  # what is piped of a page is its text as it is
        assert max(map(len, lines)) <= columns


def test_a_device_is_told_in_words_and_plain_numbers() -> None:
    page = run("device", "h100").out
    assert "float models: stay float" in page
    assert "e+0" not in page
    assert "float models: quantized by the toolchain" in run("device", "hi3519").out
