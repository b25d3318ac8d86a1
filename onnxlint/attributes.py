"""The attributes of nodes: of equal ones but one mapping is kept, and references to a function's are followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx

from onnxlint.text import printable, text
from onnxlint.validity import mark_of, typed
from onnxlint.values import KnownAttributes

_KIND = onnx.AttributeProto
_PLAIN = frozenset({_KIND.FLOAT, _KIND.INT, _KIND.STRING, _KIND.FLOATS, _KIND.INTS, _KIND.STRINGS})


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
