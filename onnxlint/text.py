"""A stranger's strings: one accessor that reads them, one escape that makes them printable."""

from __future__ import annotations

import re
import unicodedata

MAX_SHOWN_CHARACTERS = 200
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# what the log readers of GitHub (::error::), Azure (##vso[…]) and TeamCity (##teamcity[…]) take for a command
LOG_COMMAND = re.compile(
    r"::(?=(?:debug|notice|warning|error|group|endgroup|echo|(?:add|remove|set|save|stop)-[a-z]+)[^\n]*::)"
    r"|##(?=[a-z]*\[)",
    re.IGNORECASE,
)


def text(raw: str | bytes) -> str:
    """A protobuf string as str; bytes that are no UTF-8 become lone surrogates, so that names stay distinct."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")


def printable(name: str, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """`name` on one line: control, bidi and surrogate characters as \\x.. escapes, the middle of a long one cut.

    What a CI system would take for a command to it is broken by an escape too.
    """
    if len(name) > limit:
        head = limit * 2 // 3
        name = f"{name[:head]}…{name[len(name) - (limit - head - 1) :]}"
    if not (name.isascii() and name.isprintable()):
        name = "".join(character if _is_safe(character) else _escaped(character) for character in name)
    if "::" in name or "##" in name:
        name = LOG_COMMAND.sub(lambda match: f"\\x{ord(match[0][0]):02x}{match[0][1]}", name)
    return name


def shortened(name: str, limit: int) -> str:
    """`name` printable; of a path that is longer than `limit`, the first part and as many of the last as fit.

    What tells the nodes of one network apart stands near the end of their paths.
    """
    parts = name.split("/", 2) if name.startswith("/") else name.split("/", 1)
    if len(name) <= limit or len(parts) < 2:
        return printable(name, limit)
    rest = name[-limit:]
    for head in (name[: len(name) - len(parts[-1])] + "…", "…"):
        start = rest.find("/", max(0, len(rest) - (limit - len(head))))
        if start >= 0:
            return printable(head + rest[start:], limit)
    return printable(name, limit)


def _is_safe(character: str) -> bool:
    return unicodedata.category(character) not in _UNSAFE_CATEGORIES


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
