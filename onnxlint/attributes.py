"""The attributes of nodes: each value is read once, equal ones are kept once, references are followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx

from onnxlint.text import printable, text

_KIND = onnx.AttributeProto
_PLAIN = frozenset({_KIND.FLOAT, _KIND.INT, _KIND.STRING, _KIND.FLOATS, _KIND.INTS, _KIND.STRINGS})
_FIELDS = {
    _KIND.FLOAT: "f",
    _KIND.INT: "i",
    _KIND.STRING: "s",
    _KIND.TENSOR: "t",
    _KIND.GRAPH: "g",
    _KIND.FLOATS: "floats",
    _KIND.INTS: "ints",
    _KIND.STRINGS: "strings",
    _KIND.TENSORS: "tensors",
    _KIND.GRAPHS: "graphs",
    _KIND.SPARSE_TENSOR: "sparse_tensor",
    _KIND.SPARSE_TENSORS: "sparse_tensors",
    _KIND.TYPE_PROTO: "tp",
    _KIND.TYPE_PROTOS: "type_protos",
}
_MESSAGES = frozenset({_KIND.TENSOR, _KIND.GRAPH, _KIND.SPARSE_TENSOR, _KIND.TYPE_PROTO})
_VALUES = frozenset(_FIELDS.values())
_FIRST_IR_WITH_TYPES = 2
_LONG = 4096
"""Bytes from which on a digest stands for an attribute."""
Attributes = Mapping[str, onnx.AttributeProto]


class KnownAttributes(dict[str, onnx.AttributeProto]):
    """Attributes whose Python values are read once: nodes alike share them, and many ask.

    `problems` keeps what is wrong with them as those of an operator.
    """

    __slots__ = ("problems", "read")

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, Any] = {}
        self.problems: dict[object, str | None] = {}


def attribute(attributes: Attributes, name: str, default: Any = None) -> Any:
    """An attribute's Python value: int, float, bytes, list, TensorProto or GraphProto.

    `default` where there is none, or one of another kind than the default.
    """
    proto = attributes.get(name)
    if proto is None:
        return default
    read = attributes.read if isinstance(attributes, KnownAttributes) else {}
    found = read.get(name)
    if found is None:
        try:
            found = read[name] = onnx.helper.get_attribute_value(proto)
        except ValueError:  # a reference to an attribute that no function has, or a type that ONNX does not know
            return default
    if type(found) is list:
        found = [*found]  # the reader's own
    kinds = _ALLOWED.get(type(default))
    return found if kinds is None or isinstance(found, kinds) else default


_ALLOWED: Mapping[type, tuple[type, ...]] = {
    bool: (int,),
    int: (int,),
    float: (int, float),
    bytes: (bytes,),
    str: (bytes,),
    list: (Sequence,),
    tuple: (Sequence,),
}
"""What an attribute may be where its default is of a type; repeated fields are sequences but no lists."""


class SharedAttributes:
    """Nodes' attributes by name; nodes of equal ones, numbers and strings alone, share what `of` returns.

    Files of IR versions before 2 leave their types out.
    """

    def __init__(self, ir_version: int = 0) -> None:
        self._are_typed = ir_version >= _FIRST_IR_WITH_TYPES
        self._known: dict[tuple[bytes, ...], Mapping[str, onnx.AttributeProto]] = {}

    def of(
        self, protos: Sequence[onnx.AttributeProto], references: Mapping[str, onnx.AttributeProto] | None
    ) -> Mapping[str, onnx.AttributeProto]:
        """The attributes of one node; `references` are the actual ones of the function that it stands in."""
        if any(proto.type not in _PLAIN for proto in protos):
            return self._read(protos, references)
        mark = tuple([mark_of(proto) for proto in protos])
        found = self._known.get(mark) if references is None else None
        if found is None:
            found = self._read(protos, references)
            if references is None:
                self._known[mark] = found
        return found

    def _read(
        self, protos: Iterable[onnx.AttributeProto], references: Mapping[str, onnx.AttributeProto] | None
    ) -> dict[str, onnx.AttributeProto]:
        attributes = KnownAttributes()
        for proto in protos:
            actual = (references or {}).get(text(proto.ref_attr_name)) if proto.ref_attr_name else proto
            if actual is not None:
                attributes[text(proto.name)] = actual if self._are_typed else typed(actual)
        return attributes


def left_out(protos: Sequence[onnx.AttributeProto], *, in_function: bool) -> str | None:
    """What is wrong with a node of fewer attributes than it states, None for references that a call leaves open.

    Where it has one twice, readers differ in which of them counts.
    """
    seen: set[str] = set()
    for proto in protos:
        name = text(proto.name)
        if name in seen:
            return f"has its attribute {printable(name)!r} twice"
        if proto.ref_attr_name and not in_function:
            return f"has as its attribute {printable(name)!r} that of a function, in which it does not stand"
        seen.add(name)
    return None


def typed(proto: onnx.AttributeProto) -> onnx.AttributeProto:
    """The attribute with its type stated."""
    if proto.type:
        return proto
    held = _held(proto)
    for kind, field in _FIELDS.items():
        if field in held:
            copy = onnx.AttributeProto()
            copy.CopyFrom(proto)
            copy.type = kind
            return copy
    return proto


def is_mixed(proto: onnx.AttributeProto) -> bool:
    """It holds a value of another type than it states, which readers differ in, or lacks a message altogether."""
    held = _held(proto)
    return held != {_FIELDS[proto.type]} if proto.type in _MESSAGES else not held <= {_FIELDS.get(proto.type)}


def _held(proto: onnx.AttributeProto) -> set[str]:
    return {field.name for field, _ in proto.ListFields()} & _VALUES


def mark_of(proto: onnx.AttributeProto) -> bytes:
    """What equal attributes share: their bytes, of long ones a digest."""
    data: bytes = proto.SerializeToString()
    if len(data) <= _LONG:
        return data
    import hashlib

    return hashlib.sha256(data).digest()
