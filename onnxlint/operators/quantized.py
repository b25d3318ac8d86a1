"""Operators that change precision; the integer forms of convolutions and products stand beside their float twins."""

from __future__ import annotations

from onnxlint.operators.elementwise import DIV
from onnxlint.operators.registry import CONTRIB, Call, Work, costs


@costs("QuantizeLinear", "DequantizeLinear")
@costs("QuantizeLinear", "DequantizeLinear", domain=CONTRIB)
def quantize(call: Call) -> Work:
    """One product with the scale per element, and one sum with the zero point (input 2) where there is one."""
    return Work(other_flops=call.out_size() * (1 + int(call.has(2))))


@costs("DynamicQuantizeLinear")
def dynamic_quantize(call: Call) -> Work:
    """Minimum and maximum, then product and sum per element; the data is read twice. Outputs y, scale, zero point."""
    return Work(other_flops=4 * call.size(0) + 2 * DIV, reads={0: 2 * call.size(0)})


@costs("QLinearConcat", domain=CONTRIB)
def qlinear_concat(call: Call) -> Work:
    """Inputs y_scale, y_zero_point, then (tensor, scale, zero point) each: every element is requantized."""
    return Work(other_flops=2 * call.out_size())


@costs("GatherBlockQuantized", domain=CONTRIB)
def gather_block_quantized(call: Call) -> Work:
    """Data, indices, scales, zero points: reads the packed elements of what it writes, and dequantizes them."""
    out, bits = call.out_size(), call.number("bits", 4)
    packed = call.inputs[0] is not None and call.inputs[0].dtype == 2 and bits < 8  # several elements to a byte
    blocks = -(-out // max(call.number("block_size", 128), 1))
    reads = {0: call.touched(0, -(-out * bits // 8) if packed else out), 2: call.touched(2, blocks)}
    if call.has(3):
        reads[3] = call.touched(3, blocks)
    return Work(other_flops=out * (1 + int(call.has(3))), reads=reads)


@costs("QuantizeBFP", domain=CONTRIB)
def quantize_block_floating_point(call: Call) -> Work:
    """The largest exponent per block, and one shift per element."""
    return Work(other_flops=2 * call.size(0))


@costs("DequantizeBFP", domain=CONTRIB)
def dequantize_block_floating_point(call: Call) -> Work:
    """One shift per element."""
    return Work(other_flops=call.out_size(), reads={1: 0, 2: 0})
