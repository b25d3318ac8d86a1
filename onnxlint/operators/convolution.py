"""Convolutions: MACs = N·Cout·Hout·Wout·(Cin/g)·Kh·Kw; a transposed one counts by its input positions."""

from __future__ import annotations

import math

from onnxlint.operators.elementwise import activation_flops
from onnxlint.operators.registry import CONTRIB, NCHWC, NHWC, OMITTED, Call, CostFunction, Work, costs

BILINEAR = 7
"""FLOPs of one bilinear sample: four products, three sums."""


def convolution(data: int, weight: int, bias: int) -> CostFunction:
    """A convolution whose data, weight and bias are these inputs.

    Input (N, Cin, *spatial), weight (Cout, Cin/g, *kernel), output (N, Cout, *spatial): each output element takes one
    MAC per weight of its filter. Channels-last layouts permute the dims behind the first, which changes nothing.
    """

    def cost(call: Call) -> Work:
        call.dims(data)
        out = call.out_size()
        return Work(macs=out * math.prod(_filter(call, weight)), other_flops=out if call.has(bias) else 0)

    return cost


def transposed(data: int, weight: int, bias: int) -> CostFunction:
    """A transposed convolution: input (N, Cin, *spatial), weight (Cin, Cout/g, *kernel), each input meets Cout/g·K."""

    def cost(call: Call) -> Work:
        macs = call.size(data) * math.prod(_filter(call, weight))
        return Work(macs=macs, other_flops=call.out_size() if call.has(bias) else 0)

    return cost


def _filter(call: Call, weight: int) -> tuple[int, ...]:
    dims = call.dims(weight)
    if len(dims) < 2:
        raise ValueError("a convolution's weight has at least two dims")
    return dims[1:]


costs("Conv")(convolution(0, 1, 2))
costs("Conv", domain=NHWC)(convolution(0, 1, 2))
costs("NhwcConv", domain=CONTRIB)(convolution(0, 1, 2))
costs("ConvInteger")(convolution(0, 1, OMITTED))
costs("QLinearConv")(convolution(0, 3, 8))
costs("QLinearConv", domain=CONTRIB)(convolution(0, 3, 8))
costs("QLinearConv", domain=NHWC)(convolution(0, 3, 8))
costs("ConvTranspose")(transposed(0, 1, 2))
costs("ConvTranspose", domain=NHWC)(transposed(0, 1, 2))
costs("QLinearConvTranspose", domain=NHWC)(transposed(0, 3, 8))
costs("ConvTransposeWithDynamicPads", domain=CONTRIB)(transposed(0, 1, 3))


@costs("FusedConv", "NhwcFusedConv", domain=CONTRIB)
def fused_conv(call: Call) -> Work:
    """Conv with bias (input 2), a sum (input 3) and an activation in its epilogue."""
    plain = convolution(0, 1, 2)(call)
    extra = int(call.has(3)) + activation_flops(call.text("activation"))
    return Work(plain.macs, plain.other_flops + call.out_size() * extra)


costs("Conv", domain=NCHWC)(fused_conv)


@costs("DeformConv")
def deform_conv(call: Call) -> Work:
    """Inputs X, W (Cout, Cin/g, *kernel), offset, B, mask.

    A convolution over samples: each kernel tap of each output position reads every input channel by bilinear
    interpolation (7 FLOPs), and the mask scales it (1).
    """
    out, weight = call.out_dims(), call.dims(1)
    samples = out[0] * call.dims(0)[1] * math.prod(out[2:]) * math.prod(weight[2:])
    bias = call.out_size() if call.has(3) else 0
    return Work(call.out_size() * math.prod(weight[1:]), bias + samples * (BILINEAR + int(call.has(4))))


def _causal(bias: int) -> CostFunction:
    """Depthwise convolution, input (B, C, L), weight (C, 1, K); the state, K-1 positions, is read and written whole."""

    def cost(call: Call) -> Work:
        plain = convolution(0, 1, bias)(call)
        return Work(plain.macs, plain.other_flops + call.out_size() * activation_flops(call.text("activation", "none")))

    return cost


costs("CausalConvWithState")(_causal(2))
costs("CausalConvWithState", domain=CONTRIB)(_causal(2))
costs("VarlenCausalConvWithState", domain=CONTRIB)(_causal(3))


@costs("WordConvEmbedding", domain=CONTRIB)
def word_conv_embedding(call: Call) -> Work:
    """Words (…, characters), convolution (filters, 1, window, width) over each, embeddings (characters, width)."""
    windows = max(call.dims(0)[-1] - call.dims(1)[2] + 1, 0) * math.prod(call.dims(0)[:-1])
    filters = call.dims(1)[0]
    # bias and tanh per window, then the maximum over the windows
    flops = windows * filters * (2 + activation_flops("Tanh"))
    return Work(windows * call.size(1), flops, reads={3: min(call.size(3), call.size(0) * call.dims(3)[-1])})
