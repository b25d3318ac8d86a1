"""Reductions, scans, searches and sorts: FLOPs by input elements, no MACs."""

from __future__ import annotations

from onnxlint.operators.elementwise import DIV, EXP, LOG, SQRT
from onnxlint.operators.registry import CONTRIB, Call, CostFunction, Work, costs

OVERLAP = 15 + DIV
"""FLOPs of one intersection over union: corners 4, sides 4, areas 3, union 2, clamps 2, and the division."""


def reduction(per_input: int, per_output: int = 0) -> CostFunction:
    """So many FLOPs per input element, and per result; the axes (an input in new opsets) are not moved."""
    return lambda call: Work(
        other_flops=per_input * call.size(0) + (per_output * call.out_size() if per_output else 0), reads={1: 0}
    )


costs("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ArgMax", "ArgMin")(reduction(1))
costs("ReduceSumInteger", domain=CONTRIB)(reduction(1))
costs("ReduceMean")(reduction(1, 1))
costs("ReduceL1", "ReduceSumSquare")(reduction(2))
costs("ReduceL2")(reduction(2, SQRT))
costs("ReduceLogSum")(reduction(1, LOG))
costs("ReduceLogSumExp")(reduction(EXP + 3, LOG + 1))  # maximum, subtract, exp, sum
costs("CumSum", "CumProd")(reduction(1))


@costs("QLinearReduceMean", domain=CONTRIB)
def qlinear_reduce_mean(call: Call) -> Work:
    """ReduceMean at 8 bits: data, then scales and zero points."""
    return Work(other_flops=call.size(0) + call.out_size())


@costs("Hardmax", "NonZero")
@costs("IsAllFinite", domain=CONTRIB)
def one_pass(call: Call) -> Work:
    """One comparison per input element."""
    return Work(other_flops=sum(call.size(i) for i in range(len(call.inputs)) if call.has(i)))


@costs("TopK")
def top_k(call: Call) -> Work:
    """A heap of the k best: log2(k) comparisons per input element, at least one. k is the output's last axis."""
    axis = call.number("axis", -1)
    k = call.out_dims()[axis]
    return Work(other_flops=call.size(0) * max(_log2(k), 1), reads={1: 0})


@costs("Unique")
@costs("Unique", domain=CONTRIB)
def unique(call: Call) -> Work:
    """A sort: n·log2(n) comparisons."""
    return Work(other_flops=call.size(0) * max(_log2(call.size(0)), 1))


@costs("NonMaxSuppression")
def non_max_suppression(call: Call) -> Work:
    """Boxes (B, N, 4), scores (B, C, N): one comparison per score, and each pair among the K boxes kept per class.

    How many boxes pass the score threshold is data; K is `max_output_boxes_per_class` where that is a constant.
    """
    batch, classes, boxes = call.dims(1)
    kept = min(max(call.scalar(2) or 0, 0), boxes)
    pairs = batch * classes * (kept * (kept - 1) // 2)
    return Work(other_flops=call.size(1) + pairs * OVERLAP, reads={2: 0, 3: 0, 4: 0})


@costs("Multinomial")
def multinomial(call: Call) -> Work:
    """Log-probabilities (B, classes): exp and running sum, then a binary search per sample."""
    return Work(other_flops=call.size(0) * (EXP + 1) + call.out_size() * max(_log2(call.dims(0)[-1]), 1))


@costs("Det")
def determinant(call: Call) -> Work:
    """LU decomposition of (…, n, n): 2n³/3 FLOPs per matrix (Golub and Van Loan)."""
    return Work(other_flops=2 * call.size(0) * call.dims(0)[-1] // 3)


@costs("Inverse", domain=CONTRIB)
def inverse(call: Call) -> Work:
    """Inverse of (…, n, n): 2n³ FLOPs per matrix (Golub and Van Loan)."""
    return Work(other_flops=2 * call.size(0) * call.dims(0)[-1])


@costs("DynamicTimeWarping", domain=CONTRIB)
def dynamic_time_warping(call: Call) -> Work:
    """The least of three neighbours and a sum per cell of the cost matrix."""
    return Work(other_flops=3 * call.size(0))


@costs("NGramRepeatBlock", domain=CONTRIB)
def ngram_repeat_block(call: Call) -> Work:
    """Every n-gram of the tokens is compared with the last one."""
    return Work(other_flops=call.size(0) * max(call.number("ngram_size", 1), 1))


def _log2(count: int) -> int:
    """log2, rounded up."""
    return max(count - 1, 0).bit_length()


@costs("DFT")
def discrete_fourier_transform(call: Call) -> Work:
    """Input (…, N, …, 1 or 2): a fast Fourier transform, 5·N·log2(N) FLOPs each (the FFTW convention), half if real.

    The inputs `dft_length` and `axis` (an attribute in opset 17) are taken where they are constants.
    """
    dims, out = call.dims(0), call.out_dims()
    stated = call.scalar(2) if call.version >= 20 else call.number("axis", 1)
    axis = -2 if stated is None else stated
    length = call.scalar(1) or max(dims[axis], out[axis])
    batch = call.size(0) // max(dims[axis] * dims[-1], 1)
    return Work(other_flops=batch * fourier(length, real=dims[-1] == 1 or out[-1] == 1), reads={1: 0, 2: 0})


@costs("STFT")
def short_time_fourier_transform(call: Call) -> Work:
    """Output (batch, frames, bins, 2): the window's products and one fast Fourier transform per frame."""
    out, real = call.out_dims(), call.dims(0)[-1] != 2
    length = call.scalar(3) or (call.size(2) if call.has(2) else None)
    if length is None:
        length = 2 * (out[-2] - 1) if call.number("onesided", 1) else out[-2]
    window = length * (1 if real else 2) if call.has(2) else 0
    flops = out[0] * out[1] * (fourier(length, real=real) + window)
    return Work(other_flops=flops, reads={1: 0, 3: 0})


@costs("Rfft", "Irfft", domain=CONTRIB)
def real_fourier_transform(call: Call) -> Work:
    """Rfft: real (…, N) to (…, N/2 + 1, 2); Irfft the other way. One or more trailing signal dims."""
    signal = call.dims(0) if call.op_type == "Rfft" else call.out_dims()
    length, batch = 1, 1
    ndim = call.number("signal_ndim", 1)
    for position, size in enumerate(signal):
        length, batch = (length * size, batch) if position >= len(signal) - ndim else (length, batch * size)
    return Work(other_flops=batch * fourier(length, real=True))


def fourier(length: int, real: bool) -> int:
    """FLOPs of one transform: 5·N·log2(N), the logarithm rounded up; half of it for a real signal."""
    flops = 5 * length * _log2(length)
    return flops // 2 if real else flops
