"""Recurrent networks and attention against counts by their definitions."""

import pytest
from operators.calls import work

from onnxlint.operators.elementwise import SIGMOID, TANH
from onnxlint.operators.normalization import SOFTMAX

MS = "com.microsoft"


@pytest.mark.parametrize(("op_type", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize(("direction", "directions"), [("forward", 1), ("bidirectional", 2)])
@pytest.mark.parametrize("layout", [0, 1])
def test_recurrent_networks_count_their_gates(op_type, gates, direction, directions, layout):
    steps, batch, width, hidden = 5, 2, 3, 4
    x = (batch, steps, width) if layout else (steps, batch, width)
    weights = [(directions, gates * hidden, width), (directions, gates * hidden, hidden)]
    found = work(op_type, [x, *weights], [None], direction=direction, hidden_size=hidden, layout=layout)
    assert found.macs == directions * batch * steps * gates * hidden * (width + hidden)
    assert found.reads == {2: steps * directions * gates * hidden * hidden}
    biased = work(op_type, [x, *weights, (directions, 2 * gates * hidden)], [None], hidden_size=hidden, layout=layout)
    assert biased.other_flops - found.other_flops == directions * batch * steps * gates * hidden


def test_lstm_cell():
    found = work("LSTM", [(1, 1, 3), (1, 16, 3), (1, 16, 4)], [(1, 1, 1, 4)], hidden_size=4)
    assert found.other_flops == 4 * (3 * SIGMOID + 2 * TANH + 4)
    listed = work("LSTM", [(1, 1, 3), (1, 16, 3), (1, 16, 4)], [None], activations=["Relu", "Relu", "Relu"])
    assert listed.other_flops == 4 * (5 + 4)


def test_dynamic_quantized_lstm_is_an_lstm_with_transposed_weights():
    plain = work("LSTM", [(5, 2, 3), (1, 16, 3), (1, 16, 4)], [None], hidden_size=4)
    turned = work("DynamicQuantizeLSTM", [(5, 2, 3), (1, 3, 16), (1, 4, 16)], [None], domain=MS, hidden_size=4)
    assert turned == plain


def test_attention_without_projections():
    four = work("Attention", [(2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 10)], [(2, 3, 4, 10)])
    assert four.macs == 2 * 3 * 4 * 6 * (8 + 10)
    assert four.other_flops == 2 * 3 * 4 * 6 * (1 + SOFTMAX)
    three = work("Attention", [(2, 4, 24), (2, 6, 24), (2, 6, 30)], [(2, 4, 30)], q_num_heads=3, kv_num_heads=3)
    assert (three.macs, three.other_flops) == (four.macs, four.other_flops)


def test_attention_with_grouped_heads_and_a_cache_writes_only_the_new_tokens():
    shapes = [(1, 8, 1, 64), (1, 2, 1, 64), (1, 2, 1, 64), None, (1, 2, 99, 64), (1, 2, 99, 64)]
    found = work("Attention", shapes, [(1, 8, 1, 64), (1, 2, 100, 64), (1, 2, 100, 64)])
    assert found.macs == 8 * 100 * 128
    assert found.writes == {1: 128, 2: 128}
    assert 4 not in found.reads  # whole


def bert(op_type="Attention", **more):
    return work(op_type, [(1, 128, 768), (768, 2304), (2304,)], [(1, 128, 768)], domain=MS, num_heads=12, **more)


def test_contrib_attention_contains_its_projections():
    assert bert().macs == 128 * 768 * 2304 + 2 * 128 * 128 * 768
    assert bert().other_flops == 128 * 2304 + 12 * 128 * 128 * (1 + SOFTMAX)
    assert bert("QAttention").macs == bert().macs


def test_contrib_attention_with_other_widths_and_a_past():
    shapes = [(1, 1, 64), (64, 64 + 64 + 32), (160,), None, (2, 1, 4, 7, 16)]
    found = work("Attention", shapes, [(1, 1, 32)], domain=MS, num_heads=4, qkv_hidden_sizes=[64, 64, 32])
    assert found.macs == 64 * 160 + 8 * (64 + 32)
    assert found.reads == {4: 2 * 4 * 7 * 16}
    assert found.writes == {1: 96}


def test_multi_head_attention_and_its_packed_forms_agree():
    plain = work("MultiHeadAttention", [(2, 5, 32), (2, 5, 32), (2, 5, 32)], [(2, 5, 32)], domain=MS, num_heads=4)
    assert plain.macs == 2 * 5 * 5 * 64
    packed = work("MultiHeadAttention", [(2, 5, 4, 3, 8)], [(2, 5, 32)], domain=MS, num_heads=4)
    assert packed.macs == plain.macs
    cross = work("MultiHeadAttention", [(2, 5, 32), (2, 4, 9, 8), (2, 4, 9, 8)], [(2, 5, 32)], domain=MS, num_heads=4)
    assert cross.macs == 2 * 5 * 9 * 64
    pair = work("MultiHeadAttention", [(2, 5, 32), (2, 9, 4, 2, 8)], [(2, 5, 32)], domain=MS, num_heads=4)
    assert pair.macs == cross.macs


def group_query(*outputs, packed=False, values=None, past=(2, 2, 100, 16), **more):
    query = [(2, 1, (8 + 4) * 16), None, None] if packed else [(2, 1, 128), (2, 1, 32), (2, 1, 32)]
    shapes = [*query, past, past, (2,), ()]
    heads = {"num_heads": 8, "kv_num_heads": 2}
    return work("GroupQueryAttention", shapes, [(2, 1, 128), *outputs], domain=MS, values=values, **heads, **more)


@pytest.mark.parametrize("packed", [False, True])
def test_group_query_attention_reads_the_cache_and_writes_its_end(packed):
    grown = group_query((2, 2, 101, 16), (2, 2, 101, 16), packed=packed)
    assert grown.macs == 2 * 8 * 101 * 2 * 16
    assert grown.reads == {3: 2 * 2 * 100 * 16, 4: 2 * 2 * 100 * 16}
    assert grown.writes == {1: 64, 2: 64}


def test_group_query_attention_takes_the_length_from_a_constant_or_the_shared_buffer():
    stated = group_query((2, 2, 100, 16), (2, 2, 100, 16), values={6: 10})
    assert stated.macs == 2 * 8 * 10 * 2 * 16
    assert stated.reads[3] == 2 * 2 * 9 * 16
    shared = group_query((2, 2, 100, 16), (2, 2, 100, 16))
    assert shared.macs == 2 * 8 * 100 * 2 * 16


def test_sparse_attention_of_a_full_causal_layout_is_dense():
    shapes = [(1, 4, 64), (1, 4, 64), (1, 4, 64), (1, 4, 4, 16), (1, 4, 4, 16), (1, 5), (1, 10), (), (1,)]
    found = work("SparseAttention", shapes, [(1, 4, 64)], domain=MS, num_heads=4, kv_num_heads=4, values={7: 4})
    assert found.macs == 2 * 4 * 4 * 64
    shapes[6] = (1, 5)
    half = work("SparseAttention", shapes, [(1, 4, 64)], domain=MS, num_heads=4, kv_num_heads=4, values={7: 4})
    assert half.macs == found.macs // 2


def test_decoder_attention_reads_what_is_filled_of_its_buffer():
    past = (1, 4, 64, 8)
    shapes = [(1, 1, 32), (1, 1, 32), (1, 1, 32), None, None, past, past, ()]
    found = work("DecoderMaskedMultiHeadAttention", shapes, [(1, 1, 32)], domain=MS, num_heads=4, values={7: 10})
    assert (found.macs, found.reads) == (11 * 64, {5: 320, 6: 320})


def test_linear_attention_counts_one_contraction_per_use_of_the_state():
    shapes = [(2, 4, 32), (2, 4, 32), (2, 4, 64), None, (2, 4, 4), (2, 4, 4)]
    heads = {"q_num_heads": 4, "kv_num_heads": 4}
    uses = {"linear": 2, "gated": 2, "delta": 3, "gated_delta": 3}
    for rule, times in uses.items():
        assert (
            work("LinearAttention", shapes, [(2, 4, 64)], update_rule=rule, **heads).macs == 2 * 4 * 4 * 8 * 16 * times
        )


def test_rotary_embedding_turns_only_the_rotary_dims():
    full = work("RotaryEmbedding", [(1, 4, 3, 8), (50, 4), (50, 4), (1, 3)], [(1, 4, 3, 8)])
    assert (full.other_flops, full.reads) == (3 * 96, {1: 12, 2: 12})
    part = work("RotaryEmbedding", [(1, 4, 3, 8), (50, 2), (50, 2), (1, 3)], [(1, 4, 3, 8)], rotary_embedding_dim=4)
    assert part.other_flops == 3 * 48
    flat = work("RotaryEmbedding", [(1, 3, 32), (1, 3), (50, 4), (50, 4)], [(1, 3, 32)], domain=MS)
    assert flat.other_flops == full.other_flops
