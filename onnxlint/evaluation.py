"""The values of small constants carried through the operators that compute shapes from shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxlint.attributes import Attributes, attribute
from onnxlint.tensor import TensorType
from onnxlint.values import MAX_ELEMENTS, Array, constant_value

_OF_SHAPE = frozenset({"Shape", "Size"})
WITHOUT_VALUES = _OF_SHAPE | {"Constant"}
"""The operators that have a value whatever is known of their inputs'; all others need that of the first."""

_MAX_WORK, _MAX_INPUTS = 1 << 22, 4096


def evaluate(
    op_type: str,
    version: int,
    attributes: Attributes,
    inputs: Sequence[Array | None],
    types: Sequence[TensorType | None],
) -> Array | None:
    """The value of the node's first output, where its inputs' values (or, for Shape and Size, types) give it."""
    function = _FUNCTIONS.get(op_type)
    try:
        if op_type == "Constant":
            return constant_value(attributes)
        if op_type in _OF_SHAPE:
            return _shape(op_type, attributes, types[0] if types else None)
        if function is None or not inputs or inputs[0] is None or not _is_small(inputs):
            return None
        with np.errstate(all="ignore"):
            value = function(_Call(version, attributes, inputs))
    except Exception:  # whatever a stranger's shapes and axes provoke in numpy: no value
        return None
    return value if value is not None and value.size <= MAX_ELEMENTS else None


def _is_small(inputs: Sequence[Array | None]) -> bool:
    """All inputs together, broadcast against each other too, are no more than numpy should be asked to make."""
    given = [value for value in inputs if value is not None]
    if len(given) > _MAX_INPUTS:
        return False
    try:
        together = math.prod(np.broadcast_shapes(*(value.shape for value in given)))
    except ValueError:
        together = 0
    return max(together, sum(value.size for value in given)) <= _MAX_WORK


class _Call:
    def __init__(self, version: int, attributes: Attributes, inputs: Sequence[Array | None]) -> None:
        self.version, self.attributes, self.inputs = version, attributes, inputs

    def __getitem__(self, index: int) -> Array:
        value = self.inputs[index]
        if value is None:
            raise LookupError
        return value

    def has(self, index: int) -> bool:
        return index < len(self.inputs)

    def attr(self, name: str, default: Any = None) -> Any:
        return attribute(self.attributes, name, default)

    def ints(self, name: str, index: int) -> list[int] | None:
        """Axes and the like: an attribute in old opsets, an input in new ones."""
        listed = self.attr(name)
        if listed is not None:
            return list(listed)
        return [int(i) for i in self[index].reshape(-1)] if self.has(index) else None


def _shape(op_type: str, attributes: Attributes, tensor: TensorType | None) -> Array | None:
    if tensor is None or not tensor.is_known:
        return None
    if op_type == "Size":
        return np.asarray(tensor.elements if tensor.elements < 2**62 else -1, dtype=np.int64)
    start, end = attribute(attributes, "start", 0), attribute(attributes, "end")
    return np.asarray(tensor.dims[start:end], dtype=np.int64)


def _slice(call: _Call) -> Array:
    data = call[0]
    starts, ends = call.ints("starts", 1) or [], call.ints("ends", 2) or []
    axes = call.ints("axes", 3) if call.attr("axes") or (call.has(3) and call.inputs[3] is not None) else None
    steps = [int(i) for i in call[4]] if call.has(4) and call.inputs[4] is not None else [1] * len(starts)
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        # an end before the first element means "through the first" when stepping backwards
        index[axis] = slice(start, None if step < 0 and end < -data.shape[axis] else end, step)
    return data[tuple(index)]


def _unsqueeze(call: _Call) -> Array:
    axes = call.ints("axes", 1) or []
    return np.expand_dims(call[0], tuple(axes))


def _squeeze(call: _Call) -> Array:
    axes = call.ints("axes", 1)
    return np.squeeze(call[0], tuple(axes) if axes else None)


