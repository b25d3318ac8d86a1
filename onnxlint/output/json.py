"""JSON version 1: the Report, as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from onnxlint.report import Report
from onnxlint.text import LOG_COMMAND

# control and direction characters that JSON allows as they are, but a terminal obeys
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def to_json(reports: Sequence[Report], *, as_list: bool) -> str:
    """One report, or `{"reports": [...]}` for several pairs of model and device or a folder."""
    content = {"schema_version": 1, "reports": list(reports)} if as_list else reports[0]
    try:
        encoded = msgspec.json.encode(content)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_unicode(msgspec.to_builtins(content)))
    return harmless(msgspec.json.format(encoded, indent=2).decode() + "\n")


def harmless(text: str) -> str:
    """The same JSON with what a terminal or a log reader obeys spelled as escapes."""
    if not text.isascii() or "\x7f" in text:
        text = _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    if "::" in text or "##" in text:
        text = LOG_COMMAND.sub(lambda match: f"{match[0][0]}\\u{ord(match[0][1]):04x}", text)
    return text


def _unicode(value: Any) -> Any:
    """The same with the bytes of names that are no UTF-8 spelled as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_unicode(key): _unicode(inner) for key, inner in value.items()}
    return [_unicode(inner) for inner in value] if isinstance(value, list | tuple) else value
