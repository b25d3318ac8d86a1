"""Reads a model file: path → ModelProto without its weights.

Nothing but the graph's own bytes is read, no external data is opened, and every way a file can be wrong is a
LoadError with one line that says what to do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import onnx
from google.protobuf.message import DecodeError

from onnxlint.external import external_data
from onnxlint.filebytes import ChangedError, FileBytes, identity_of, open_regular
from onnxlint.isolated import ChildDied, Limits, call
from onnxlint.tensor import dtype_bits
from onnxlint.text import printable, text
from onnxlint.wire import LENGTH_KEY, MAX_CHILDREN, Data, TooMany, WireError, strip_tensors

NO_SUCH_FILE = "no such file"
DEFAULT_MAX_FILE_MB = 16_384
MAX_GRAPH_MB = 256
MAX_NODES = 1_000_000
MAX_OPSET = 100_000
MAX_ELEMENTS = 1 << 48
STDIN = "-"
_LFS_POINTER = b"version https://git-lfs"
_FIRST_IR_WITH_OPSETS = 3
_CHECKED_BYTES = 8 << 20
_TRUSTED_MB = 64
"""MiB of a stream that are read before its beginning is looked at."""
MAX_STREAM_MB = 2_048
"""A stream is held in memory; no runtime reads a larger model in one piece, which is all that a stream may be."""
_RAISE, _LARGER = "raise --max-file-mb", "no model in one piece may have more: name the file"


class LoadError(Exception):
    """A model that can't be read; `str()` says what is wrong and, in parentheses, what to do."""


class LoadedModel(msgspec.Struct, frozen=True):
    """A model file as read: `proto` has no tensor bodies above 4 KiB (they say where they lie, see wire).

    `identity` tells the file that was read from one put in its place later; None for a model from standard input,
    of which `sha256` is known at once and `data` is all of it. `problems` are of its external data, of which
    `lacks_external` says that some is not there.
    """

    path: str
    size_bytes: int
    proto: onnx.ModelProto
    notes: tuple[str, ...]
    identity: tuple[int, ...] | None = None
    sha256: str | None = None
    problems: tuple[str, ...] = ()
    data: bytes | bytearray | None = None
    lacks_external: bool = False


def load(path: str | Path, max_file_mb: int = DEFAULT_MAX_FILE_MB) -> LoadedModel:
    """Read the ONNX model at `path`, a regular file of at most `max_file_mb` MiB; raises LoadError."""
    path = os.fspath(path)
    try:
        descriptor = open_regular(path)
    except (OSError, ValueError) as error:
        raise LoadError(_why_not_opened(error)) from None
    try:
        status = os.fstat(descriptor)
        _check_status(status, max_file_mb)
        # a file put in its place meanwhile changes nothing: what is read is the one that was checked
        proto = _parse(FileBytes(descriptor, status.st_size))
        if identity_of(os.fstat(descriptor)) != identity_of(status):
            raise ChangedError
    except OSError as error:
        raise LoadError(f"can't be read: {error.strerror or error}") from None
    finally:
        os.close(descriptor)
    said = external_data(proto, Path(path).parent)
    notes = (*_opset_notes(proto), *said.notes)
    return LoadedModel(
        path,
        status.st_size,
        proto,
        notes,
        identity_of(status),
        problems=tuple(said.problems),
        lacks_external=said.is_missing,
    )


def load_stream(stream: BinaryIO, max_file_mb: int = DEFAULT_MAX_FILE_MB) -> LoadedModel:
    """Read a whole ONNX model from a stream of at most `max_file_mb` and MAX_STREAM_MB MiB; raises LoadError."""
    import hashlib

    data, digest, trusted = bytearray(), hashlib.sha256(), False
    most_mb = min(max_file_mb, MAX_STREAM_MB)
    try:
        while piece := stream.read(min(1 << 20, (most_mb << 20) - len(data) + 1)):
            data += piece
            digest.update(piece)
            if not trusted and len(data) >= _TRUSTED_MB << 20:  # it may have no end
                head = bytes(data[:512])
                if not _may_begin(head):
                    raise LoadError(_not_a_model(head))
                trusted = True
            if len(data) > most_mb << 20:
                raise LoadError(f"has more than {most_mb} MiB ({_LARGER if most_mb < max_file_mb else _RAISE})")
    except OSError as error:
        raise LoadError(f"can't be read: {error.strerror or error}") from None
    except MemoryError:
        raise LoadError("is larger than the memory here (lower --max-file-mb)") from None
    if not data:
        raise LoadError("is empty (0 bytes)")
    proto = _parse(memoryview(data))
    said = external_data(proto, None)
    notes = (*_opset_notes(proto), *said.notes)
    return LoadedModel(
        STDIN, len(data), proto, notes, sha256=digest.hexdigest(), problems=tuple(said.problems), data=data
    )


