"""Whether a node obeys its operator's schema: how many inputs and outputs, which attributes, and sane numbers in them.

What contradicts its schema is treated as an unknown operator: no rule, cost or native code then trusts what the
schema would promise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import onnx
from onnx import AttributeProto

from onnxlint.attributes import Attributes, KnownAttributes, attribute, is_mixed
from onnxlint.tensor import TensorType, dtype_name, is_element_type
from onnxlint.text import printable

INVALID = " (invalid)"
"""Behind the operator of a node that contradicts its schema."""

_MOST = 2**31 - 1
_MAX_RANK = 64
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_SCALED = frozenset({"QuantizeLinear", "DequantizeLinear"})
_SIZES = frozenset({"strides", "dilations", "kernel_shape", "group", "blocksize", "num_outputs", "num_groups"})
_AXES = frozenset({"axis", "axes", "perm", "batch_axis", "time_axis", "scan_input_axes", "scan_output_axes"})
_TYPED = frozenset({"to", "dtype", "output_datatype"})
_EXTENTS = frozenset({"pads", "output_padding", "output_shape", "split"})
_EQUATION = re.compile(rb"[A-Za-z,.> -]{0,1000}")
_REQUIRED_INPUT = onnx.defs.OpSchema.FormalParameterOption.Single
_VARIADIC = onnx.defs.OpSchema.FormalParameterOption.Variadic
_INTERNAL = "__"
"""Attributes that begin so are a tool's own: onnx's checker and ONNX Runtime pass them by."""
_OPEN = frozenset({"LayerNormalization"})
"""The only operator whose schema lets every attribute pass."""
_NEWEST = {domain: newest for domain, (_, newest) in onnx.defs.C.schema_version_map().items()}
_TYPES = {number: name.lower() for name, number in onnx.TensorProto.DataType.items() if number}


@lru_cache(maxsize=4096)
def schema_of(op_type: str, domain: str, version: int) -> onnx.defs.OpSchema | None:
    """The operator's schema in that version of its domain, None where onnx knows none."""
    try:
        return onnx.defs.get_schema(op_type, version or 1, domain)
    except (onnx.defs.SchemaError, TypeError, UnicodeError):  # the latter two of names that are no UTF-8
        return None


@lru_cache(maxsize=4096)
def _facts(op_type: str, domain: str, version: int) -> _Facts | None:
    schema = schema_of(op_type, domain, version)
    return None if schema is None else _Facts(schema, version)


class _Facts:
    """A schema's bounds, read once: every attribute access on it converts the whole list anew.

    One that `is_closed` has no other attributes; a version newer than the schema may have some.
    """

    def __init__(self, schema: onnx.defs.OpSchema, version: int) -> None:
        self.inputs = (schema.min_input, schema.max_input)
        self.outputs = (schema.min_output, schema.max_output)
        self.operands = list(schema.inputs)
        self.required_inputs = [(at, i.name) for at, i in enumerate(self.operands) if i.option == _REQUIRED_INPUT]
        self.required = [name for name, found in schema.attributes.items() if found.required]
        self.types = {name: _type_number(found) for name, found in schema.attributes.items()}
        self.is_closed = version <= _NEWEST.get(schema.domain, 0) and schema.name not in _OPEN


def _type_number(found: onnx.defs.OpSchema.Attribute) -> int:
    kind: Any = found.type
    return int(getattr(kind, "value", kind))


def node_problem(
    op_type: str,
    domain: str,
    version: int,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Attributes,
) -> str | None:
    """How the node contradicts its operator's schema; None where it does not, or where there is no schema."""
    facts = _facts(op_type, domain, version)
    if facts is None:
        return None
    problem = _ends_problem("inputs", inputs, facts.inputs) or _ends_problem("outputs", outputs, facts.outputs)
    if problem is not None:
        return problem
    if "" in inputs:
        for at, name in facts.required_inputs:
            if not inputs[at]:
                return f"lacks its input {name!r}"
    known = attributes.problems if isinstance(attributes, KnownAttributes) else {}
    if facts not in known:
        known[facts] = _attributes_problem(attributes, facts)
    if known[facts] is not None:
        return known[facts]
    return _own_problem(op_type, inputs, outputs, attributes) if domain == "" else None


def _ends_problem(what: str, names: Sequence[str], bounds: tuple[int, int]) -> str | None:
    return None if bounds[0] <= len(names) <= bounds[1] else f"has {len(names)} {what}"


def _attributes_problem(attributes: Attributes, facts: _Facts) -> str | None:
    for name in facts.required:
        if name not in attributes:
            return f"lacks its attribute {name!r}"
    for name, proto in attributes.items():
        expected = facts.types.get(name)
        if expected is not None:
            problem = _attribute_problem(name, proto, expected)
        elif facts.is_closed and not name.startswith(_INTERNAL):
            problem = f"has an attribute {printable(name, 60)!r}, which it does not take"
        else:
            problem = None
        if problem is not None:
            return problem
    return None


