"""Matrix products: MACs = batch·M·N·K, written as output elements times the length K of the contraction."""

from __future__ import annotations

import math
from collections import Counter

from onnxlint.operators.elementwise import SIGMOID, SQRT, TANH_GELU, activation_flops
from onnxlint.operators.registry import CONTRIB, OMITTED, Call, CostFunction, Work, costs


def contraction(a: int, bias: int) -> CostFunction:
    """A (…, M, K) times B (…, K, N): numpy.matmul, 1-D operands and broadcasting included; `bias` is an input."""

    def cost(call: Call) -> Work:
        out = call.out_size()
        return Work(out * call.dims(a)[-1], out if call.has(bias) else 0)

    return cost


costs("MatMul", "MatMulInteger", "QLinearMatMul")(contraction(0, OMITTED))
costs("MatMulInteger16", "MatMulBnb4", "MatMulFpQ4", domain=CONTRIB)(contraction(0, OMITTED))
costs("MatMulIntegerToFloat", domain=CONTRIB)(contraction(0, 6))
costs("DynamicQuantizeMatMul", "MatMulBlockQuantizedFp8Weight", domain=CONTRIB)(contraction(0, 4))
costs("MatMulNBits", "MatMulBlockQuantizedFp4Weight", "QOrderedMatMul", domain=CONTRIB)(contraction(0, 5))


def gemm(bias: int) -> CostFunction:
    """A (M, K), or (K, M) with transA, times B plus C: the addition is one FLOP per output element."""

    def cost(call: Call) -> Work:
        rows, columns = call.dims(0)
        out = call.out_size()
        return Work(out * (rows if call.number("transA") else columns), out if call.has(bias) else 0)

    return cost


costs("Gemm")(gemm(2))
costs("QGemm", domain=CONTRIB)(gemm(6))


@costs("FusedGemm", "GemmFloat8", domain=CONTRIB)
def fused_gemm(call: Call) -> Work:
    """Gemm with an activation in its epilogue."""
    plain = gemm(2)(call)
    return Work(plain.macs, plain.other_flops + call.out_size() * activation_flops(call.text("activation")))


@costs("GemmFastGelu", domain=CONTRIB)
def gemm_fast_gelu(call: Call) -> Work:
    """MatMul, bias and FastGelu."""
    plain = contraction(0, 2)(call)
    return Work(plain.macs, plain.other_flops + call.out_size() * TANH_GELU)


@costs("FusedMatMul", "TransposeMatMul", "FusedMatMulActivation", domain=CONTRIB)
def fused_matmul(call: Call) -> Work:
    """MatMul with transA: A (…, K, M). With transBatchA the first dim trades places with the batch dims."""
    a = call.dims(0)
    transposed = call.number("transA") and len(a) > 1
    depth = a[0 if call.number("transBatchA") else -2] if transposed else a[-1]
    return Work(call.out_size() * depth, call.out_size() * activation_flops(call.text("activation")))


@costs("SparseToDenseMatMul", domain=CONTRIB)
def sparse_to_dense_matmul(call: Call) -> Work:
    """As if A were dense: how many of its elements are zero is not known."""
    b = call.dims(1)
    return Work(call.out_size() * b[-1 if call.number("transB") else -2])


@costs("MatMulNBitsMlp", domain=CONTRIB)
def nbits_mlp(call: Call) -> Work:
    """Two projections (…, K) → (…, N) of one input, gated: activation(gate)·up; before them, perhaps an RMS norm."""
    out, depth = call.out_size(), call.dims(0)[-1]
    flops = out * (int(call.has(5)) + int(call.has(8)) + activation_flops(call.text("activation", "silu")) + 1)
    return Work(2 * out * depth, flops + _norm(call, 2))


@costs("MatMulNBitsQkv", domain=CONTRIB)
def nbits_qkv(call: Call) -> Work:
    """An RMS norm and three projections of its result: outputs Q, K, V."""
    outs = [call.out_size(i) for i in range(3)]
    biases = sum(out for out, bias in zip(outs, (5, 8, 11), strict=True) if call.has(bias))
    return Work(sum(outs) * call.dims(0)[-1], biases + _norm(call, 2))


