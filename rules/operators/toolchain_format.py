"""Models in a form that the device's toolchain does not read: said once, in the verdict.

## What it does
Compares the model with what the vendor's converter reads (`toolchain` in the profile): no ONNX at all (NNIE: Caffe
1.0; Edge TPU and Ethos-U: TensorFlow Lite), or ONNX of other opsets (Horizon X3 and X5: 10 and 11; RKNN: 12 to 19).

## Why it costs
It costs no time on the device, but nothing runs before it is done, and the way there changes the graph: an opset
without LayerNormalization, Gelu or HardSwish spells them out, a converter to Caffe knows the layers of 2014.

## How to fix
For an opset, export again with the newest one that the toolchain reads; what it lacks is named, because it comes out
spelled differently: lint that export, not this one. For another format, take the path that the profile names, and
check the result against this model on the same inputs.
Silent where the toolchain reads the model, or nobody published which opsets it reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from onnxlint.finding import Finding
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="OPS009", name="toolchain-format", severity="info")
_MAX_NAMES = 3


def check(ctx: Context) -> Iterator[Finding]:
    """One finding, told in the verdict."""
    toolchain, name, nodes = ctx.device.toolchain, ctx.device.name, ctx.graph.compute_nodes
    if not nodes:
        return
    if not toolchain.onnx:
        path = toolchain.path or "Convert it first."
        yield _finding(ctx, f"{name}'s toolchain reads no ONNX, but {toolchain.reads.partition(';')[0]}", path)
        return
    opset = max((node.version for node in nodes if node.domain == ""), default=0)
    if toolchain.opsets is None or not opset or toolchain.opsets[0] <= opset <= toolchain.opsets[1]:
        return
    oldest, newest = toolchain.opsets
    known = f"opset {oldest} to {newest}" if oldest != newest else f"opset {newest}"
    wanted = newest if opset > newest else oldest
    lacking = sorted(
        {node.op_type for node in nodes if node.domain == "" and not onnx.defs.has(node.op_type, newest, "")}
    )
    more = f" and {len(lacking) - _MAX_NAMES} more" if len(lacking) > _MAX_NAMES else ""
    spelled = f" It has no {', '.join(lacking[:_MAX_NAMES])}{more}: these come out spelled out." if lacking else ""
    yield _finding(
        ctx,
        f"{name}'s toolchain reads ONNX of {known}, the model has {opset}",
        f"Export again with opset_version={wanted}.{spelled}",
    )


def _finding(ctx: Context, message: str, suggestion: str) -> Finding:
    first = ctx.graph.compute_nodes[0]
    return Finding(message=message, suggestion=suggestion, nodes=(first.key,), severity="info", in_verdict=True)


_RELU = "net (float[1,8,8,8] x) => (float[1,8,8,8] y) { y = Relu(x) }"
VALID = [Valid(_RELU, device="t4"), Valid(_RELU, device="rk3588")]
INVALID = [Invalid(_RELU, device="hi3519", severity="info"), Invalid(_RELU, device="x3", severity="info")]
