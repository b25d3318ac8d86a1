"""Decoder operators of ONNX Runtime 1.32 against counts by hand."""

import pytest
from operators.calls import work

from onnxlint.operators import is_parameter_input, weights_per_element, why_unknown
from onnxlint.operators.elementwise import LOG, SIGMOID
from onnxlint.operators.normalization import RMS_NORM

MS = "com.microsoft"


def test_swiglu_is_counted_on_one_half_and_clamped_only_with_a_limit():
    split = work("SwiGLU", [(2, 8), (2, 8)], [(2, 8)], domain=MS)
    assert split == work("SwiGLU", [(2, 16)], [(2, 8)], domain=MS)
    assert (split.macs, split.other_flops) == (0, 16 * (SIGMOID + 4))
    assert work("SwiGLU", [(2, 16)], [(2, 8)], domain=MS, limit=7.0).other_flops == 16 * (SIGMOID + 7)


def test_one_product_gives_router_gate_and_up():
    found = work("RouterGateUpProj", [(1, 3, 16), (16, 4 + 2 * 8)], [(1, 3, 4), (1, 3, 8)], domain=MS, router_size=4)
    assert (found.macs, found.other_flops) == (3 * 16 * 20, 3 * 8 * (SIGMOID + 4))


def test_packed_product_counts_weights_and_not_bytes():
    found = work("MatMulPacked", [(2, 3, 64), (10, 36), ()], [(2, 3, 10)], domain=MS, N=10, K=64)
    assert (found.macs, found.other_flops) == (6 * 10 * 64, 60)


@pytest.mark.parametrize(
    ("down", "up", "macs", "sums"),
    [
        ((4, 2, 16), (10, 1, 16), 3 * (64 * 10 + 64 * 4 + 4 * 10), 30),
        ((0, 2, 16), (10, 1, 16), 3 * (64 * 10 + 4 * 10), 30),
        ((4, 2, 16), (10, 0, 16), 3 * (64 * 10 + 4 * 64), 0),
        ((0, 2, 16), (10, 0, 16), 3 * 64 * 10, 0),
    ],
)
def test_an_empty_adapter_multiplies_nothing(down, up, macs, sums):
    inputs = [(3, 64), (10, 2, 16), (10, 2), down, (4, 2), up, (10, 1)]
    found = work("MatMulNBitsQLoRA", inputs, [(3, 10)], domain=MS, N=10, K=64)
    assert (found.macs, found.other_flops) == (macs, sums)


def test_packed_gather_reads_the_rows_that_it_takes():
    found = work("GatherPacked", [(1000, 36), (2, 3)], [(2, 3, 64)], domain=MS, K=64)
    assert (found.other_flops, found.reads) == (6 * 64, {0: 6 * 36})


def test_packed_experts_multiply_and_read_only_the_chosen():
    inputs = [(1, 1, 32), (1, 8), (8, 64, 18), (8, 64, 18), (8, 32, 36)]
    found = work("MoEPacked", inputs, [(1, 1, 32)], domain=MS, k=2)
    assert found.macs == 2 * 3 * 64 * 32
    assert found.reads == {2: 2 * 64 * 18, 3: 2 * 64 * 18, 4: 2 * 32 * 36}


def test_router_with_its_projection():
    found = work("MoEGroupRouter", [(5, 32), (8,), (8, 32)], [(5, 8)], domain=MS, top_k=2)
    assert (found.macs, found.other_flops) == (5 * 8 * 32, 5 * (8 * (SIGMOID + 2) + 2 * LOG))
    assert work("MoEGroupRouter", [(5, 8), (8,)], [(5, 8)], domain=MS, top_k=2).macs == 0


def test_low_rank_mix_and_its_prologue():
    weights = [(24,), (24, 5), (5, 24), (24, 3)]
    alone = work("HyperConnectionLowRankMix", [(2, 24), *weights], [(2, 8), (2, 3)], domain=MS, num_branches=3)
    assert alone.macs == 2 * (24 * 5 + 5 * 24 + 24 * 3) + 2 * 24
    inputs = [(2, 24), *weights, (2, 8), (2, 3)]
    behind = work("HyperConnectionLowRankMix", inputs, [(2, 8), (2, 3), (2, 24)], domain=MS, num_branches=3)
    assert behind.macs == alone.macs + 2 * 24


def test_norm_and_rotation_touch_the_slice_alone():
    inputs = [(1, 2, 4, 96), (32,), (1, 2), (100, 8), (100, 8)]
    found = work("RMSNormRotary", inputs, [(1, 2, 128)], domain=MS, rotary_embedding_dim=16)
    assert found.other_flops == 8 * (RMS_NORM * 32 + 3 * 16)
    assert found.reads == {0: 8 * 32, 3: 16, 4: 16}


def test_state_space_layer_reads_one_snapshot():
    heads, head, state, channels = 2, 64, 128, 2 * 64 + 2 * 128
    inputs = [(3, 2 * 128 + 2 * 128 + 2), (4, channels, 3), (4, heads, state, head), (channels, 4)]
    found = work("Mamba2Verify", inputs, [(3, 128)], domain=MS, heads=heads, n_groups=1)
    assert found.macs == 3 * (4 * channels + 2 * heads * state * head + heads * head)
    assert found.reads == {1: channels * 3, 2: heads * state * head}


def test_what_depends_on_data_says_so():
    for op_type in ("ConvStateReplay", "GatedDeltaNetStateReplay", "SpeculativePrefixCommit"):
        assert why_unknown(MS, op_type).endswith("is data")


def test_base_and_adapter_have_their_own_bits():
    bits = {"bits": 4, "lora_bits": 8}.get
    found = [weights_per_element(MS, "MatMulNBitsQLoRA", index, bits) for index in (1, 3, 5)]
    assert found == [2, 1, 1]
    weights = [index for index in range(7) if is_parameter_input(MS, "MatMulNBitsQLoRA", index)]
    assert weights == [0, 1, 3, 5]