def _norm(call: Call, scale: int) -> int:
    """Square, add, multiply, scale; one more to add a skip (input 1)."""
    return call.size(0) * (4 + int(call.has(1))) if call.has(scale) else 0


@costs("CDist", domain=CONTRIB)
def cdist(call: Call) -> Work:
    """Distances of (M, K) to (N, K) by |a|² + |b|² - 2ab: one product of matrices, then two sums and a root."""
    return Work(call.out_size() * call.dims(0)[-1], call.out_size() * (2 + SQRT) + 2 * (call.size(0) + call.size(1)))


@costs("MoE", domain=CONTRIB)
def mixture_of_experts(call: Call) -> Work:
    """Input (…, D), router (tokens, E), fc1, fc2 and perhaps fc3 weights at 2, 4, 6 with E first: k experts a token."""
    return _experts(call, (2, 4, 6), (1, 1, 1))


@costs("QMoE", domain=CONTRIB)
def quantized_mixture_of_experts(call: Call) -> Work:
    """MoE with weights at 2, 5, 8 packed into bytes: 8/bits weights per element."""
    bits = call.number("expert_weight_bits", 4)
    if call.text("quant_type").startswith(("fp8", "wfp8")):
        bits = 8
    packing = [8 // (call.number(f"fc{i}_expert_weight_bits") or bits) for i in (1, 2, 3)]
    return _experts(call, (2, 5, 8), tuple(packing))


def _experts(call: Call, weights: tuple[int, ...], packing: tuple[int, ...]) -> Work:
    tokens, k = call.size(0) // max(call.dims(0)[-1], 1), call.number("k", 1)
    experts = call.dims(weights[0])[0]
    chosen = min(k, experts)
    given = [(index, per) for index, per in zip(weights, packing, strict=True) if call.has(index)]
    macs = sum(tokens * chosen * (call.size(index) // experts) * per for index, per in given)
    hidden = call.size(weights[1]) * packing[1] // experts // max(call.dims(0)[-1], 1)  # fc2 is (E, D, hidden)
    flops = tokens * chosen * (hidden * activation_flops(call.text("activation_type", "relu")) + 2 * call.dims(0)[-1])
    touched = min(experts, tokens * chosen)
    reads = {index: call.size(index) // experts * touched for index, _ in given}
    return Work(macs, flops + call.size(1) * (SIGMOID + 2), reads=reads)


@costs("Einsum")
def einsum(call: Call) -> Work:
    """Pairwise, from left to right: each product costs the product of the sizes of all labels of its two operands.

    Labels that neither a later operand nor the output has are summed away in between. One operand alone is a sum
    (one FLOP per element) or a mere rearrangement; a product that sums nothing counts as a contraction of length 1.
    """
    terms, result, sizes = einsum_labels(call)
    macs = 0
    left = set(terms[0])
    for position, term in enumerate(terms[1:], start=1):
        union = left | set(term)
        macs += math.prod(sizes[label] for label in union)
        left = union & set(result).union(*terms[position + 1 :])
    summed = len(terms) == 1 and not left <= set(result)
    return Work(macs, call.size(0) if summed else 0)


def einsum_labels(call: Call) -> tuple[list[list[str]], list[str], dict[str, int]]:
    """The labels of each operand and of the result, and each label's size; `…` becomes one label per dim it covers."""
    equation = call.text("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    texts = left.split(",")
    if len(texts) != len(call.inputs):
        raise ValueError("an equation has one term per operand")
    terms, sizes, covered = [], dict[str, int](), 0
    for index, text in enumerate(texts):
        dims = call.dims(index)
        hidden = len(dims) - len(text.replace("...", ""))
        covered = max(covered, hidden if "..." in text else 0)
        labels = _expand(text, hidden)
        for label, size in zip(labels, dims, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
        terms.append(labels)
    if arrow:
        return terms, _expand(right, covered), sizes
    counts = Counter("".join(texts).replace(".", ""))
    once = sorted(label for label, count in counts.items() if count == 1)
    return terms, _expand("...", covered) + once, sizes


def _expand(text: str, hidden: int) -> list[str]:
    before, dots, after = text.partition("...")
    return [*before, *(f".{i}" for i in range(hidden, 0, -1) if dots), *after]
