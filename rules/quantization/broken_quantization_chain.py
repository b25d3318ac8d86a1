"""Floats between the integer operators of a quantized model

## What it does
Follows the values of a model with Q/DQ nodes (or quantized operators) from every DequantizeLinear to the next
QuantizeLinear. What lies between should be one kernel: a convolution with its bias, residual and activation. A float
value that one kernel writes and another reads breaks the chain. It also finds the pairs that do nothing: a
DequantizeLinear whose value is quantized again with the same scale and zero point.

## Why it costs
A float value moves four bytes an element (two at fp16) instead of one, and the kernel that reads it runs in floats. The
usual places are a shortcut that reads the sum itself instead of its quantized form (NVIDIA's TensorRT guide: quantize
the residual input too), an activation or a normalisation that the quantizer left out, a convolution whose output
has no scale.

## How to fix
Put a QuantizeLinear/DequantizeLinear pair behind the value that the finding names, with a scale from calibration, or
let its reader take the pair that is there. In onnxruntime.quantization: add the operator to `op_types_to_quantize`.
Removing a DequantizeLinear→QuantizeLinear of equal parameters is exact; a QuantizeLinear→DequantizeLinear is never
removed, since it rounds.

## Where it is silent
On float models and those whose weights alone are quantized; on what precedes the first and follows the last integer
operator, which is float by purpose; on operators within one kernel; and where the device has no QuantizeLinear.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.patterns.quantized_chains import Break, breaks, mended, redundant_pairs, without_pairs
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="QNT003", name="broken-quantization-chain", severity="warning")

_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all float values within the chain, one for all pairs that do nothing."""
    graph = ctx.graph
    first = next((node for node in graph.compute_nodes if node.op_type == "QuantizeLinear"), None)
    if first is None or ctx.analysis.target.table.by_name(first) == "unsupported":
        return
    found = list(breaks(graph, ctx.analysis.kernel_of))
    if found:
        yield _finding(ctx, found)
    pairs = list(redundant_pairs(graph))
    if pairs:
        nodes = tuple(dict.fromkeys(node.key for pair in pairs for node in pair))
        yield Finding(
            message=f"{plural(len(pairs), 'DequantizeLinear-QuantizeLinear pair')} of equal parameters: the integers "
            "come back unchanged",
            suggestion="Let the readers take the integers before the pair. Exact: no calibration.",
            nodes=nodes,
            places=len(pairs),
            fixes=(Fix(f"without {plural(len(pairs), 'pair')}", "exact", without_pairs(graph, pairs)),),
        )


def _finding(ctx: Context, found: list[Break]) -> Finding:
    found = sorted(found, key=lambda one: -ctx.analysis.value_bytes(one.value))
    paired = sum(one.pair is not None for one in found)
    most = found[0]
    where = f"{most.writer.op_type} {most.value} ({ctx.graph.type_of(most.value)}), read by {most.readers[0].op_type}"
    edits = mended(ctx.graph, found, RULE.code)
    advice = f"Largest: {where}.\n"
    if paired < len(found):
        advice += f"Put a QuantizeLinear/DequantizeLinear pair behind {'them' if len(found) - paired > 1 else 'it'}."
    if paired:
        advice += f"{' ' if paired < len(found) else ''}{plural(paired, 'value')} of them has a pair: read that."
    return Finding(
        message=f"{plural(len(found), 'float value')} between integer operators: written and read in floats",
        suggestion=advice,
        nodes=tuple(dict.fromkeys(node.key for one in found for node in (one.writer, *one.readers))),
        places=len(found),
        fixes=(Fix(f"quantize {plural(len(found), 'value')} in between", "lossy", edits),) if ctx.runs(edits) else (),
        details=tuple(f"{one.value}: {one.writer.op_type} to {one.readers[0].op_type}" for one in found[:_LISTED]),
    )


_HEADER = """chain (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float s = {0.05}, int8 z = {0}, int8[64,64,3,3] w, float t = {0.01}> {
    a = QuantizeLinear (x, s, z)
    b = DequantizeLinear (a, s, z)
    v = DequantizeLinear (w, t, z)
    c = Conv <pads = [1,1,1,1]> (b, v)
"""
_TAIL = """
    f = QuantizeLinear (e, s, z)
    g = DequantizeLinear (f, s, z)
    y = Conv <pads = [1,1,1,1]> (g, v)
}"""
VALID = [
    # a convolution with its activation is one kernel
    Valid(_HEADER + "e = Relu (c)" + _TAIL, device="cortex-a76"),
    # a pair on both sides of the sum
    Valid(
        _HEADER
        + """
    c1 = QuantizeLinear (c, s, z)
    c2 = DequantizeLinear (c1, s, z)
    d = Add (c2, b)
    e = Relu (d)"""
        + _TAIL,
        device="cortex-a76",
    ),
]
INVALID = [
    # a normalisation in floats between two convolutions
    Invalid(
        _HEADER
        + """
    d = Relu (c)
    m = GlobalAveragePool (d)
    e = Sub (d, m)"""
        + _TAIL,
        device="cortex-a76",
        places=2,
    ),
]
