"""Network builder: the layers of convolutional networks as PyTorch's exporter writes them.

BatchNorm and parameter counts: `conv_bn` folds by default, as the exporter does in inference mode, into a Conv with a
bias, so a network has one parameter per channel less than its paper counts (gamma and beta become one bias).  With
`fold_batchnorm=False` the BatchNormalization nodes stay; that form has exactly the learned parameters of the paper
(mean and variance are statistics, not parameters).  `batchnorm` always leaves a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from .graph import Role
from .tensors import TensorBuilder

Size = int | tuple[int, int]
Padding = int | tuple[int, int] | tuple[int, int, int, int] | Literal["same"] | None


def pair(size: Size) -> tuple[int, int]:
    """A size given once or per axis, as (height, width)."""
    return (size, size) if isinstance(size, int) else size


def make_divisible(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """Round channels to a multiple, never below 90 % of the value (the MobileNet papers' rule)."""
    rounded = max(minimum or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class NetworkBuilder(TensorBuilder):
    """Layers over NCHW tensors; every method takes and returns value names."""

    # -- windows -----------------------------------------------------------------------------------------------------

    def _pads(self, x: str, kernel: Size, stride: Size, padding: Padding, dilation: int) -> list[int]:
        (kh, kw), (sh, sw) = pair(kernel), pair(stride)
        if padding == "same":  # TensorFlow: the odd pixel goes to the end
            total = []
            for axis, (k, s) in enumerate(((kh, sh), (kw, sw))):
                size, span = self.size(x, 2 + axis), (k - 1) * dilation + 1
                total.append(max(0, (-(-size // s) - 1) * s + span - size))
            return [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]
        if padding is None:
            padding = ((kh - 1) // 2 * dilation, (kw - 1) // 2 * dilation)
        if isinstance(padding, int):
            return [padding] * 4
        if len(padding) == 2:
            return [padding[0], padding[1], padding[0], padding[1]]
        return list(padding)

    def _window(
        self, x: str, kernel: Size, stride: Size, pads: Sequence[int], dilation: int = 1, ceil: bool = False
    ) -> tuple[int, int]:
        sizes = []
        for axis, (k, s) in enumerate(zip(pair(kernel), pair(stride), strict=True)):
            span = self.size(x, 2 + axis) + pads[axis] + pads[axis + 2] - (k - 1) * dilation - 1
            sizes.append((-(-span // s) if ceil else span // s) + 1)
        return sizes[0], sizes[1]

    # -- convolution, normalisation, pooling ---------------------------------------------------------------------------

    def conv(
        self,
        x: str,
        out_channels: int,
        kernel: Size,
        stride: Size = 1,
        padding: Padding = None,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> str:
        """Convolution; the default padding keeps the size at stride one."""
        kh, kw = pair(kernel)
        inside = self.channels(x) // groups
        pads = self._pads(x, kernel, stride, padding, dilation)
        fan_in = inside * kh * kw
        inputs = [x, self.parameter("Conv.weight", (out_channels, inside, kh, kw), fan_in=fan_in)]
        if bias:
            inputs.append(self.parameter("Conv.bias", (out_channels,), "bias"))
        shape = (self.shapes[x][0], out_channels, *self._window(x, kernel, stride, pads, dilation))
        return self.op(
            "Conv",
            inputs,
            shape,
            dilations=[dilation, dilation],
            group=groups,
            kernel_shape=[kh, kw],
            pads=pads,
            strides=list(pair(stride)),
        )

    def conv_bn(
        self,
        x: str,
        out_channels: int,
        kernel: Size,
        stride: Size = 1,
        padding: Padding = None,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> str:
        """Convolution and BatchNorm: one Conv with a bias when folding, else Conv and BatchNormalization."""
        bias = bias or self.fold_batchnorm
        x = self.conv(x, out_channels, kernel, stride, padding, groups, dilation, bias)
        return x if self.fold_batchnorm else self.batchnorm(x)

    def depthwise_bn(self, x: str, kernel: Size, stride: Size = 1, padding: Padding = None) -> str:
        """Depthwise convolution and BatchNorm."""
        return self.conv_bn(x, self.channels(x), kernel, stride, padding, groups=self.channels(x))

    def batchnorm(self, x: str, epsilon: float = 1e-5) -> str:
        """A BatchNormalization node."""
        size = (self.channels(x),)
        roles: tuple[Role, ...] = ("scale", "bias", "mean", "variance")
        inputs = [self.parameter(f"BatchNorm.{role}", size, role) for role in roles]
        return self.op("BatchNormalization", [x, *inputs], self.shapes[x], epsilon=epsilon)

    def _pool(self, kind: str, x: str, kernel: int, stride: int, padding: Padding, ceil: bool, **more: Any) -> str:
        pads = self._pads(x, kernel, stride, padding, 1)
        shape = (*self.shapes[x][:2], *self._window(x, kernel, stride, pads, ceil=ceil))
        window = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": pads, "ceil_mode": int(ceil)}
        return self.op(kind, [x], shape, **window, **more)

    def max_pool(self, x: str, kernel: int, stride: int, padding: Padding = 0, ceil: bool = False) -> str:
        """Maximum over windows."""
        return self._pool("MaxPool", x, kernel, stride, padding, ceil)

    def average_pool(
        self, x: str, kernel: int, stride: int, padding: Padding = 0, count_include_pad: bool = True
    ) -> str:
        """Mean over windows."""
        return self._pool("AveragePool", x, kernel, stride, padding, False, count_include_pad=int(count_include_pad))

    def global_average_pool(self, x: str) -> str:
        """Mean over height and width, which stay as axes of size one."""
        return self.op("GlobalAveragePool", [x], (*self.shapes[x][:2], 1, 1))

    def squeeze_excite(self, x: str, squeezed: int, gate: Literal["sigmoid", "hardsigmoid"] = "sigmoid") -> str:
        """Channel attention of SENet (arXiv 1709.01507): mean, two 1x1 convolutions with bias, gate, product."""
        mean = self.reduce_mean(x, [2, 3])
        hidden = self.relu(self.conv(mean, squeezed, 1, bias=True))
        scores = self.conv(hidden, self.channels(x), 1, bias=True)
        return self.mul(x, self.sigmoid(scores) if gate == "sigmoid" else self.hardsigmoid(scores))

    def classifier(self, x: str, classes: int = 1000) -> str:
        """Global average pool, Flatten, Gemm."""
        return self.linear(self.flatten(self.global_average_pool(x)), classes)
