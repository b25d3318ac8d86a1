"""Normalizations, softmax, losses and rotary embeddings: a fixed number of FLOPs per element, no MACs.

Layer norm: mean 1, deviation 1, its square and the sum 2, times 1/std 1, scale 1, shift 1. RMS norm: square and sum 2,
times 1/rms 1, scale 1. Softmax: maximum 1, difference 1, exp, sum 1, times 1/sum 1. The root and division per row are
left out.
"""

from __future__ import annotations

import math

from onnxlint.operators.elementwise import DIV, EXP, SIGMOID, SQRT
from onnxlint.operators.registry import CONTRIB, NHWC, Call, CostFunction, Work, costs

SOFTMAX = EXP + 4
RMS_NORM = 4
LAYER_NORM = 7


def normalization(flops: int, shift: int | None = None) -> CostFunction:
    """So many FLOPs per element of input 0; one less where the shift, input `shift`, is omitted."""
    return lambda call: Work(
        other_flops=call.size(0) * (flops - int(shift is not None and not call.has(shift))),
    )


costs("LayerNormalization")(normalization(LAYER_NORM, 2))
costs("InstanceNormalization", "GroupNormalization")(normalization(LAYER_NORM))
costs("InstanceNormalization", domain=NHWC)(normalization(LAYER_NORM))
costs("QOrderedLayerNormalization", domain=CONTRIB)(normalization(LAYER_NORM, 3))
costs("MeanVarianceNormalization")(normalization(5))
costs("LpNormalization")(normalization(3))  # power, sum, times 1/norm
costs("RMSNormalization", "SimplifiedLayerNormalization")(normalization(RMS_NORM))
costs("SimplifiedLayerNormalization", domain=CONTRIB)(normalization(RMS_NORM))
costs("BranchwiseRMSNorm", domain=CONTRIB)(normalization(RMS_NORM, 1))
costs("GatedRMSNorm", domain=CONTRIB)(normalization(RMS_NORM + SIGMOID + 2))
costs("Softmax", "LogSoftmax")(normalization(SOFTMAX))
costs("QLinearSoftmax", domain=CONTRIB)(normalization(SOFTMAX))
costs("BiasSoftmax", domain=CONTRIB)(normalization(SOFTMAX + 1))


@costs("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=CONTRIB)
def skip_normalization(call: Call) -> Work:
    """Input plus skip plus bias (input 4, or 3 of the RMS form), normalized over the last axis."""
    simplified = call.op_type == "SkipSimplifiedLayerNormalization"
    shift = 0 if simplified else int(call.has(3))
    norm = RMS_NORM if simplified else LAYER_NORM - 1 + shift
    return Work(other_flops=call.size(0) * (1 + int(call.has(3 if simplified else 4)) + norm))


@costs("GroupNorm", "SkipGroupNorm", domain=CONTRIB)
def group_norm(call: Call) -> Work:
    """Group norm, with an optional SiLU behind it; the other form adds a skip (input 3) and a bias (4) first."""
    flops = LAYER_NORM + int(call.has(3)) + int(call.has(4)) + (SIGMOID + 1 if call.number("activation") else 0)
    return Work(other_flops=call.size(0) * flops)


def embedding_norm(word: int, position: int, segment: int) -> CostFunction:
    """Token ids (B, S), tables (entries, hidden), output (B, S, hidden): gather, add up, layer norm."""

    def cost(call: Call) -> Work:
        out, (_, length, hidden) = call.out_size(), call.out_dims()
        adds = 1 + int(call.has(segment))
        reads = {word: call.touched(word, out), position: call.touched(position, length * hidden)}
        if call.has(segment):
            reads[segment] = call.touched(segment, out)
        return Work(other_flops=out * (adds + LAYER_NORM), reads=reads)

    return cost


costs("EmbedLayerNormalization", "QEmbedLayerNormalization", domain=CONTRIB)(embedding_norm(2, 3, 4))


@costs("EngramGate", domain=CONTRIB)
def engram_gate(call: Call) -> Work:
    """RMS norms of key and query, their dot product, a sigmoid of its root per row, and the gated value."""
    rows = math.prod(call.dims(0)[:-1])
    norms = 2 * RMS_NORM + (RMS_NORM if call.has(5) else 0)
    return Work(call.size(0), call.size(0) * (norms + 1) + rows * (SQRT + SIGMOID + 3))


def rotary(cos: int, sin: int, positions: int) -> CostFunction:
    """Input (B, heads, S, D) or (B, S, heads·D), caches (positions, R/2): x·cos ± y·sin, 3 FLOPs per rotated element.

    Only R of the D elements of a head are rotated; only the rows of the caches that the positions name are read.
    """

    def cost(call: Call) -> Work:
        dims, half = call.dims(0), call.dims(cos)[-1]
        heads = dims[1] if len(dims) == 4 else call.number("num_heads")
        width = dims[-1] if len(dims) == 4 else dims[-1] // heads if heads else 2 * half
        rotated = call.size(0) * min(2 * half, width) // max(width, 1)
        tokens = dims[0] * dims[-2]
        reads = {index: call.touched(index, tokens * half) for index in (cos, sin)} if call.has(positions) else {}
        return Work(other_flops=3 * rotated, reads=reads)

    return cost


costs("RotaryEmbedding")(rotary(1, 2, 3))
costs("RotaryEmbedding", "MRotaryEmbedding", domain=CONTRIB)(rotary(2, 3, 1))


@costs("GemmaRotaryEmbedding", domain=CONTRIB)
def gemma_rotary(call: Call) -> Work:
    """sin and cos of the angles, then q·cos + q_rot·sin and the same for k."""
    return Work(other_flops=2 * EXP * call.size(0) + 3 * (call.size(1) + call.size(3)))


@costs("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(call: Call) -> Work:
    """Scores (N, C, …): log-softmax, then a pick, a product with the weight and a sum per label."""
    return Work(other_flops=call.size(0) * SOFTMAX + 2 * call.size(1))


@costs("NegativeLogLikelihoodLoss")
def negative_log_likelihood(call: Call) -> Work:
    """Reads one log-probability per label: a product with the weight and a sum, and a mean's division."""
    return Work(other_flops=2 * call.size(1) + DIV, reads={0: call.touched(0, call.size(1))})
