"""What ONNX Runtime 1.32 fuses in decoders of language models: packed weights, routers, gates, state-space layers."""

from __future__ import annotations

import math

from onnxlint.operators.elementwise import EXP, LOG, SIGMOID, activation_flops
from onnxlint.operators.normalization import RMS_NORM
from onnxlint.operators.registry import CONTRIB, Call, Work, costs, no_cost

SWIGLU = SIGMOID + 4  # times alpha, times G, plus beta, times the sum
CLAMPS = 3  # one bound of the gate, two of the other half

no_cost(
    "how many captured steps it replays is data",
    *("ConvStateReplay", "GatedDeltaNetStateReplay"),
    domain=CONTRIB,
)
no_cost("how many drafted tokens it accepts is data", "SpeculativePrefixCommit", domain=CONTRIB)
no_cost("which keys are selected, and how many, is data", "PackedSparseAttentionIndexerMerge", domain=CONTRIB)


def _rows(call: Call) -> int:
    """The rows of input 0: the product of all its dims but the last."""
    return math.prod(call.dims(0)[:-1])


@costs("SwiGLU", domain=CONTRIB)
def swiglu(call: Call) -> Work:
    """G·sigmoid(alpha·G)·(L + beta) per element of one half; a positive limit clamps both halves."""
    return Work(other_flops=call.out_size() * _swiglu(call))


def _swiglu(call: Call) -> int:
    return SWIGLU + (CLAMPS if float(call.attr("limit", 0.0)) > 0 else 0)


@costs("RouterGateUpProj", domain=CONTRIB)
def router_gate_up(call: Call) -> Work:
    """One product X (…, K) · W (K, router + 2·inter), and the gated activation of the two halves behind the router."""
    _, columns = call.dims(1)
    inter = (columns - call.number("router_size")) // 2
    kind = call.text("activation", "swiglu")
    gate = _swiglu(call) if kind == "swiglu" else activation_flops(kind) + 1
    return Work(call.size(0) * columns, _rows(call) * inter * gate)


@costs("MatMulPacked", domain=CONTRIB)
def packed_matmul(call: Call) -> Work:
    """A (…, K) times packed rows (N, bytes); perhaps a scale (input 2) and an activation per element."""
    out = _rows(call) * call.number("N")
    return Work(out * call.number("K"), out * (int(call.has(2)) + activation_flops(call.text("activation_type"))))


@costs("MatMulNBitsQLoRA", domain=CONTRIB)
def qlora_matmul(call: Call) -> Work:
    """X (…, K) → (…, N), plus an adapter of rank R: K → R → N. An empty adapter (input 3 or 5) multiplies nothing."""
    rows, depth, wide = _rows(call), call.number("K"), call.number("N")
    rank = call.dims(4)[0]
    down = rank * depth if call.size(3) else 0
    up = rank * wide if call.size(5) else 0
    return Work(rows * (depth * wide + down + up), rows * wide if up else 0)


@costs("GatherPacked", domain=CONTRIB)
def packed_gather(call: Call) -> Work:
    """Rows of a packed table (vocabulary, bytes): what is gathered is read, one product each dequantizes it."""
    rows = call.size(1)
    return Work(other_flops=rows * call.number("K"), reads={0: call.touched(0, rows * call.dims(0)[1])})


@costs("MoEPacked", domain=CONTRIB)
def packed_experts(call: Call) -> Work:
    """Gate, up (inputs 2 and 3: E, inter, bytes) and down (4: E, hidden, bytes) of k experts a token."""
    hidden, tokens = call.dims(0)[-1], _rows(call)
    experts, inter, _ = call.dims(2)
    pairs = tokens * min(call.number("k", 1), experts)
    weights = [index for index in (2, 3, 4) if call.has(index)]
    gate = SWIGLU if call.has(3) else 2  # relu² otherwise
    reads = {index: call.size(index) // experts * min(experts, pairs) for index in weights}
    flops = pairs * (inter * gate + 2 * hidden) + call.size(1) * (SIGMOID + 2)
    return Work(pairs * inter * hidden * len(weights), flops, reads=reads)


@costs("MoEGroupRouter", domain=CONTRIB)
def group_router(call: Call) -> Work:
    """Logits (…, E), or rows times a projection (E, width): sigmoid, bias and a comparison; a logarithm per choice."""
    rows, experts = _rows(call), call.size(1)
    macs = rows * call.size(2) if call.has(2) else 0
    return Work(macs, rows * (experts * (SIGMOID + 2) + call.number("top_k", 1) * LOG))


@costs("HyperConnectionLowRankMix", domain=CONTRIB)
def low_rank_mix(call: Call) -> Work:
    """Streams (…, C·H): an RMS norm, down and up projection and injection (inputs 2, 3, 4), gates, a weighted sum.

    With the previous block's output (input 5) its gated sum into the streams comes first.
    """
    rows, elements = _rows(call), call.size(0)
    rank, branches = call.dims(2)[1], call.dims(4)[1]
    macs = rows * (call.size(2) + call.size(3) + call.size(4)) + elements * (1 + int(call.has(5)))
    gates = rows * (rank * (SIGMOID + 2) + branches * (SIGMOID + 2)) + elements * SIGMOID
    return Work(macs, elements * RMS_NORM + gates + elements // branches)


@costs("RMSNormRotary", domain=CONTRIB)
def norm_rotary(call: Call) -> Work:
    """X (B, S, heads, stride), of which a slice as wide as the scale is normalized and its first part rotated."""
    heads, width = _rows(call), call.size(1)
    rotated = call.number("rotary_embedding_dim")
    batch, steps = call.dims(0)[:2]
    reads = {0: heads * width} | {i: call.touched(i, batch * steps * rotated // 2) for i in (3, 4)}
    return Work(other_flops=heads * (RMS_NORM * width + 3 * rotated), reads=reads)


@costs("Mamba2Verify", domain=CONTRIB)
def mamba2_verify(call: Call) -> Work:
    """Per row (R, width): four taps a channel, the update and the read-out of (heads, d_state, head_dim), gated norm.

    One snapshot of each state is read; all are written.
    """
    rows, heads = call.dims(0)[0], call.number("heads")
    slots, channels, kept = call.dims(1)
    inner, state = heads * call.number("head_dim", 64), math.prod(call.dims(2)[1:])
    macs = rows * (channels * (kept + 1) + 2 * state + inner)
    flops = rows * (channels * (SIGMOID + 2) + heads * 2 * EXP + state + inner * (1 + RMS_NORM + SIGMOID + 2))
    return Work(macs, flops, reads={1: channels * kept, 2: state} if slots else {1: 0, 2: 0})
