"""Small ONNX graphs, written node by node, with seeded weights: what the micro-benchmarks run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
CONTRIB = "com.microsoft"
_CHAIN_MACS = 400e6
_MAX_CHAIN, _MIN_CHAIN = 12, 2
IR_VERSION = 8


class Builder:
    """Grows one graph; every method adds a node and returns the name of its first output."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self._rng = np.random.default_rng(seed)

    def input(self, *dims: int) -> str:
        """A float input."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims)))
        return name

    def weight(self, dims: Sequence[int], fan_in: int | None = None) -> str:
        """Noise that neither dies nor grows on its way through a layer of this fan-in."""
        scale = math.sqrt(2 / fan_in) if fan_in else 0.1
        values = self._rng.standard_normal(tuple(dims), dtype=np.float32) * np.float32(scale)
        return self.constant(values.astype(np.float32))

    def constant(self, values: Any) -> str:
        """An initializer of these values."""
        name = f"w{len(self.weights)}"
        array = np.asarray(values)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, inputs: Sequence[str], outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """A node; of several outputs the further ones are named like the first with `_1`, `_2` behind it."""
        first = f"v{len(self.nodes)}"
        names = [first, *(f"{first}_{index}" for index in range(1, outputs))]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"<{first}>", domain=domain, **attributes))
        return first

    def conv(
        self,
        x: str,
        channels: tuple[int, int],
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        padding: int | None = None,
        activation: str | None = "Relu",
    ) -> str:
        """A convolution with bias, padded to keep its size, and an activation behind it."""
        into, out = channels
        pad = dilation * (kernel - 1) // 2 if padding is None else padding
        weight = self.weight((out, into // groups, kernel, kernel), into // groups * kernel * kernel)
        y = self.add(
            "Conv",
            [x, weight, self.weight((out,))],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=groups,
            dilations=[dilation, dilation],
        )
        return self.add(activation, [y]) if activation else y

    def product(self, x: str, depth: int, outputs: int, *, bias: bool = True) -> str:
        """`x` times a constant matrix, plus a bias, as exporters write a linear layer."""
        y = self.add("MatMul", [x, self.weight((depth, outputs), 2 * depth)])
        return self.add("Add", [y, self.weight((outputs,))]) if bias else y

    def silu(self, x: str) -> str:
        """x times sigmoid(x)."""
        return self.add("Mul", [x, self.add("Sigmoid", [x])])

    def gelu(self, x: str) -> str:
        """Gelu by erf as exporters write it."""
        inner = self.add("Erf", [self.add("Div", [x, self.constant(np.float32(2**0.5))])])
        product = self.add("Mul", [x, self.add("Add", [inner, self.constant(np.float32(1))])])
        return self.add("Mul", [product, self.constant(np.float32(0.5))])

    def quantized(self, x: str) -> str:
        """The float value as unsigned bytes."""
        return self.add("QuantizeLinear", [x, *self.grid(np.uint8)])

    def grid(self, dtype: type, scale: float = 0.02) -> tuple[str, str]:
        """A scale and a zero point."""
        return self.constant(np.float32(scale)), self.constant(np.asarray(128 if dtype is np.uint8 else 0, dtype))

    def integer_weight(self, dims: Sequence[int]) -> str:
        """Signed bytes."""
        return self.constant(self._rng.integers(-64, 64, tuple(dims)).astype(np.int8))

    def integer_conv(
        self,
        x: str,
        channels: tuple[int, int],
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: int | None = None,
    ) -> str:
        """A convolution of bytes that keeps its size unless it has a stride."""
        into, out = channels
        weight = self.integer_weight((out, into // groups, kernel, kernel))
        inputs = [x, *self.grid(np.uint8), weight, *self.grid(np.int8), *self.grid(np.uint8)]
        pad = (kernel - 1) // 2 if padding is None else padding
        sizes: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.add("QLinearConv", inputs, group=groups, **sizes)

    def integer_product(self, x: str, depth: int, outputs: int) -> str:
        """A product of bytes with a constant matrix of bytes."""
        weight = self.integer_weight((depth, outputs))
        return self.add("QLinearMatMul", [x, *self.grid(np.uint8), weight, *self.grid(np.int8), *self.grid(np.uint8)])

    def integer_unary(self, op: str, x: str, **attributes: Any) -> str:
        """An operator of ONNX Runtime's that takes bytes and gives bytes on another grid."""
        inputs = [x, *self.grid(np.uint8), *self.grid(np.uint8, 0.03)]
        return self.add(op, inputs, domain=CONTRIB, **attributes)

    def integer_binary(self, op: str, x: str, y: str) -> str:
        """The same of two inputs."""
        inputs = [x, *self.grid(np.uint8), y, *self.grid(np.uint8, 0.01), *self.grid(np.uint8, 0.03)]
        return self.add(op, inputs, domain=CONTRIB)

    def dequantized(self, x: str) -> str:
        """Unsigned bytes as floats."""
        return self.add("DequantizeLinear", [x, *self.grid(np.uint8)])

    def finish(self, *outputs: str) -> onnx.ModelProto:
        """The model that returns these values, of shapes that are left to be inferred."""
        returned = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, returned, self.weights)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="onnxlint")


def repeats(macs: float) -> int:
    """How many operators of so many multiply-accumulates make a benchmark."""
    return int(max(_MIN_CHAIN, min(_MAX_CHAIN, _CHAIN_MACS / max(macs, 1))))
