"""Weights: fills the absent ones of a model with seeded noise, so that ONNX Runtime can run it."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from .graph import Role, draw

_BATCHNORM_ROLES: dict[int, Role] = {1: "scale", 2: "bias", 3: "mean", 4: "variance"}


def fill(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """A copy of the model whose external initializers hold He-scaled noise (BatchNorm variance positive)."""
    filled = onnx.ModelProto()
    filled.CopyFrom(model)
    uses = {name: (node, slot) for node in filled.graph.node for slot, name in enumerate(node.input)}
    rng = np.random.default_rng(seed)
    for tensor in filled.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        dims = list(tensor.dims)
        role, fan_in = _role(*uses[tensor.name], dims) if tensor.name in uses else ("bias", 1)
        tensor.CopyFrom(numpy_helper.from_array(draw(rng, role, dims, fan_in), tensor.name))
    return filled


def _role(node: onnx.NodeProto, slot: int, dims: list[int]) -> tuple[Role, int]:
    if node.op_type == "BatchNormalization":
        return _BATCHNORM_ROLES[slot], 1
    if node.op_type in ("LayerNormalization", "PRelu"):
        return ("scale" if slot == 1 else "bias"), 1
    if slot == 1 and node.op_type in ("Conv", "Gemm"):
        return "weight", math.prod(dims[1:])
    if slot == 1 and node.op_type == "MatMul":
        return "weight", dims[-2]
    return "bias", 1
