"""Models and devices as the commands read them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from onnxlint.describe import ReadModel
from onnxlint.device import Device, load_device
from onnxlint.engine import read_model
from onnxlint.load import STDIN, LoadedModel, LoadError, load, load_stream
from onnxlint.settings import Settings


def devices_of(names: Sequence[str], chosen: Settings) -> list[Device]:
    """The devices, each once; raises DeviceError for a precision that one lacks."""
    profiles = {profile.name: profile for profile in map(load_device, names)}
    if chosen.precision is not None:
        for profile in profiles.values():
            profile.peak_ops_per_s(chosen.precision)
    return list(profiles.values())


def read(path: str, chosen: Settings) -> tuple[LoadedModel, ReadModel]:
    """The file at `path`, or standard input for `-`, and its graph; raises LoadError and BindingError."""
    if path == STDIN and sys.stdin is None:
        raise LoadError("standard input is closed")
    loaded = load_stream(sys.stdin.buffer, chosen.max_file_mb) if path == STDIN else load(path, chosen.max_file_mb)
    return loaded, read_model(loaded.proto, chosen, path, loaded.notes, loaded.problems, loaded)
