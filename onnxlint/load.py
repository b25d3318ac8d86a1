"""Reads a model file: path → ModelProto without its weights.

Nothing but the graph's own bytes is read, no external data is opened, and every way a file can be wrong is a
LoadError with one line that says what to do.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from onnxlint.text import printable, text
from onnxlint.wire import WireError, strip_tensors

DEFAULT_MAX_FILE_MB = 16_384
_LFS_POINTER = b"version https://git-lfs"


class LoadError(Exception):
    """A model that can't be read; `str()` says what is wrong and, in parentheses, what to do."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model file as read: `proto` has no tensor bodies above 4 KiB (they say where they lie, see wire)."""

    path: str
    size_bytes: int
    proto: onnx.ModelProto
    notes: tuple[str, ...]


def load(path: str | Path, max_file_mb: int = DEFAULT_MAX_FILE_MB) -> LoadedModel:
    """Read the ONNX model at `path`, a regular file of at most `max_file_mb` MiB; raises LoadError."""
    path = os.fspath(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        raise LoadError(_why_not_opened(path, error)) from None
    try:
        size = _checked_size(descriptor, max_file_mb)
        # pread on an open descriptor: a file replaced meanwhile is still the one that was checked.
        with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
            proto = _parse(data)
    except OSError as error:
        raise LoadError(f"can't be read: {error.strerror or error}") from None
    finally:
        os.close(descriptor)
    return LoadedModel(path, size, proto, tuple(_external_data_notes(proto, Path(path).parent)))


def _why_not_opened(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be opened: {error.strerror}"
    return "can't be opened: not a path"


def _checked_size(descriptor: int, max_file_mb: int) -> int:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise LoadError("is a folder (name a model in it)")
    if not stat.S_ISREG(status.st_mode):
        raise LoadError("is no regular file")
    if status.st_size == 0:
        raise LoadError("is empty (0 bytes)")
    if status.st_size > max_file_mb * 2**20:
        raise LoadError(f"has {status.st_size >> 20} MiB (raise --max-file-mb, now {max_file_mb})")
    return status.st_size


def _parse(data: memoryview) -> onnx.ModelProto:
    if bytes(data[: len(_LFS_POINTER)]) == _LFS_POINTER:
        raise LoadError("is a Git LFS pointer, not the model itself (run: git lfs pull)")
    try:
        proto = onnx.ModelProto.FromString(strip_tensors(data))
    except (WireError, DecodeError):
        raise LoadError(_not_a_model(data)) from None
    if not proto.HasField("graph") or not (proto.ir_version or proto.opset_import):
        raise LoadError("is not an ONNX model (it holds no graph)")
    if not proto.graph.node and not proto.graph.output:
        raise LoadError("holds an empty graph (no nodes, no outputs)")
    return proto


def _not_a_model(data: memoryview) -> str:
    head = bytes(data[:512])
    # A ModelProto begins with its ir_version (field 1, a small number) in practice: the rest of it was lost.
    if head[:1] == b"\x08" and len(head) > 1 and head[1] < 0x40:
        return "is truncated or damaged: it begins like an ONNX model but can't be parsed (fetch it again)"
    if all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head):
        return "is a text file, not an ONNX model"
    return "is not an ONNX model (its bytes are no ModelProto)"


def _external_data_notes(proto: onnx.ModelProto, folder: Path) -> Iterator[str]:
    counts: dict[str, int] = {}
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            for entry in tensor.external_data:
                if text(entry.key) == "location":
                    location = text(entry.value)
                    counts[location] = counts.get(location, 0) + 1
    for location, tensors in sorted(counts.items()):
        if not _is_inside(location):
            yield f"external data {printable(location)!r} lies outside the model's folder and is never opened"
        elif not os.path.lexists(folder / location):
            yield f"external data {printable(location)!r} is missing ({tensors} tensors): linted without their values"


def _is_inside(location: str) -> bool:
    parts = location.replace("\\", "/").split("/")
    return (
        bool(location) and "\0" not in location and not os.path.isabs(location) and ".." not in parts and parts[0] != ""
    )
