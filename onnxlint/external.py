"""Where a model says that its weights lie: looked at, never opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import onnx

from onnxlint.text import printable, text

_SHOWN_LOCATIONS = 5


def external_data_notes(proto: onnx.ModelProto, folder: Path) -> Iterator[str]:
    """What must be said of the files that hold the weights; none is opened, only those inside the folder looked for."""
    counts: dict[str, int] = {}
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            location = next((text(e.value) for e in tensor.external_data if text(e.key) == "location"), "")
            counts[location] = counts.get(location, 0) + 1
    for location, tensors in sorted(counts.items())[:_SHOWN_LOCATIONS]:
        shown = repr(printable(location))
        place = _place(location, os.fspath(folder))
        if place == "outside":
            yield f"external data {shown} lies outside the model's folder, or behind a link, and is never opened"
        elif place == "missing":
            yield f"external data {shown} is missing ({tensors} tensors): linted without their values"
    if len(counts) > _SHOWN_LOCATIONS:
        yield f"external data lies in {len(counts)} files, of which {_SHOWN_LOCATIONS} were looked for"


def _place(location: str, folder: str) -> Literal["inside", "outside", "missing"]:
    """Where a location leads, asked of each step by itself: no link is followed, not even to look."""
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or os.path.isabs(location) or ".." in parts or not parts[0] or ":" in parts[0]:
        return "outside"
    try:
        for part in parts:
            folder = os.path.join(folder, part)
            mode = os.lstat(folder).st_mode
            if stat.S_ISLNK(mode):
                return "outside"
    except (OSError, ValueError):
        return "missing"
    return "inside" if stat.S_ISREG(mode) else "missing"
