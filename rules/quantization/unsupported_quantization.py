"""A quantized model in another form than the device takes

## What it does
Reads how the model is quantized (element types, zero points, scales per tensor or per channel; Q/DQ nodes and quantized
operators) and compares it with the forms that the profile states, with a source, under `[quantized]`.

## Why it costs
A converter does not translate one form into another: TensorRT takes signed 8-bit integers with zero point 0 and refuses
the rest; Edge TPU and Ethos-U take TensorFlow Lite's form, symmetric int8 weights with any zero point for activations.
NNIE takes no quantized model at all: its tool makes its own (logarithmic) integers from the float model, and Q/DQ nodes
are layers that Caffe does not have.

## How to fix
Quantize again in the form that the finding names. In onnxruntime.quantization: `activation_type=QuantType.QInt8`,
`weight_type=QuantType.QInt8`, `extra_options={"ActivationSymmetric": True, "WeightSymmetric": True}` for TensorRT.
Where the toolchain quantizes itself, give it the float model and a calibration set.

## Where it is silent
On float models, and on devices whose profile states no forms: what nobody published is not held against a model.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.device_tables import QuantizedForms
from onnxlint.finding import Finding
from onnxlint.patterns.quantized_forms import QuantizedTensor, quantized_tensors
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="QNT004", name="unsupported-quantization", severity="error")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each way in which the model's form is another."""
    forms = ctx.device.quantized
    if forms is None:
        return
    tensors = list(quantized_tensors(ctx.graph))
    if tensors and not forms.weights:
        yield Finding(
            message=f"the model is quantized already ({plural(len(tensors), 'tensor')}); {ctx.device.name} takes float "
            "models alone",
            suggestion="Give its toolchain the float model and calibration images: it makes the integers itself.",
            nodes=_keys(tensors),
            places=len(tensors),
        )
        return
    broken: dict[str, list[QuantizedTensor]] = {}
    for tensor in tensors:
        for form in _violations(tensor, forms):
            broken.setdefault(form, []).append(tensor)
    for form, found in broken.items():
        yield Finding(
            message=f"{form} in {plural(len(found), 'place')}: {ctx.device.name} takes another form",
            suggestion=f"It takes {_words(forms)}.\nQuantize again in that form.",
            nodes=_keys(found),
            places=len(found),
        )


def _violations(tensor: QuantizedTensor, forms: QuantizedForms) -> Iterator[str]:
    what = "weights" if tensor.is_weight else "activations"
    if tensor.dtype not in (forms.weights if tensor.is_weight else forms.activations):
        yield f"{tensor.dtype} {what}"
        return
    is_symmetric = forms.symmetric_weights if tensor.is_weight else forms.symmetric_activations
    if is_symmetric and tensor.is_signed and tensor.is_asymmetric:
        yield f"asymmetric {what} (a zero point that is not 0)"
    if tensor.is_per_channel and not (tensor.is_weight and forms.per_channel_weights):
        yield f"{what} with a scale per channel"


def _words(forms: QuantizedForms) -> str:
    symmetric = " with zero point 0"
    activations = " or ".join(forms.activations) + " activations" + symmetric * forms.symmetric_activations
    weights = " or ".join(forms.weights) + " weights" + symmetric * forms.symmetric_weights
    return f"{activations}, {weights}" + ("" if forms.per_channel_weights else ", one scale a tensor")


def _keys(tensors: list[QuantizedTensor]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tensor.node.key for tensor in tensors))


_QDQ = """qdq (float[1,16,28,28] x) => (float[1,16,28,28] y)
<float s = {{0.05}}, {dtype} z = {{{zero}}}, {dtype}[16,16,3,3] w, float t = {{0.01}}, {dtype} u = {{0}}> {{
    a = QuantizeLinear (x, s, z)
    b = DequantizeLinear (a, s, z)
    v = DequantizeLinear (w, t, u)
    y = Conv <pads = [1,1,1,1]> (b, v)
}}"""
VALID = [
    Valid(_QDQ.format(dtype="int8", zero=0), device="t4"),
    # TensorFlow Lite's activations have any zero point
    Valid(_QDQ.format(dtype="int8", zero=-12), device="edgetpu"),
    # a float model
    Valid("float_model (float[1,16,28,28] x) => (float[1,16,28,28] y) { y = Relu (x) }", device="hi3519"),
]
INVALID = [
    Invalid(_QDQ.format(dtype="int8", zero=-12), device="t4", places=2, severity="error"),
    Invalid(_QDQ.format(dtype="int8", zero=0), device="hi3519", places=3, severity="error"),
]
