"""Small networks with seeded weights, quantized by onnxruntime.quantization in both of its forms."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

RESIDUAL = """residual (float[1,3,32,32] x) => (float[1,10] y) <
float[16,3,3,3] w0, float[16] b0, float[16,16,3,3] w1, float[16] b1, float[16,16,3,3] w2, float[16] b2,
float[16,1,3,3] w3, float[16] b3, float[32,16,1,1] w4, float[32] b4, float[64,10] w5, float[10] b5> {
    a = Conv <pads = [1,1,1,1], strides = [2,2]> (x, w0, b0)
    b = Relu (a)
    c = MaxPool <kernel_shape = [2,2], strides = [2,2]> (b)
    d = Conv <pads = [1,1,1,1]> (c, w1, b1)
    e = Relu (d)
    f = Conv <pads = [1,1,1,1]> (e, w2, b2)
    g = Add (f, c)
    h = Relu (g)
    i = Conv <pads = [1,1,1,1], group = 16> (h, w3, b3)
    j = HardSwish (i)
    k = Conv (j, w4, b4)
    l = Relu (k)
    m = Concat <axis = 1> (l, l)
    n = GlobalAveragePool (m)
    o = Flatten (n)
    p = Gemm (o, w5, b5)
    y = Softmax (p)
}"""

TOKENS = """tokens (float[1,16,32] x) => (float[1,16,32] y) <
float[32] s0, float[32] b0, float[32] s1, float[32] b1, float[32,32] wq, float[32,32] wk, float[32,32] wv,
float[32,64] w0, float[64,32] w1> {
    heads = Constant <value_ints = [1,16,2,16]> ()
    flat = Constant <value_ints = [1,16,32]> ()
    n = LayerNormalization <axis = -1> (x, s0, b0)
    q0 = MatMul (n, wq)
    k0 = MatMul (n, wk)
    v0 = MatMul (n, wv)
    q1 = Reshape (q0, heads)
    k1 = Reshape (k0, heads)
    v1 = Reshape (v0, heads)
    q = Transpose <perm = [0,2,1,3]> (q1)
    k = Transpose <perm = [0,2,3,1]> (k1)
    v = Transpose <perm = [0,2,1,3]> (v1)
    scores = MatMul (q, k)
    shares = Softmax <axis = -1> (scores)
    o0 = MatMul (shares, v)
    o1 = Transpose <perm = [0,2,1,3]> (o0)
    o = Reshape (o1, flat)
    a = Add (o, x)
    m = LayerNormalization <axis = -1> (a, s1, b1)
    f = MatMul (m, w0)
    g = Erf (f)
    h = MatMul (g, w1)
    y = Add (h, a)
}"""


def seeded(text: str, seed: int = 0) -> onnx.ModelProto:
    """The model written as ONNX text, its declared weights drawn."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    rng = np.random.default_rng(seed)
    written = {name for node in model.graph.node for name in node.output}
    for info in list(model.graph.value_info):
        if info.name not in written:
            shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
            fan = int(np.prod(shape[1:])) or 1
            array = (rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(array, info.name))
            model.graph.value_info.remove(info)
    return model


class _Samples(CalibrationDataReader):
    def __init__(self, model: onnx.ModelProto) -> None:
        rng = np.random.default_rng(1)
        (info,) = model.graph.input
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        self.left = [{info.name: rng.standard_normal(shape).astype(np.float32)} for _ in range(4)]

    def get_next(self) -> dict[str, Any] | None:
        return self.left.pop() if self.left else None


@cache
def quantized(
    text: str = RESIDUAL, *, is_qdq: bool = True, per_channel: bool = False, symmetric: bool = False
) -> onnx.ModelProto:
    """The network as int8 activations and weights."""
    model = seeded(text)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/float.onnx")
        quantize_static(
            Path(folder) / "float.onnx",
            Path(folder) / "int8.onnx",
            _Samples(model),
            quant_format=QuantFormat.QDQ if is_qdq else QuantFormat.QOperator,
            per_channel=per_channel,
            activation_type=QuantType.QInt8 if symmetric or not is_qdq else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        )
        return onnx.load(f"{folder}/int8.onnx")


def without(model: onnx.ModelProto, value: str) -> onnx.ModelProto:
    """A copy in which the readers of the pair behind `value` read the float value itself."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    quantize = next(n for n in copy.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == value)
    dequantize = next(
        n for n in copy.graph.node if n.op_type == "DequantizeLinear" and n.input[0] == quantize.output[0]
    )
    for node in copy.graph.node:
        for index, name in enumerate(node.input):
            if name == dequantize.output[0]:
                node.input[index] = value
    copy.graph.node.remove(quantize)
    copy.graph.node.remove(dequantize)
    return copy
