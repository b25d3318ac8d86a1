"""A stranger's strings: one accessor that reads them, one escape that makes them printable."""

from __future__ import annotations

import unicodedata

MAX_SHOWN_CHARACTERS = 200


def text(raw: str | bytes) -> str:
    """A protobuf string as str; bytes that are no UTF-8 become lone surrogates, so that names stay distinct."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")


def printable(name: str, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """`name` on one line: control, bidi and surrogate characters as \\x.. escapes, the middle of a long one cut."""
    if len(name) > limit:
        head = limit * 2 // 3
        name = f"{name[:head]}…{name[len(name) - (limit - head - 1) :]}"
    if name.isascii() and name.isprintable():
        return name
    return "".join(character if _is_safe(character) else _escaped(character) for character in name)


def _is_safe(character: str) -> bool:
    return unicodedata.category(character) not in _UNSAFE_CATEGORIES


_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
