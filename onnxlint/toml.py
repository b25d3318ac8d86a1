"""A stranger's TOML: read in bounded time and memory, its strings made printable."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from onnxlint.text import printable

MAX_KEY_PARTS = 16
_MOST_CHARACTERS = 1 << 20
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'")
_WORD = re.compile(r"[\w-]*")


def loads(source: bytes) -> dict[str, Any]:
    """The table; raises ValueError (TOMLDecodeError, UnicodeDecodeError among them) or RecursionError.

    Strings keep their line breaks; what a terminal or a log would obey is escaped.
    """
    text = source.decode()
    for number, line in enumerate(text.split("\n"), 1):
        # tomllib takes the square of a key's parts, in time and in memory
        if line.count(".") > MAX_KEY_PARTS and _has_long_key(line):
            raise ValueError(f"a key of more than {MAX_KEY_PARTS} parts (at line {number})")
    table: dict[str, Any] = _printable(tomllib.loads(text))
    return table


def _has_long_key(line: str) -> bool:
    """So many words in a row with nothing but dots between them, quoted strings taken for words."""
    parts = [part.strip(" \t[]{}") for part in _QUOTED.sub("", line).split(".")]
    row = 0
    for part in parts:
        row = row + 1 if _WORD.fullmatch(part) else 0
        if row > MAX_KEY_PARTS:
            return True
    return False


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return "\n".join(printable(line, _MOST_CHARACTERS) for line in value.split("\n"))
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    return value
