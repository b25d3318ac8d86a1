"""Element types of stored tensors as numpy has them, and what their values take in memory."""

from __future__ import annotations

import math

import numpy as np
import onnx

from onnxlint.values import Array

PLAIN = {1: "<f4", 10: "<f2", 11: "<f8", 2: "u1", 3: "i1"}
"""Those whose bytes are numpy's own."""
_AS_STORED = frozenset({1, 11, 2, 3})
_NARROW: dict[int, type] = {21: np.uint8, 25: np.uint8, 22: np.int8, 26: np.int8}
"""Integers of fewer than 8 bits; all others become float32."""


def held_bytes(tensor: onnx.TensorProto) -> int:
    """What the tensor's values take in memory."""
    is_narrow = tensor.data_type in _NARROW or tensor.data_type in (2, 3)
    size = 1 if is_narrow else 8 if tensor.data_type == onnx.TensorProto.DOUBLE else 4
    return math.prod((size, *(max(0, dim) for dim in tensor.dims)))


def widened(value: Array, dtype: int) -> Array:
    """Narrow floats as float32, integers of fewer than 8 bits as int8 or uint8."""
    return value if dtype in _AS_STORED else value.astype(_NARROW.get(dtype, np.float32))
