"""Shorthand for one operator call by the shapes of its inputs and outputs."""

import numpy as np
import onnx

from onnxlint.operators import Call, Work, cost_function
from onnxlint.tensor import TensorType

Shape = tuple[int, ...] | None


def work(
    op_type: str,
    inputs: list[Shape],
    outputs: list[Shape],
    *,
    domain: str = "",
    version: int = 22,
    values: dict[int, object] | None = None,
    dtype: int = 1,
    **attributes: object,
) -> Work:
    """The work of an operator; a None among the shapes is an omitted tensor, `values` are constant inputs."""
    function = cost_function(domain, op_type)
    assert function is not None
    given = {name: onnx.helper.make_attribute(name, value) for name, value in attributes.items()}
    kinds = [tuple(None if shape is None else TensorType(dtype, shape) for shape in each) for each in (inputs, outputs)]
    constants = tuple(np.asarray(values[i]) if values and i in values else None for i in range(len(inputs)))
    return function(Call(op_type, version, given, *kinds, constants))