def _attribute_problem(name: str, proto: AttributeProto, expected: int) -> str | None:
    if proto.type != expected or is_mixed(proto):
        return f"has an attribute {name!r} of the wrong type"
    if proto.type not in (AttributeProto.INT, AttributeProto.INTS):
        return None
    if name in _TYPED and proto.type == AttributeProto.INT and not is_element_type(proto.i):
        return f"has {name} = {proto.i}, which is no element type"
    low, high = (1, _MOST) if name in _SIZES else (-_MAX_RANK, _MAX_RANK) if name in _AXES else (-_MOST, _MOST)
    if name not in _SIZES | _AXES | _EXTENTS:
        return None
    values = [proto.i] if proto.type == AttributeProto.INT else proto.ints
    wrong = next((value for value in values if not low <= value <= high), None)
    return None if wrong is None else f"has {name} = {wrong}"


def _own_problem(
    op_type: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, AttributeProto]
) -> str | None:
    """What the schema does not say, and what crashes or hangs onnx's inference."""
    if op_type == "Einsum":
        equation = attributes["equation"].s
        if not _EQUATION.fullmatch(equation) or equation.split(b"->")[0].count(b",") + 1 != len(inputs):
            return f"has the equation {printable(equation.decode('utf-8', 'surrogateescape'), 60)!r}"
    elif op_type == "Split" and "num_outputs" in attributes and attributes["num_outputs"].i != len(outputs):
        return f"splits into {attributes['num_outputs'].i} but has {len(outputs)} outputs"
    elif op_type == "Transpose" and "perm" in attributes:
        perm = list(attributes["perm"].ints)
        if sorted(perm) != list(range(len(perm))):
            return f"has perm = {perm[:8]}"
    elif op_type == "Constant" and len(attributes) != 1:
        known = [name for name in attributes if name.startswith(("value", "sparse_value"))]
        return None if len(known) == 1 else f"has {len(known)} values"
    return None


@lru_cache(maxsize=4096)
def types_problem(op_type: str, domain: str, version: int, dtypes: tuple[int, ...]) -> str | None:
    """How element types of inputs (0 where unknown) contradict the operator's schema: forbidden, or not alike."""
    facts = _facts(op_type, domain, version)
    if facts is None or not facts.operands:
        return None
    first: dict[str, tuple[str, int]] = {}
    for at, dtype in enumerate(dtypes):
        operand = facts.operands[min(at, len(facts.operands) - 1)]
        spelled = _TYPES.get(dtype)
        if spelled is None:
            continue
        allowed = operand.types
        if f"tensor({spelled})" not in allowed and f"sparse_tensor({spelled})" not in allowed:
            return f"is given {dtype_name(dtype)} as {operand.name!r}, which it does not take"
        if operand.option == _VARIADIC and not operand.is_homogeneous:
            continue
        name, other = first.setdefault(operand.type_str, (operand.name, dtype))
        if other != dtype:
            return (
                f"is given {dtype_name(other)} as {name!r} and {dtype_name(dtype)} as {operand.name!r}, "
                "which must be alike"
            )
    return None


def _scales_problem(
    attributes: Mapping[str, AttributeProto], data: TensorType | None, scales: TensorType | None
) -> str | None:
    if data is None or data.shape is None or scales is None or scales.shape is None or len(scales.shape) != 1:
        return None
    axis, rank = attribute(attributes, "axis", 1), len(data.shape)
    (count,) = scales.shape
    if count is None or count < 2:  # one for all: the axis says nothing
        return None
    return None if -rank <= axis < rank else f"has {count} scales along axis {axis} of {rank} dims"


def shapes_problem(
    op_type: str, attributes: Mapping[str, AttributeProto], types: Sequence[TensorType | None]
) -> str | None:
    """A contradiction between inputs that onnx's inference does not see: a convolution's channels, a scales' axis."""
    if op_type in _SCALED and len(types) > 1:
        return _scales_problem(attributes, types[0], types[1])
    if op_type not in _CONVOLUTIONS or len(types) < 2:
        return None
    data, weight = types[0], types[1]
    if weight is None or weight.shape is None:
        return None
    if len(weight.shape) < 3:
        return f"has weights of {len(weight.shape)} dims"
    if data is None or data.shape is None:
        return None
    group = attribute(attributes, "group", 1)
    if len(data.shape) != len(weight.shape):
        return f"has an input of {len(data.shape)} dims and weights of {len(weight.shape)}"
    channels, first, second = data.shape[1], weight.shape[0], weight.shape[1]
    if op_type == "ConvTranspose":
        is_wrong = (channels is not None and first is not None and channels != first) or bool(first and first % group)
        asked = first
    else:
        is_wrong = channels is not None and second is not None and channels != second * group
        is_wrong = is_wrong or bool(first and first % group)
        asked = second and second * group
    return f"takes {asked} channels in {group} groups, its input has {channels}" if is_wrong else None
