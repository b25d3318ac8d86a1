"""The type of one value, and the sizes of ONNX's element types."""

from __future__ import annotations

import math

import msgspec

# onnx.TensorProto.DataType → (name, bits). Strings have no fixed size.
_DTYPES = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("string", 0),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8e4m3fn", 8),
    18: ("float8e4m3fnuz", 8),
    19: ("float8e5m2", 8),
    20: ("float8e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4e2m1", 4),
    24: ("float8e8m0", 8),
    25: ("uint2", 2),
    26: ("int2", 2),
}
FLOAT, INT64 = 1, 7
WIDE_FLOATS = frozenset({1, 10, 11, 16})
"""Element types that a device executes at its own precision: float32, float16, float64, bfloat16."""
QUANTIZED = frozenset({2, 3, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26})
"""Element types that weights are stored in once quantized."""


class TensorType(msgspec.Struct, frozen=True):
    """Element type (onnx.TensorProto.DataType, 0 unknown) and dims; None where a dim or the rank is unknown."""

    dtype: int
    shape: tuple[int | None, ...] | None

    @property
    def is_known(self) -> bool:
        """Every dim is a number."""
        return self.shape is not None and None not in self.shape

    @property
    def dims(self) -> tuple[int, ...]:
        """The dims of a known shape; raises UnknownShape else."""
        if self.shape is None or None in self.shape:
            raise UnknownShape
        return self.shape  # type: ignore[return-value]

    @property
    def elements(self) -> int:
        """The number of elements; raises UnknownShape."""
        return math.prod(self.dims)

    @property
    def rank(self) -> int | None:
        """The number of dims, if known."""
        return None if self.shape is None else len(self.shape)

    def __str__(self) -> str:
        dims = "?" if self.shape is None else "x".join("?" if d is None else str(d) for d in self.shape)
        return f"{dtype_name(self.dtype)}[{dims}]"


class UnknownShape(Exception):
    """A shape was needed that nothing in the model states."""


def dtype_name(dtype: int) -> str:
    """`float32`, `int8`, … or `unknown`."""
    return _DTYPES.get(dtype, ("unknown", 0))[0]


def is_element_type(dtype: int) -> bool:
    """ONNX has an element type of this number."""
    return dtype in _DTYPES


def dtype_bits(dtype: int) -> int:
    """Bits of one element as stored; 0 for strings and unknown types."""
    return _DTYPES.get(dtype, ("unknown", 0))[1]
