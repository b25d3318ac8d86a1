"""JSON version 1: the Report, as it is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from onnxlint.report import Report


def to_json(reports: Sequence[Report], *, as_list: bool) -> str:
    """One report, or `{"reports": [...]}` for several pairs of model and device or a folder."""
    content = {"schema_version": 1, "reports": list(reports)} if as_list else reports[0]
    return _indented(msgspec.json.encode(content, enc_hook=_plain))


def _indented(encoded: bytes) -> str:
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _plain(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no place in JSON")
