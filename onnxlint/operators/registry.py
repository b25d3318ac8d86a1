"""The one registry of cost functions, keyed by (domain, operator)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import msgspec
import onnx

from onnxlint.attributes import attribute
from onnxlint.tensor import TensorType, UnknownShape
from onnxlint.values import Array

CONTRIB = "com.microsoft"
ML = "ai.onnx.ml"
TRAINING = "ai.onnx.preview.training"
NCHWC = "com.microsoft.nchwc"
NHWC = "com.ms.internal.nhwc"

OMITTED = 1 << 20
"""The index of an input that no operator has: of a bias, for operators without one."""

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Operators of the default domain that are costed from their bodies."""


class Call(msgspec.Struct, frozen=True):
    """One operator call as a cost function sees it: types in order (None for an omitted one), attributes, constants.

    `values` holds the value of each input where it is a small constant. The accessors raise UnknownShape where a
    shape that they need is not known.
    """

    op_type: str
    version: int
    attributes: Mapping[str, onnx.AttributeProto]
    inputs: tuple[TensorType | None, ...]
    outputs: tuple[TensorType | None, ...]
    values: tuple[Array | None, ...] = ()

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute's Python value, or `default`."""
        return attribute(self.attributes, name, default)

    def number(self, name: str, default: int = 0) -> int:
        """An integer attribute, or `default`; raises UnknownShape where it holds something else."""
        found = self.attr(name, default)
        if not isinstance(found, int):
            raise UnknownShape
        return found

    def text(self, name: str, default: str = "") -> str:
        """A string attribute, or `default`."""
        found = self.attr(name)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else default

    def scalar(self, index: int) -> int | None:
        """The single integer that input `index` holds, if it is a constant."""
        found = self.value(index)
        return int(found.reshape(-1)[0]) if found is not None and found.size == 1 and found.dtype.kind in "iu" else None

    def has(self, index: int) -> bool:
        """Input `index` is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def dims(self, index: int) -> tuple[int, ...]:
        """The dims of input `index`."""
        return _given(self.inputs, index).dims

    def size(self, index: int = 0) -> int:
        """The elements of input `index`."""
        return _given(self.inputs, index).elements

    def out_dims(self, index: int = 0) -> tuple[int, ...]:
        """The dims of output `index`."""
        return _given(self.outputs, index).dims

    def out_size(self, index: int = 0) -> int:
        """The elements of output `index`."""
        return _given(self.outputs, index).elements

    def touched(self, index: int, count: int) -> int:
        """`count` elements of input `index`, or all of it if it has fewer: no element is read twice."""
        found = self.inputs[index] if index < len(self.inputs) else None
        return min(count, found.elements) if found is not None and found.is_known else count

    def value(self, index: int) -> Array | None:
        """The value of input `index`, if it is a small constant."""
        return self.values[index] if index < len(self.values) else None


def _given(types: tuple[TensorType | None, ...], index: int) -> TensorType:
    found = types[index] if index < len(types) else None
    if found is None:
        raise UnknownShape
    return found


_WHOLE: Mapping[int, int] = {}


class Work(msgspec.Struct, frozen=True):
    """What an operator does with its tensors.

    `macs` multiply-accumulates and `other_flops` further operations. Every input is read whole and every output
    written whole but for `reads` and `writes`: index → elements touched instead (0: not moved at all).
    """

    macs: int = 0
    other_flops: int = 0
    reads: Mapping[int, int] = msgspec.field(default_factory=lambda: _WHOLE)
    writes: Mapping[int, int] = msgspec.field(default_factory=lambda: _WHOLE)


CostFunction = Callable[[Call], Work]

_COSTS: dict[tuple[str, str], CostFunction] = {}
_REASONS: dict[tuple[str, str], str] = {}


def costs(*op_types: str, domain: str = "") -> Callable[[CostFunction], CostFunction]:
    """Register the decorated function as the cost of these operators."""

    def register(function: CostFunction) -> CostFunction:
        guarded = _guarded(function)
        for op_type in op_types:
            if (domain, op_type) in _COSTS:
                raise ValueError(f"{domain}:{op_type} has two cost functions")
            _COSTS[domain, op_type] = guarded
        return function

    return register


def _guarded(function: CostFunction) -> CostFunction:
    """`function`, raising UnknownShape where a malformed call (wrong rank, attribute or sign) makes it fail."""

    @wraps(function)
    def guarded(call: Call) -> Work:
        try:
            work = function(call)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise UnknownShape from error
        if work.macs < 0 or work.other_flops < 0 or _is_negative(work.reads) or _is_negative(work.writes):
            raise UnknownShape
        return work

    return guarded


def _is_negative(touched: Mapping[int, int]) -> bool:
    return bool(touched) and min(touched.values()) < 0


def no_cost(reason: str, *op_types: str, domain: str = "") -> None:
    """State why these operators have no cost function: their cost is unknown, never zero."""
    for op_type in op_types:
        _REASONS[domain, op_type] = reason


def cost_function(domain: str, op_type: str) -> CostFunction | None:
    """The cost function of an operator, or None where its cost is unknown."""
    return _COSTS.get((domain, op_type))


def registered() -> frozenset[tuple[str, str]]:
    """Every (domain, operator) that has a cost function."""
    return frozenset(_COSTS)


def reasons() -> Mapping[tuple[str, str], str]:
    """Why each (domain, operator) without a cost function has none."""
    return dict(_REASONS)


def why_unknown(domain: str, op_type: str) -> str:
    """Why an operator has no cost function."""
    return _REASONS.get((domain, op_type), "no cost function is registered for it")
