"""A float model for a device whose model must come quantized

## What it does
Where integers are executed (the device's native precision, or `--precision int8`) and the toolchain does not quantize
by itself (`quantizes = model` in the profile), it looks whether any convolution, product or attention of the model is
quantized. Where none is, the model does not run as it is priced.

## Why it costs
An Edge TPU or Ethos-U compiler sends every float operator to the host CPU; Hexagon's HTP runs a float model at a part
of the rate, where it does at all; an Arm CPU gains from int8 only where the model holds integers. The prices on this
page
are those of the integer model: they come true once it is quantized.

## How to fix
Quantize after training with a few hundred calibration samples (onnxruntime.quantization.quantize_static in QDQ form,
or the TensorFlow Lite converter with a representative dataset), weights per channel. If accuracy falls, the first and
the last layer are the first to keep wider where the device has a wider type: they are few of the MACs.

## Where it is silent
Where the toolchain quantizes (NNIE, RKNN, Horizon, Hailo): a float model is normal there, and priced as int8. On models
that are quantized in part (QNT003 tells of what was left out), and where floats are executed.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.analysis import Analysis
from onnxlint.device_types import Precision
from onnxlint.finding import Finding
from onnxlint.kernels import MULTIPLIERS
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.target import target_for
from onnxlint.tensor import WIDE_FLOATS
from onnxlint.units import percent, plural, seconds

RULE = Rule(code="QNT001", name="float-on-integer-device", severity="error")

_FLOATS: tuple[Precision, ...] = ("fp16", "bf16", "fp32")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the model."""
    target = ctx.analysis.target
    if target.device.toolchain.quantizes != "model" or target.precision not in ("int8", "int4"):
        return
    layers = [node for node in ctx.graph.compute_nodes if node.op_type in MULTIPLIERS and node.inputs]
    integers, floats = ctx.analysis.costs.integers, WIDE_FLOATS | {0}
    read = [node.inputs[0] for node in layers]
    if not layers or any(name in integers or ctx.graph.type_of(name).dtype not in floats for name in read):
        return
    wider = next((p for p in _FLOATS if p in target.device.precisions), None)
    macs = [ctx.analysis.costs.arithmetic(node)[0] for node in layers]
    total = sum(macs)
    ends = percent((macs[0] + macs[-1]) / total) if len(macs) > 2 and total else ""
    advice = f"Quantize it ({target.precision}, weights per channel) before it is converted."
    if wider is not None:
        whole = Analysis(ctx.graph, target_for(target.device, wider, target.batch_factor)).total.mean()
        advice += f"\nAt {wider} it takes {seconds(float(whole))} here, at {target.precision} {seconds(ctx.total_s)}."
        advice += f"\nFirst and last layer are {ends} of the MACs: the first to keep at {wider}." if ends else ""
    yield Finding(
        message=f"a float model ({plural(len(layers), 'layer')} with weights or products): {target.device.name} at "
        f"{target.precision} needs a quantized one",
        suggestion=advice,
        nodes=tuple(node.key for node in layers),
        places=len(layers),
        severity="error" if wider is None else "warning",
    )


VALID = [
    # the toolchain quantizes
    Valid(
        """toolchain (float[1,16,28,28] x) => (float[1,16,28,28] y) <float[16,16,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)
        }""",
        device="hi3519",
    ),
    # floats are executed
    Valid(
        """floats (float[1,16,28,28] x) => (float[1,16,28,28] y) <float[16,16,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)
        }""",
        device="cortex-a76",
    ),
    # quantized
    Valid(
        """qdq (float[1,16,28,28] x) => (float[1,16,28,28] y)
        <float s = {0.05}, int8 z = {0}, int8[16,16,3,3] w, float t = {0.01}> {
            a = QuantizeLinear (x, s, z)
            b = DequantizeLinear (a, s, z)
            v = DequantizeLinear (w, t, z)
            y = Conv <pads = [1,1,1,1]> (b, v)
        }""",
        device="edgetpu",
    ),
]
INVALID = [
    Invalid(
        """floats (float[1,16,28,28] x) => (float[1,16,28,28] y) <float[16,16,3,3] w> {
            y = Conv <pads = [1,1,1,1]> (x, w)
        }""",
        device="edgetpu",
        severity="error",
    ),
]
