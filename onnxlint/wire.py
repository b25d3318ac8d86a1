"""Protobuf wire format: an ONNX file without the bodies of its large tensors, which are not even read.

Only tag and length bytes are read, so a 2 GB file costs what its graph costs. A tensor that lost its body says
where it lies: two `external_data` entries, OFFSET_KEY and LENGTH_KEY, in bytes from the file's start. Their spelling is
drawn anew in each process, so that no file can hold them beforehand.
"""

from __future__ import annotations

import os
from typing import Protocol, overload

import msgspec

LARGE_BYTES = 4096
MAX_CHILDREN = 4_000_000
"""Messages directly within the model and its graphs: more would cost seconds and gigabytes to parse."""

_DRAWN = os.urandom(8).hex()
OFFSET_KEY, LENGTH_KEY = f"onnxlint.offset.{_DRAWN}", f"onnxlint.length.{_DRAWN}"

_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING = range(8)
# Field numbers of onnx.proto that lead to tensors, by message.
_CHILDREN: tuple[dict[int, int], ...] = (
    {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    {5: _ATTRIBUTE},
    {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    {},
    {1: _TENSOR, 2: _TENSOR},
    {7: _NODE, 11: _ATTRIBUTE},
    {1: _GRAPH, 2: _GRAPH},
)
_RAW_DATA = 9
_PACKED = frozenset({4, 10})
"""Fields of float32 and float64 elements: packed in one piece, their bytes are those of `raw_data`."""
_TENSOR_DATA = frozenset({4, 5, 6, 7, _RAW_DATA, 10, 11})
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no protobuf message, or end before it does."""


class TooMany(WireError):
    """The message holds more than MAX_CHILDREN messages."""


class Data(Protocol):
    """Bytes, a memoryview, or a file read like one."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: int, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes | memoryview: ...


class _Frame(msgspec.Struct):
    """One enclosing message: where its length stands, and how many bytes were cut out of it."""

    length_at: int
    body: int
    end: int
    parent: int
    message: int
    removed: int = 0


def strip_tensors(data: Data, large_bytes: int = LARGE_BYTES) -> bytes:
    """Return the ModelProto in `data` without tensor bodies of more than `large_bytes`.

    Raises WireError where the bytes are no ModelProto. Messages keep their encoding but for what was cut: a length
    that shrinks keeps its width by padding the varint, which every protobuf parser accepts.
    """
    frames = [_Frame(-1, 0, len(data), -1, _MODEL)]
    cuts: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(frames):
        if frames[at].message == _TENSOR:
            _cut_tensor(data, frames, at, cuts, large_bytes)
        else:
            _open_children(data, frames, at, large_bytes)
        at += 1
    if not cuts:
        return bytes(data[:])
    for frame in reversed(frames):
        if frame.removed and frame.parent >= 0:
            frames[frame.parent].removed += frame.removed
            length = frame.end - frame.body - frame.removed
            cuts.append((frame.length_at, frame.body, _padded_varint(length, frame.body - frame.length_at)))
    cuts.sort()
    pieces: list[bytes | memoryview] = []
    kept = 0
    for start, end, replacement in cuts:
        pieces += (data[kept:start], replacement)
        kept = end
    pieces.append(data[kept:])
    return b"".join(pieces)


def _open_children(data: Data, frames: list[_Frame], at: int, large_bytes: int) -> None:
    frame = frames[at]
    children = _CHILDREN[frame.message]
    position, end = frame.body, frame.end
    count = 0
    while position < end:
        count += 1
        if count > MAX_CHILDREN:
            raise TooMany
        field, wire_type, value_at = _tag(data, position, end)
        if wire_type == _LENGTH_DELIMITED:
            length, body = _varint(data, value_at, end)
            position = body + length
            if position > end:
                raise WireError("a field is longer than the message that holds it")
            if length > large_bytes and field in children:
                frames.append(_Frame(value_at, body, position, at, children[field]))
        else:
            position = _skip(data, value_at, end, wire_type)


def _cut_tensor(
    data: Data, frames: list[_Frame], at: int, cuts: list[tuple[int, int, bytes]], large_bytes: int
) -> None:
    frame = frames[at]
    holes: list[tuple[int, int]] = []
    raw, typed = b"", list[bytes]()
    position = frame.body
    while position < frame.end:
        start = position
        field, wire_type, value_at = _tag(data, position, frame.end)
        if wire_type == _LENGTH_DELIMITED:
            length, body = _varint(data, value_at, frame.end)
            position = body + length
            if position > frame.end:
                raise WireError("a tensor's field is longer than the tensor")
            if field == _RAW_DATA:
                raw = _entry(OFFSET_KEY, body) + _entry(LENGTH_KEY, length)
            elif field in _PACKED:
                typed.append(_entry(OFFSET_KEY, body) + _entry(LENGTH_KEY, length))
        else:
            position = _skip(data, value_at, frame.end, wire_type)
            if field in _PACKED:
                typed += (b"", b"")  # one element by itself
        if field in _TENSOR_DATA:
            if holes and holes[-1][1] == start:
                holes[-1] = (holes[-1][0], position)
            else:
                holes.append((start, position))
    marker = raw or (typed[0] if len(typed) == 1 else b"")
    if sum(end - start for start, end in holes) <= max(large_bytes, len(marker)):
        return  # a message that grew might need a longer length than there is room for
    for start, end in holes:
        cuts.append((start, end, marker))
        frame.removed += end - start - len(marker)
        marker = b""


def _entry(key: str, value: int) -> bytes:
    """An `external_data` entry (field 13 of TensorProto: a StringStringEntryProto)."""
    fields = b"".join(
        bytes((tag, len(text))) + text for tag, text in ((0x0A, key.encode()), (0x12, str(value).encode()))
    )
    return bytes((0x6A, len(fields))) + fields


def _tag(data: Data, position: int, end: int) -> tuple[int, int, int]:
    """Field number, wire type and the position behind them."""
    byte = data[position]
    if byte < 0x80:
        tag, position = byte, position + 1
    else:
        tag, position = _varint(data, position, end)
    if tag < 8:
        raise WireError("a field has the number 0")
    return tag >> 3, tag & 7, position


def _varint(data: Data, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise WireError("a number is longer than ten bytes")
    raise WireError("the message ends within a number")


def _skip(data: Data, position: int, end: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _varint(data, position, end)[1]
    if wire_type not in (_FIXED32, _FIXED64):
        raise WireError(f"a field has the wire type {wire_type}")
    position += 4 if wire_type == _FIXED32 else 8
    if position > end:
        raise WireError("the message ends within a number")
    return position


def _padded_varint(value: int, width: int) -> bytes:
    encoded = bytearray()
    for index in range(width):
        encoded.append((value & 0x7F) | (0x80 if index < width - 1 else 0))
        value >>= 7
    return bytes(encoded)
