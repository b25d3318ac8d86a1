"""Weights that 8-bit integers with one scale a tensor lose

## What it does
On devices that execute int8 it quantizes each weight of a convolution or product on paper, symmetrically to 8 bits, and
measures signal to noise: with one scale for the tensor, with one for each output channel, and there without the
outliers. A layer below 20 dB (noise above a tenth of the signal, averaged over channels) is reported.

## Why it costs
Accuracy, not time. Data-Free Quantization (arXiv 1906.04721, sections 3 and 5) traces MobileNetV2's fall to 0.1 % top-1
with one scale a tensor to channels whose ranges differ by orders of magnitude, after BatchNorm is folded.
RepOptimizer (2205.15242) finds the same of RepVGG's merged kernels, whose identity branch leaves one large weight among
small ones. Weights with equal ranges keep about 40 dB.

## How to fix
One scale a channel, where the toolchain has it, mends unequal ranges. Else equalise across layers: scale a channel down
and the next layer's input channel up, which is exact through ReLU (not through ReLU6). Heavy tails and merged
kernels need clipping, quantization-aware training, or training with RepOptimizer.

## Where it is silent
Where floats are executed (on the host, too, of layers that leave the device), on models that are quantized already, on
random initialization (equal ranges), and without the weights' values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxlint.finding import Finding, Severity
from onnxlint.graph import Node
from onnxlint.patterns.weight_statistics import Int8Noise, int8_noise, int8_noise_of_columns
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="QNT002", name="quantization-risk", severity="warning", needs_weights=True)

LEAST_DB = 20.0
_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for unequal ranges, which a scale a channel mends, one for heavy tails, which it does not."""
    if ctx.analysis.target.precision not in ("int8", "int4"):
        return
    found = [(node, noise) for node in ctx.graph.compute_nodes if (noise := _noise(ctx, node)) is not None]
    unequal = [(n, r) for n, r in found if r.per_tensor_db < LEAST_DB <= min(r.per_channel_db, r.body_db)]
    tails = [(n, r) for n, r in found if min(r.per_channel_db, r.body_db) < LEAST_DB]
    if unequal:
        forms = ctx.device.quantized
        has_channels = forms is not None and bool(forms.weights) and forms.per_channel_weights
        worst, noise = min(unequal, key=lambda entry: entry[1].per_tensor_db)
        yield _finding(
            unequal,
            f"{plural(len(unequal), 'layer')} with channels of unequal ranges: one int8 scale a tensor loses them",
            f"Worst {worst.outputs[0]}: {noise.per_tensor_db:.0f} dB with one scale, {noise.per_channel_db:.0f} dB "
            f"with one a channel (largest range {noise.ratio:.0f}x the median).\n"
            "Quantize per channel, or equalise across layers (exact through ReLU, not ReLU6).",
            "info" if has_channels else None,
        )
    if tails:
        worst, noise = min(tails, key=lambda entry: min(entry[1].per_channel_db, entry[1].body_db))
        yield _finding(
            tails,
            f"{plural(len(tails), 'layer')} with heavy tails or merged kernels: int8 loses the small weights",
            f"Worst {worst.outputs[0]}: {min(noise.per_channel_db, noise.body_db):.0f} dB for the body of the weights, "
            "even with one scale a channel.\nClip the outliers, or train for quantization (RepOptimizer for RepVGG).",
            None,
        )


def _finding(layers: list[tuple[Node, Int8Noise]], message: str, advice: str, severity: Severity | None) -> Finding:
    return Finding(
        message=message,
        suggestion=advice,
        nodes=tuple(node.key for node, _ in layers),
        places=len(layers),
        severity=severity,
        details=tuple(
            f"{node.outputs[0]}: {noise.per_tensor_db:.0f} dB a tensor, {noise.per_channel_db:.0f} dB a channel"
            for node, noise in layers[:_LISTED]
        ),
    )


def _noise(ctx: Context, node: Node) -> Int8Noise | None:
    """The float weight of a Conv, Gemm or MatMul, its output channels first."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.domain or len(node.inputs) < 2:
        return None
    if ctx.kernels[ctx.analysis.kernel_of[node.key]].on_host:
        return None
    source, known = ctx.graph.producer(node.inputs[1]), ctx.graph.type_of(node.inputs[1])
    if not ctx.graph.is_constant(node.inputs[1]) or (source is not None and source.op_type == "DequantizeLinear"):
        return None
    if node.op_type == "Conv" or (node.attr("transB", 0) and known.rank == 2):
        return ctx.weights.measured(int8_noise, node.inputs[1])
    return ctx.weights.measured(int8_noise_of_columns, node.inputs[1]) if known.rank == 2 else None


_LAYER = """layer (float[1,64,28,28] x) => (float[1,64,28,28] y) <float[64,64,3,3] w> {
    y = Conv <pads = [1,1,1,1]> (x, w)
}"""
_UNEQUAL = {
    # ranges over two orders of magnitude
    "w": lambda rng, shape: rng.standard_normal(shape) * np.geomspace(0.005, 1, shape[0]).reshape(-1, 1, 1, 1)
}
VALID = [
    # NNIE has no product of 3-D tensors: the host computes it, in floats
    Valid(
        "host (float[1,197,64] x) => (float[1,197,64] y) <float[64,64] w> { y = MatMul (x, w) }",
        device="hi3519",
        weights={"w": lambda rng, shape: rng.standard_normal(shape) * np.geomspace(0.005, 1, shape[1])},
    ),
    Valid(_LAYER, device="hi3519", weights={"w": lambda rng, shape: rng.standard_normal(shape)}),
]
INVALID = [
    Invalid(_LAYER, device="hi3519", weights=_UNEQUAL),
]
