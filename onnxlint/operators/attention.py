"""Attention: two products per head, MACs = batch · queries · keys · (query width + value width), plus its projections.

A causal mask halves nothing here: kernels that skip masked blocks are a matter of the device. The softmax counts
`SOFTMAX` FLOPs per score, its scale one, a mask or bias one more. A cache is read whole and written at its end.
"""

from __future__ import annotations

import math

from onnxlint.operators.elementwise import SIGMOID, TANH
from onnxlint.operators.normalization import SOFTMAX
from onnxlint.operators.registry import CONTRIB, OMITTED, Call, CostFunction, Work, costs


def score_flops(scores: int, *extra: bool) -> int:
    """Scale and softmax of so many scores, one further FLOP for each `extra` (mask, bias) that is given."""
    return scores * (1 + SOFTMAX + sum(extra))


@costs("Attention")
def attention(call: Call) -> Work:
    """Q, K, V (B, heads, S, d) or (B, S, heads·d), mask, past key and value; outputs Y, present key and value."""
    q, k, v = (call.dims(i) for i in range(3))
    if len(q) == 4:
        batch, heads, queries, width = q
        wide, value = heads * width, heads * v[3]
    else:
        batch, queries, wide = q
        heads, value = call.number("q_num_heads", 1), call.out_dims()[-1]
    keys = k[-2] + (call.dims(4)[-2] if call.has(4) else 0)
    scores = batch * heads * queries * keys
    softcap = scores * (TANH + 2) if call.attr("softcap") else 0
    macs = batch * queries * keys * (wide + value)
    return Work(macs, score_flops(scores, call.has(3)) + softcap, writes={1: math.prod(k), 2: math.prod(v)})


@costs("FlexAttention", domain="ai.onnx.preview")
def flex_attention(call: Call) -> Work:
    """Q, K, V (B, heads, S, d). The graphs that modify scores and probabilities are counted as one FLOP each."""
    (batch, heads, queries, width), keys = call.dims(0), call.dims(1)[-2]
    scores = batch * heads * queries * keys
    modifiers = ("score_mod" in call.attributes, "prob_mod" in call.attributes)
    return Work(scores * (width + call.dims(2)[-1]), score_flops(scores, *modifiers))