def _reshape(call: _Call) -> Array:
    dims = call.ints("shape", 1) or []
    if not call.attr("allowzero", 0):
        dims = [call[0].shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return call[0].reshape(dims)


def _cast(call: _Call) -> Array:
    return call[0].astype(onnx.helper.tensor_dtype_to_np_dtype(call.attr("to")))


def _concat(call: _Call) -> Array:
    return np.concatenate([call[i] for i in range(len(call.inputs))], axis=call.attr("axis", 0))


def _divide(call: _Call) -> Array:
    a, b = call[0], call[1]
    if np.issubdtype(a.dtype, np.integer):  # truncates, where numpy's division rounds down
        return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), dtype=a.dtype)
    return np.asarray(a / b)


def _modulo(call: _Call) -> Array:
    return np.asarray(np.fmod(call[0], call[1]) if call.attr("fmod", 0) else np.mod(call[0], call[1]))


def _range(call: _Call) -> Array | None:
    start, limit, delta = (call[i].item() for i in range(3))
    if not delta or (limit - start) / delta > MAX_ELEMENTS:
        return None
    return np.arange(start, limit, delta, dtype=call[0].dtype)


def _constant_of_shape(call: _Call) -> Array | None:
    dims = [int(i) for i in call[0].reshape(-1)]
    if any(d < 0 for d in dims) or math.prod(dims) > MAX_ELEMENTS:
        return None
    value = call.attr("value")
    fill = numpy_helper.to_array(value).reshape(-1)[0] if value is not None else np.float32(0)
    return np.full(dims, fill)


def _expand(call: _Call) -> Array | None:
    shape = np.broadcast_shapes(call[0].shape, tuple(int(i) for i in call[1]))
    return None if math.prod(shape) > MAX_ELEMENTS else np.broadcast_to(call[0], shape)


def _tile(call: _Call) -> Array | None:
    repeats = [int(i) for i in call[1]]
    return None if call[0].size * math.prod(repeats) > MAX_ELEMENTS else np.tile(call[0], repeats)


def _clip(call: _Call) -> Array:
    low, high = (call[i] if call.has(i) else call.attr(name) for i, name in ((1, "min"), (2, "max")))
    return np.asarray(np.clip(call[0], low, high), dtype=call[0].dtype)


def _reduce(function: Callable[..., Any]) -> Callable[[_Call], Array]:
    def reduced(call: _Call) -> Array:
        axes = call.ints("axes", 1)
        return np.asarray(
            function(call[0], axis=tuple(axes) if axes else None, keepdims=bool(call.attr("keepdims", 1))),
            dtype=call[0].dtype,
        )

    return reduced


def _unary(function: Callable[[Array], Any]) -> Callable[[_Call], Array]:
    return lambda call: np.asarray(function(call[0]), dtype=call[0].dtype)


def _variadic(function: Callable[[Array, Array], Any]) -> Callable[[_Call], Array]:
    return lambda call: np.asarray(reduce(function, (call[index] for index in range(len(call.inputs)))))


_FUNCTIONS: dict[str, Callable[[_Call], Array | None]] = {
    "Identity": lambda call: call[0],
    "Gather": lambda call: np.asarray(np.take(call[0], call[1].astype(np.int64), axis=call.attr("axis", 0))),
    "Concat": _concat,
    "Slice": _slice,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Flatten": lambda call: call[0].reshape(1, -1) if call.attr("axis", 1) == 0 else call[0].reshape(len(call[0]), -1),
    "Transpose": lambda call: np.transpose(call[0], call.attr("perm")),
    "Cast": _cast,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Tile": _tile,
    "Where": lambda call: np.where(call[0], call[1], call[2]),
    "Add": _variadic(np.add),
    "Sub": _variadic(np.subtract),
    "Mul": _variadic(np.multiply),
    "Div": _divide,
    "Mod": _modulo,
    "Pow": lambda call: np.asarray(np.power(call[0], call[1]), dtype=call[0].dtype),
    "Max": _variadic(np.maximum),
    "Min": _variadic(np.minimum),
    "Sum": _variadic(np.add),
    "Equal": _variadic(np.equal),
    "Greater": _variadic(np.greater),
    "GreaterOrEqual": _variadic(np.greater_equal),
    "Less": _variadic(np.less),
    "LessOrEqual": _variadic(np.less_equal),
    "And": _variadic(np.logical_and),
    "Or": _variadic(np.logical_or),
    "Not": lambda call: np.logical_not(call[0]),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Clip": _clip,
    "Round": _unary(np.round),
    "Sqrt": _unary(np.sqrt),
    "Sign": _unary(np.sign),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
