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
}
_LONG = 4096
"""Bytes from which on a digest stands for an attribute."""
Attributes = Mapping[str, onnx.AttributeProto]


class KnownAttributes(dict[str, onnx.AttributeProto]):
    """Attributes whose Python values are read once: nodes alike share them, and many ask."""

    __slots__ = ("read",)

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, Any] = {}


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
    """Nodes' attributes by name; nodes of equal ones, numbers and strings alone, share what `of` returns."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, ...], Mapping[str, onnx.AttributeProto]] = {}

    def of(
        self, protos: Sequence[onnx.AttributeProto], references: Mapping[str, onnx.AttributeProto] | None
    ) -> Mapping[str, onnx.AttributeProto]:
        """The attributes of one node; `references` are the actual ones of the function that it stands in."""
        if any(proto.type not in _PLAIN for proto in protos):
            return _attributes(protos, references)
        mark = tuple([mark_of(proto) for proto in protos])
        found = self._known.get(mark) if references is None else None
        if found is None:
            found = _attributes(protos, references)
            if references is None:
                self._known[mark] = found
        return found


def given_twice(protos: Sequence[onnx.AttributeProto]) -> str | None:
    """What is wrong with a node that has an attribute twice: readers differ in which of them counts."""
    seen: set[str] = set()
    for name in (text(proto.name) for proto in protos):
        if name in seen:
            return f"has its attribute {printable(name)!r} twice"
        seen.add(name)
    return None


def _attributes(
    protos: Iterable[onnx.AttributeProto], references: Mapping[str, onnx.AttributeProto] | None
) -> dict[str, onnx.AttributeProto]:
    attributes = KnownAttributes()
    for proto in protos:
        if proto.ref_attr_name:
            actual = (references or {}).get(text(proto.ref_attr_name))
            if actual is not None:
                attributes[text(proto.name)] = typed(actual)
        else:
            attributes[text(proto.name)] = typed(proto)
    return attributes


def typed(proto: onnx.AttributeProto) -> onnx.AttributeProto:
    """The attribute with its type stated: files of IR versions before 2 leave it out."""
    if proto.type:
        return proto
    for kind, field in _FIELDS.items():
        if proto.HasField(field) if len(field) == 1 else getattr(proto, field):
            copy = onnx.AttributeProto()
            copy.CopyFrom(proto)
            copy.type = kind
            return copy
    return proto


def mark_of(proto: onnx.AttributeProto) -> bytes:
    """What equal attributes share: their bytes, of long ones a digest."""
    data: bytes = proto.SerializeToString()
    if len(data) <= _LONG:
        return data
    import hashlib

    return hashlib.sha256(data).digest()
