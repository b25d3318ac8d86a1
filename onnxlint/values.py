"""The values of small constants: shapes, axes, scales."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxlint.attributes import Attributes

MAX_ELEMENTS = 1024
"""Larger values are never shapes, axes or scales; they are not followed."""

Array = np.ndarray[Any, np.dtype[Any]]


def tensor_value(tensor: onnx.TensorProto) -> Array | None:
    """The value of a small tensor that lies in the graph itself, else None."""
    count = math.prod(tensor.dims)
    if count > MAX_ELEMENTS or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    if count and tensor.external_data and not tensor.raw_data:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # every malformed tensor raises something else; it simply has no value
        return None


def constant_value(attributes: Attributes) -> Array | None:
    """The value of a Constant node."""
    for name, proto in attributes.items():
        if name == "value":
            return tensor_value(proto.t)
        if name in ("value_int", "value_ints"):
            return np.asarray(onnx.helper.get_attribute_value(proto), dtype=np.int64)
        if name in ("value_float", "value_floats"):
            return np.asarray(onnx.helper.get_attribute_value(proto), dtype=np.float32)
    return None
