"""What ONNX Runtime's CPU provider runs as one kernel, as the profile's `[fusion]` table; its own graph is the oracle.

ONNX Runtime writes the graph that it runs (`optimized_model_filepath`); the tests compare our kernels with that.
"""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from onnxlint.device_tables import Fusion

_SOURCE = """ONNX Runtime's optimized graph (ORT_ENABLE_ALL), compared with our kernels by tests/calibrate; \
onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html"""

FUSION = f'''
[fusion]
epilogue = []
residual_add = true
residual_anchors = ["Conv"]
chains = false
free = ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"]
drops_no_ops = ["Identity", "Dropout", "Expand", "Cast", "Slice", "Mul", "Div", "Add", "Sub"]
closing = ["Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Softmax", "LayerNormalization"]
constant_operand = ["Add", "Mul"]
second_pass = ["Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish"]
integer_forms = [
  "Conv", "MatMul", "Gemm", "Add", "Mul", "Sigmoid", "LeakyRelu", "Softmax", "AveragePool", "GlobalAveragePool",
  "MaxPool", "Concat", "Split", "Where", "Resize", "Relu", "Clip", "Gather", "Reshape", "Expand", "Flatten",
  "Transpose", "Squeeze", "Unsqueeze", "Slice", "QuantizeLinear", "DequantizeLinear",
]
integer_to_float = ["MatMul", "Gemm"]
source = """{_SOURCE}"""

[fusion.integer_direct]
input_multiple = 4
least_outputs = 16
source = "MlasConvSymPackWSize in onnxruntime's mlas/lib/convsym.cpp"

[fusion.by_operator]
Conv = [
  "BatchNormalization", "Mul", "Add", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish",
  "Identity", "Dropout",
]
ConvTranspose = ["BatchNormalization", "Add", "Identity", "Dropout"]
MatMul = ["Add", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Identity", "Dropout"]
Gemm = ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "BatchNormalization", "Identity", "Dropout"]

[[fusion.groups]]
name = "Gelu"
ops = ["Div", "Erf", "Add", "Mul", "Mul"]

[[fusion.groups]]
name = "Gelu"
ops = ["Mul", "Erf", "Add", "Mul", "Mul"]

[[fusion.groups]]
name = "QuickGelu"
ops = ["Sigmoid", "Mul"]

[[fusion.groups]]
name = "LayerNormalization"
ops = ["ReduceMean", "Sub", "Pow", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"]

[[fusion.groups]]
name = "LayerNormalization"
ops = ["ReduceMean", "Sub", "Sub", "Pow", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"]

[[fusion.groups]]
name = "FusedMatMul"
ops = ["MatMul", "Div"]

[[fusion.groups]]
name = "FusedMatMul"
ops = ["MatMul", "Mul"]

[[fusion.groups]]
name = "SkipLayerNormalization"
ops = ["Add", "LayerNormalization"]
rank = 3
'''

_BLOCKED = """
[fusion.blocked]
block = {block}
input_multiple = 4
anchors = ["Conv", "MaxPool", "AveragePool"]
followers = [
  "GlobalAveragePool", "GlobalMaxPool", "Add", "Sum", "Mul", "Concat", "Relu", "Sigmoid", "Tanh", "BatchNormalization",
  "QuickGelu", "Gelu",
]
transposes = true
source = '''ONNX Runtime's NCHWc transformer: the block is the machine's vector width, seen in its optimized graph'''
"""


def fusion_table(block: int) -> str:
    """The `[fusion]` tables as TOML; `block` 1: a machine whose runtime has no blocked layout."""
    return FUSION + (_BLOCKED.format(block=block) if block > 1 else "")


def fusion(block: int) -> Fusion:
    """The same as data."""
    table: dict[str, Any] = tomllib.loads(fusion_table(block))["fusion"]
    return msgspec.convert(table, Fusion)