def projected(bias: int, past: int, extra: tuple[int, ...], length: int) -> CostFunction:
    """com.microsoft Attention: input (B, S, D), weights (D, q + k + v widths), past (2, B, heads, P, d).

    `bias`, `past` and `length` (the past's length in a shared buffer) are inputs; `extra` masks and biases of scores.
    """

    def cost(call: Call) -> Work:
        batch, queries, _ = call.dims(0)
        _, merged = call.dims(1)
        q, k, v = call.attr("qkv_hidden_sizes") or [merged // 3] * 3
        heads, reads, keys = call.number("num_heads", 1), {}, queries
        if call.has(past):
            buffer = call.dims(past)
            stated = call.scalar(length) if call.number("past_present_share_buffer") else None
            before = buffer[3] if stated is None else min(stated, buffer[3])
            keys += before
            reads[past] = math.prod(buffer) // max(buffer[3], 1) * before
        scores = batch * heads * queries * keys
        flops = score_flops(scores, *map(call.has, extra)) + (batch * queries * merged if call.has(bias) else 0)
        flops += 3 * batch * queries * (q + k) if call.number("do_rotary") else 0
        macs = batch * queries * call.size(1) + batch * queries * keys * (q + v)
        return Work(macs, flops, reads=reads, writes={1: batch * queries * (k + v)})

    return cost


costs("Attention", domain=CONTRIB)(projected(2, 4, (3, 5), 6))
costs("QAttention", domain=CONTRIB)(projected(2, 8, (5,), OMITTED))
costs("DecoderMaskedSelfAttention", domain=CONTRIB)(projected(2, 4, (3, 5), 6))


@costs("QOrderedAttention", domain=CONTRIB)
def ordered_attention(call: Call) -> Work:
    """Input (B, S, D) and three weights (D, width) at inputs 5, 6, 7, their biases at 11, 12, 13."""
    batch, tokens, _ = call.dims(0)
    widths = [call.dims(i)[-1] for i in (5, 6, 7)]
    macs = batch * tokens * sum(call.size(i) for i in (5, 6, 7))
    scores = batch * call.number("num_heads", 1) * tokens * tokens
    flops = score_flops(scores, call.has(17), call.has(19)) + batch * tokens * sum(widths)
    return Work(macs + batch * tokens * tokens * (widths[0] + widths[2]), flops)


@costs("MultiHeadAttention", domain=CONTRIB)
def multi_head_attention(call: Call) -> Work:
    """Query (B, S, D) or packed (B, S, heads, 3, d); key (B, L, D), packed (B, L, heads, 2, d) or (B, heads, L, d).

    Inputs 3 bias, 4 and 5 mask and bias of scores, 6 and 7 past key and value (B, heads, P, d).
    """
    query, (batch, queries, value) = call.dims(0), call.out_dims()
    width = query[2] * query[4] if len(query) == 5 else query[2]
    new = queries
    if len(query) == 3 and call.has(1):
        key = call.dims(1)
        new = key[2] if len(key) == 4 else key[1]
    keys = new + (call.dims(6)[2] if call.has(6) else 0)
    scores = batch * call.number("num_heads", 1) * queries * keys
    bias = batch * (queries * width + new * (width + value)) if call.has(3) else 0
    return Work(
        batch * queries * keys * (width + value),
        score_flops(scores, call.has(4), call.has(5)) + bias,
        writes={1: batch * new * width, 2: batch * new * value},
    )


@costs("DecoderMaskedMultiHeadAttention", domain=CONTRIB)
def decoder_multi_head_attention(call: Call) -> Work:
    """One query per sequence, (B, 1, D) or packed (B, 1, 3·D), past (B, heads, P, d) in a shared buffer.

    Without keys of its own (input 1) it is packed; cross attention has keys (B, heads, L, d) and no past.
    """
    batch, queries, value = call.out_dims()
    query = call.dims(0)[-1]
    width = query if call.has(1) else query // 3
    reads: dict[int, int] = {}
    if call.has(1) and len(call.dims(1)) == 4:
        keys = call.dims(1)[2]
    else:
        keys = queries
        if call.has(5):
            buffer, stated = call.dims(5)[2], call.scalar(7)
            before = buffer if stated is None else min(stated, buffer)
            keys += before
            reads = {5: batch * before * width, 6: batch * before * value}
    scores = batch * call.number("num_heads", 1) * queries * keys
    bias = batch * queries * (2 * width + value) if call.has(10) else 0
    return Work(
        batch * queries * keys * (width + value),
        score_flops(scores, call.has(3), call.has(4)) + bias,
        reads=reads,
        writes={1: batch * queries * width, 2: batch * queries * value},
    )


@costs("GroupQueryAttention", "SparseAttention", domain=CONTRIB)
def group_query_attention(call: Call) -> Work:
    """Query (B, S, heads·d), or packed with its keys and values; past (B, kv heads, P, d); inputs 5 or 7 the length.

    The keys are the constant total length where there is one, else what the present key holds, else past and new.
    SparseAttention attends to the blocks that its layout (CSR, inputs 5 and 6) names: their share of the causal
    triangle. Rotary embedding is 3 FLOPs per element of queries and keys.
    """
    sparse = call.op_type == "SparseAttention"
    batch, queries, wide = call.dims(0)
    heads, kv_heads = call.number("num_heads", 1), call.number("kv_num_heads", 1)
    width = wide // heads if call.has(1) else wide // (heads + 2 * kv_heads)
    new = call.dims(1)[1] if call.has(1) else queries
    keys = _total_length(call, 7 if sparse else 6, new)
    scores = batch * heads * queries * keys
    if sparse:
        scores = _sparse_share(call, scores)
    added = new * batch * kv_heads * width
    before = batch * kv_heads * max(keys - new, 0) * width
    flops = score_flops(scores, call.has(10) and not sparse)
    reads = {3: call.touched(3, before), 4: call.touched(4, before)} if call.has(3) else {}
    if call.number("do_rotary"):
        flops += 3 * (batch * queries * heads * width + added)
        cos = 9 if sparse else 7
        reads |= {i: call.touched(i, batch * queries * call.dims(i)[-1]) for i in (cos, cos + 1) if call.has(i)}
    return Work(2 * scores * width, flops, reads=reads, writes={1: added, 2: added})


def _total_length(call: Call, stated: int, new: int) -> int:
    known = call.scalar(stated)
    if known is not None and known >= 0:
        return known
    present = call.outputs[1] if len(call.outputs) > 1 else None
    if present is not None and present.is_known and present.rank == 4:
        return present.dims[2]
    return new + (call.dims(3)[2] if call.has(3) else 0)


def _sparse_share(call: Call, scores: int) -> int:
    layouts, edges = call.dims(5)
    blocks = edges - 1
    triangle = max(blocks * (blocks + 1) // 2, 1)
    return scores * min(call.dims(6)[-1], triangle) // triangle if layouts else scores


@costs("PackedAttention", "PackedMultiHeadAttention", domain=CONTRIB)
def packed_attention(call: Call) -> Work:
    """Tokens (T, D) of sequences without padding; token_offset (B, S) gives the padded size, an upper bound of scores.

    PackedAttention projects: weights (D, q + k + v widths) at input 1, bias at 2.
    """
    tokens, (count, value) = call.dims(0)[0], call.out_dims()
    packed = call.op_type == "PackedAttention"
    batch, length = call.dims(3 if packed else 4)
    width = call.dims(0)[-1] if not packed and len(call.dims(0)) == 2 else value
    merged = call.dims(1)[1] if packed else 0
    scores = batch * call.number("num_heads", 1) * length * length
    macs = tokens * (call.size(1) if packed else 0) + batch * length * length * (width + value)
    bias = count * (merged if packed else 2 * width + value) if call.has(2 if packed else 3) else 0
    return Work(macs, score_flops(scores, call.has(5 if packed else 6)) + bias)


@costs("LongformerAttention", "QOrderedLongformerAttention", domain=CONTRIB)
def longformer_attention(call: Call) -> Work:
    """Input (B, S, D), weight (D, 3·D): every token attends to `window` tokens on each side and to itself.

    How many tokens attend globally is data; they are left out.
    """
    batch, tokens, _ = call.dims(0)
    weight, bias = (1, 2) if call.op_type == "LongformerAttention" else (2, 4)
    hidden = call.out_dims()[-1]
    keys = min(2 * call.number("window", 1) + 1, tokens)
    scores = batch * call.number("num_heads", 1) * tokens * keys
    macs = batch * tokens * call.size(weight) + 2 * batch * tokens * keys * hidden
    return Work(macs, score_flops(scores, True) + (batch * tokens * call.dims(weight)[-1] if call.has(bias) else 0))


@costs("DecoderAttention", domain=CONTRIB)
def decoder_attention(call: Call) -> Work:
    """Query (S, B, D), key (T, B, D), weights (D, D) and (D, 2·D): as without a cache, which data decides."""
    (queries, batch, hidden), keys = call.dims(0), call.dims(1)[0]
    macs = batch * (queries * call.size(2) + keys * call.size(3) + 2 * queries * keys * hidden)
    scores = batch * call.number("num_heads", 1) * queries * keys
    return Work(macs, score_flops(scores, True) + batch * hidden * (queries + 2 * keys))


@costs("GatedRelativePositionBias", domain=CONTRIB)
def gated_relative_position_bias(call: Call) -> Work:
    """Query (B, S, heads·d), weight (d, D): a product per head, sums of two halves, their sigmoids, gate of (S, S)."""
    batch, heads, queries, _ = call.out_dims()
    rows = batch * heads * queries
    depth = call.dims(3)[1]
    flops = rows * (call.dims(3)[0] + 2 * depth + 2 * SIGMOID + 3) + call.out_size()
    return Work(rows * call.size(3), flops)


@costs("HyperConnectionPreMix", domain=CONTRIB)
def pre_mix(call: Call) -> Work:
    """Streams (…, C, H): a weighted sum over C, scaled."""
    return Work(call.size(0), call.out_size())


@costs("HyperConnectionPostMix", domain=CONTRIB)
def post_mix(call: Call) -> Work:
    """Streams (…, C, H) mixed by (…, C, C) if given, plus the gated block output."""
    return Work(call.size(0) * call.dims(3)[-1] if call.has(3) else 0, 2 * call.out_size())
