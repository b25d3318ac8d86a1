"""Tensor builder: activations, arithmetic, layout and linear layers over tensors of any rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .graph import Dim, GraphBuilder


class TensorBuilder(GraphBuilder):
    """Operators that know nothing of images; every method takes and returns value names."""

    # -- activations ---------------------------------------------------------------------------------------------------

    def unary(self, kind: str, x: str, **attributes: Any) -> str:
        """A node that keeps the shape."""
        return self.op(kind, [x], self.shapes[x], **attributes)

    def relu(self, x: str) -> str:
        """max(x, 0)."""
        return self.unary("Relu", x)

    def relu6(self, x: str) -> str:
        """Clip to 0..6, as PyTorch exports ReLU6."""
        return self.op("Clip", [x, self.constant(0.0), self.constant(6.0)], self.shapes[x])

    def leaky_relu(self, x: str, alpha: float = 0.01) -> str:
        """LeakyRelu."""
        return self.unary("LeakyRelu", x, alpha=alpha)

    def prelu(self, x: str) -> str:
        """PRelu with one learned slope per channel."""
        return self.op("PRelu", [x, self.parameter("PRelu.slope", (self.channels(x), 1, 1), "scale")], self.shapes[x])

    def sigmoid(self, x: str) -> str:
        """The logistic function."""
        return self.unary("Sigmoid", x)

    def silu(self, x: str) -> str:
        """x * sigmoid(x), two nodes as PyTorch exports it."""
        return self.mul(x, self.sigmoid(x))

    def hardsigmoid(self, x: str) -> str:
        """relu6(x + 3) / 6, one node."""
        return self.unary("HardSigmoid", x, alpha=1 / 6)

    def hardswish(self, x: str) -> str:
        """x * hardsigmoid(x): one node from opset 14 on, two before."""
        return self.unary("HardSwish", x) if self.opset >= 14 else self.mul(x, self.hardsigmoid(x))

    def gelu(self, x: str) -> str:
        """GELU spelled with Erf, or one node from opset 20 on."""
        if self.opset >= 20:
            return self.unary("Gelu", x)
        inner = self.add(self.unary("Erf", self.div(x, self.constant(2**0.5))), self.constant(1.0))
        return self.mul(self.mul(x, inner), self.constant(0.5))

    def softmax(self, x: str, axis: int = -1) -> str:
        """Softmax over an axis."""
        return self.unary("Softmax", x, axis=axis)

    # -- arithmetic and layout -----------------------------------------------------------------------------------------

    def _binary(self, kind: str, a: str, b: str) -> str:
        long, short = self.shapes[a], self.shapes[b]
        if len(long) < len(short):
            long, short = short, long
        padded: tuple[Dim, ...] = (1,) * (len(long) - len(short)) + short
        return self.op(kind, [a, b], [right if left == 1 else left for left, right in zip(long, padded, strict=True)])

    def add(self, a: str, b: str) -> str:
        """Sum, broadcast."""
        return self._binary("Add", a, b)

    def sub(self, a: str, b: str) -> str:
        """Difference, broadcast."""
        return self._binary("Sub", a, b)

    def mul(self, a: str, b: str) -> str:
        """Product, broadcast."""
        return self._binary("Mul", a, b)

    def div(self, a: str, b: str) -> str:
        """Quotient, broadcast."""
        return self._binary("Div", a, b)

    def maximum(self, a: str, b: str) -> str:
        """Elementwise maximum."""
        return self._binary("Max", a, b)

    def reduce_mean(self, x: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """Mean over axes."""
        shape: list[Dim] = list(self.shapes[x])
        for axis in sorted((axis % len(shape) for axis in axes), reverse=True):
            shape[axis : axis + 1] = [1] if keepdims else []
        if self.opset >= 18:
            return self.op("ReduceMean", [x, self.integers(axes)], shape, keepdims=int(keepdims))
        return self.op("ReduceMean", [x], shape, axes=list(axes), keepdims=int(keepdims))

    def matmul(self, a: str, b: str) -> str:
        """Matrix product of two tensors of equal rank; axes of size one before the last two are broadcast."""
        stack = [y if x == 1 else x for x, y in zip(self.shapes[a][:-2], self.shapes[b][:-2], strict=True)]
        return self.op("MatMul", [a, b], (*stack, self.shapes[a][-2], self.shapes[b][-1]))

    def concat(self, values: Sequence[str], axis: int = 1) -> str:
        """Concatenation."""
        shape = list(self.shapes[values[0]])
        shape[axis] = sum(self.size(value, axis) for value in values)
        return self.op("Concat", values, shape, axis=axis)

    def split(self, x: str, sizes: Sequence[int], axis: int = 1) -> list[str]:
        """Split with explicit sizes."""
        shapes = []
        for size in sizes:
            shape = list(self.shapes[x])
            shape[axis] = size
            shapes.append(shape)
        return self.op_many("Split", [x, self.integers(sizes)], shapes, axis=axis)

    def slice(self, x: str, axis: int, start: int, stop: int) -> str:
        """A part of one axis."""
        shape = list(self.shapes[x])
        shape[axis] = min(stop, self.size(x, axis)) - start
        bounds = [self.integers([value]) for value in (start, stop, axis)]
        return self.op("Slice", [x, *bounds], shape)

    def gather(self, x: str, index: int, axis: int = 0) -> str:
        """One entry of an axis, which disappears."""
        shape = list(self.shapes[x])
        del shape[axis]
        return self.op("Gather", [x, self.integers(index)], shape, axis=axis)

    def squeeze(self, x: str, axis: int) -> str:
        """Drop an axis of size one."""
        shape = list(self.shapes[x])
        del shape[axis]
        return self.op("Squeeze", [x, self.integers([axis])], shape)

    def unsqueeze(self, x: str, *axes: int) -> str:
        """Insert axes of size one."""
        shape = list(self.shapes[x])
        for axis in sorted(axes):
            shape.insert(axis, 1)
        return self.op("Unsqueeze", [x, self.integers(axes)], shape)

    def reshape(self, x: str, shape: Sequence[Dim]) -> str:
        """Reshape; a symbolic dimension is copied where it stays in place, else inferred."""
        source = self.shapes[x]
        target = []
        for axis, dim in enumerate(shape):
            copied = axis < len(source) and source[axis] == dim
            target.append(dim if isinstance(dim, int) else 0 if copied else -1)
        return self.op("Reshape", [x, self.integers(target)], shape)

    def transpose(self, x: str, *perm: int) -> str:
        """Permute the axes."""
        return self.op("Transpose", [x], [self.shapes[x][axis] for axis in perm], perm=perm)

    def flatten(self, x: str) -> str:
        """Keep axis 0, merge the rest."""
        merged = math.prod(self.size(x, axis) for axis in range(1, len(self.shapes[x])))
        return self.op("Flatten", [x], (self.shapes[x][0], merged), axis=1)

    def pad(self, x: str, pads: Sequence[int]) -> str:
        """Zero padding; negative amounts crop."""
        rank = len(self.shapes[x])
        shape: list[Dim] = list(self.shapes[x])
        for axis in range(rank):
            if pads[axis] or pads[axis + rank]:
                shape[axis] = self.size(x, axis) + pads[axis] + pads[axis + rank]
        return self.op("Pad", [x, self.integers(pads), self.constant(0.0)], shape, mode="constant")

    def channel_shuffle(self, x: str, groups: int) -> str:
        """Channel shuffle of ShuffleNet (arXiv 1707.01083): Reshape, Transpose, Reshape, as PyTorch exports it."""
        batch, channels, height, width = self.shapes[x][0], self.size(x, 1), self.shapes[x][2], self.shapes[x][3]
        folded = self.reshape(x, (batch, groups, channels // groups, height, width))
        return self.reshape(self.transpose(folded, 0, 2, 1, 3, 4), (batch, channels, height, width))

    def linear(self, x: str, out_features: int, bias: bool = True) -> str:
        """Gemm over a matrix, weights stored transposed as PyTorch keeps them."""
        inside = self.size(x, 1)
        inputs = [x, self.parameter("Gemm.weight", (out_features, inside), fan_in=inside)]
        if bias:
            inputs.append(self.parameter("Gemm.bias", (out_features,), "bias"))
        return self.op("Gemm", inputs, (self.shapes[x][0], out_features), transB=1)

    def matmul_linear(self, x: str, out_features: int, bias: bool = True) -> str:
        """MatMul and Add over the last axis of a tensor of rank three or more."""
        inside = self.size(x, -1)
        weight = self.parameter("MatMul.weight", (inside, out_features), fan_in=inside)
        product = self.op("MatMul", [x, weight], (*self.shapes[x][:-1], out_features))
        return self.add(self.parameter("MatMul.bias", (out_features,), "bias"), product) if bias else product

    def layer_norm(self, x: str, epsilon: float = 1e-5) -> str:
        """LayerNormalization over the last axis."""
        size = (self.size(x, -1),)
        inputs = [x, self.parameter("LayerNorm.weight", size, "scale"), self.parameter("LayerNorm.bias", size, "bias")]
        return self.op("LayerNormalization", inputs, self.shapes[x], axis=-1, epsilon=epsilon)