def _why_not_opened(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return NO_SUCH_FILE
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be opened: {error.strerror}"
    return "can't be opened: not a path"


def _check_status(status: os.stat_result, max_file_mb: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise LoadError("is a folder (name a model in it)")
    if not stat.S_ISREG(status.st_mode):
        raise LoadError("is no regular file")
    if status.st_size == 0:
        raise LoadError("is empty (0 bytes)")
    if status.st_size > max_file_mb * 2**20:
        raise LoadError(f"has {status.st_size >> 20} MiB (raise --max-file-mb, now {max_file_mb})")


def _parse(data: Data) -> onnx.ModelProto:
    if bytes(data[: len(_LFS_POINTER)]) == _LFS_POINTER:
        raise LoadError("is a Git LFS pointer, not the model itself (run: git lfs pull)")
    try:
        stripped = strip_tensors(data)
    except TooMany:
        raise LoadError(f"holds more than {MAX_CHILDREN:,} messages (at most {MAX_NODES:,} nodes are read)") from None
    except WireError:
        raise LoadError(_not_a_model(data)) from None
    if len(stripped) > MAX_GRAPH_MB * 2**20:
        raise LoadError(f"has {len(stripped) >> 20} MiB besides its weights (at most {MAX_GRAPH_MB} are read)")
    if len(stripped) > _CHECKED_BYTES:
        _check_parse(stripped)
    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(stripped)
    except DecodeError:
        raise LoadError(_not_a_model(data)) from None
    _check_model(proto)
    return proto


def _check_parse(stripped: bytes) -> None:
    """Parse in a child with bounds: a few bytes can say a message that takes a hundred in memory."""

    def parse() -> bytes:
        onnx.ModelProto.FromString(stripped)
        return b""

    try:
        call(parse, Limits(timeout_s=60, memory_mb=min(640, 128 + 8 * (len(stripped) >> 20)), processor_s=10))
    except ChildDied:  # protobuf says the same of too little memory as of damage
        raise LoadError(
            "is damaged, or so made that parsing it takes too much memory (fetch or export it again)"
        ) from None


def _check_model(proto: onnx.ModelProto) -> None:
    if not proto.HasField("graph") or not (proto.ir_version or proto.opset_import):
        raise LoadError("is not an ONNX model (it holds no graph)")
    if not proto.graph.node and not proto.graph.output:
        raise LoadError("holds an empty graph (no nodes, no outputs)")
    if proto.ir_version >= _FIRST_IR_WITH_OPSETS and not proto.opset_import:
        raise LoadError("is truncated or damaged: it names no operator set (fetch or export it again)")
    for imports in (proto.opset_import, *(function.opset_import for function in proto.functions)):
        for entry in imports:
            if not 1 <= entry.version <= MAX_OPSET:
                domain = printable(text(entry.domain)) or "ai.onnx"
                raise LoadError(f"is no valid model: it asks for version {entry.version} of {domain}'s operators")
    for tensor in proto.graph.initializer:
        _check_tensor(tensor)


def _check_tensor(tensor: onnx.TensorProto) -> None:
    """Refuse a tensor that can't be: it would be counted, and priced, as what it claims to be."""
    elements, name = 1, printable(text(tensor.name))
    for dim in tensor.dims:
        elements *= dim
        if dim < 0 or elements > MAX_ELEMENTS:
            raise LoadError(f"is no valid model: the tensor {name!r} has the dims {printable(str(list(tensor.dims)))}")
    held = stored_bytes(tensor)
    bits = dtype_bits(tensor.data_type)
    if held and bits and held != (elements * bits + 7) // 8:
        raise LoadError(
            f"is damaged: the tensor {name!r} holds {held} bytes, its dims take {(elements * bits + 7) // 8} "
            "(fetch or export it again)"
        )


def stored_bytes(tensor: onnx.TensorProto) -> int:
    """The bytes of the tensor's `raw_data` in the file, cut out or not; 0 where it has none."""
    if tensor.raw_data:
        return len(tensor.raw_data)
    length = next((text(entry.value) for entry in tensor.external_data if entry.key == LENGTH_KEY), "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _may_begin(data: bytes) -> bool:
    """The first byte says a protobuf field, and it is no text."""
    return data[0] >> 3 > 0 and data[0] & 7 in (0, 1, 2, 5) and not _is_text(data[:512])


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head)


def _not_a_model(data: Data) -> str:
    head = bytes(data[:512])
    # A ModelProto begins with its ir_version (field 1, a small number) in practice: the rest of it was lost.
    if head[:1] == b"\x08" and len(head) > 1 and head[1] < 0x40:
        return (
            "is truncated or damaged, or nests bodies too deeply: it begins like an ONNX model but can't be parsed "
            "(fetch it again)"
        )
    if _is_text(head):
        return "is a text file, not an ONNX model"
    return "is not an ONNX model (its bytes are no ModelProto)"


def _opset_notes(proto: onnx.ModelProto) -> Iterator[str]:
    newest = onnx.defs.onnx_opset_version()
    for entry in proto.opset_import:
        if text(entry.domain) in ("", "ai.onnx") and entry.version > newest:
            yield f"opset {entry.version} is newer than the installed onnx knows: its operators are read as {newest}'s"
