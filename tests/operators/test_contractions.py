"""MACs of convolutions, products and Einsum against counts that run the loops of their definitions."""

from itertools import product

import numpy as np
import onnx
import pytest
from operators.calls import work

from onnxlint.operators.elementwise import TANH_GELU
from onnxlint.operators.matmul import einsum_labels
from onnxlint.operators.registry import Call
from onnxlint.tensor import TensorType, UnknownShape

MS = "com.microsoft"


def output_length(size, kernel, stride, dilation, pad):
    return (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("stride", "dilation", "pad"), [(1, 1, 1), (2, 1, 0), (1, 2, 2), (3, 2, 0)])
def test_conv_counts_one_product_per_weight_and_output_position(groups, stride, dilation, pad):
    batch, channels, filters, kernel, size = 2, 4, 8, 3, 9
    out = output_length(size, kernel, stride, dilation, pad)
    per_output = channels // groups * kernel * kernel
    counted = sum(per_output for _ in product(range(batch), range(filters), range(out), range(out)))
    shapes = [(batch, channels, size, size), (filters, channels // groups, kernel, kernel)]
    found = work("Conv", shapes, [(batch, filters, out, out)], group=groups)
    assert (found.macs, found.other_flops) == (counted, 0)
    biased = work("Conv", [*shapes, (filters,)], [(batch, filters, out, out)], group=groups)
    assert (biased.macs, biased.other_flops) == (counted, batch * filters * out * out)


def test_resnet_stem():
    found = work("Conv", [(1, 3, 224, 224), (64, 3, 7, 7)], [(1, 64, 112, 112)])
    assert found.macs == 118_013_952


def test_conv_of_other_ranks():
    assert work("Conv", [(1, 16, 100), (32, 16, 5)], [(1, 32, 96)]).macs == 32 * 96 * 16 * 5
    assert work("Conv", [(1, 3, 8, 8, 8), (4, 3, 3, 3, 3)], [(1, 4, 6, 6, 6)]).macs == 4 * 6**3 * 3 * 27


@pytest.mark.parametrize(("groups", "stride"), [(1, 2), (2, 2), (4, 1), (1, 4)])
def test_conv_transpose_counts_by_input_positions(groups, stride):
    batch, channels, filters, kernel, size = 1, 4, 8, 4, 5
    out = (size - 1) * stride + kernel
    image = np.zeros((batch, filters, out, out), dtype=int)
    for _, channel, y, x in product(range(batch), range(channels), range(size), range(size)):
        group = channel // (channels // groups)
        first = group * (filters // groups)
        image[
            0, first : first + filters // groups, y * stride : y * stride + kernel, x * stride : x * stride + kernel
        ] += 1
    found = work(
        "ConvTranspose",
        [(batch, channels, size, size), (channels, filters // groups, kernel, kernel)],
        [(batch, filters, out, out)],
        group=groups,
        strides=[stride, stride],
    )
    assert found.macs == image.sum()


def test_integer_convolutions_cost_as_their_float_twin():
    x, w, y, scalar = (1, 8, 14, 14), (16, 8, 3, 3), (1, 16, 12, 12), ()
    plain = work("Conv", [x, w, (16,)], [y])
    quantized = [x, scalar, scalar, w, scalar, scalar, scalar, scalar, (16,)]
    assert work("QLinearConv", quantized, [y]) == plain
    assert work("QLinearConv", quantized, [y], domain=MS) == plain
    assert work("ConvInteger", [x, w, scalar, scalar], [y]) == work("Conv", [x, w], [y])


def test_channels_last_and_blocked_convolutions_cost_the_same():
    macs = work("Conv", [(1, 8, 14, 14), (16, 8, 3, 3)], [(1, 16, 12, 12)]).macs
    assert work("NhwcConv", [(1, 14, 14, 8), (16, 3, 3, 8)], [(1, 12, 12, 16)], domain=MS).macs == macs
    assert work("Conv", [(1, 8, 14, 14), (16, 8, 3, 3)], [(1, 16, 12, 12)], domain="com.microsoft.nchwc").macs == macs


def test_fused_conv_adds_its_epilogue():
    shapes, out = [(1, 8, 4, 4), (8, 8, 1, 1), (8,), (1, 8, 4, 4)], [(1, 8, 4, 4)]
    found = work("FusedConv", shapes, out, domain=MS, activation="Relu")
    assert (found.macs, found.other_flops) == (8 * 8 * 16, 3 * 8 * 16)  # bias, sum, relu


def test_deformable_conv_samples_every_input_channel_per_tap():
    found = work("DeformConv", [(1, 4, 8, 8), (6, 4, 3, 3), (1, 18, 6, 6)], [(1, 6, 6, 6)])
    assert (found.macs, found.other_flops) == (6 * 36 * 4 * 9, 4 * 36 * 9 * 7)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 1, 3, 4), (7, 4, 5)),
        ((4,), (4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (4,)),
        ((0, 4), (4, 5)),
        ((3, 0), (0, 5)),
    ],
)
def test_matmul_broadcasts_and_takes_vectors(a, b):
    result = np.matmul(np.ones(a, int), np.ones(b, int))  # ones: every output element counts its own products
    for op_type, inputs in (
        ("MatMul", [a, b]),
        ("MatMulInteger", [a, b]),
        ("QLinearMatMul", [a, (), (), b, (), (), (), ()]),
    ):
        found = work(op_type, inputs, [result.shape])
        assert (found.macs, found.other_flops) == (result.sum(), 0)


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm(trans_a, trans_b):
    m, n, k = 3, 5, 7
    a, b = ((k, m) if trans_a else (m, k)), ((n, k) if trans_b else (k, n))
    assert work("Gemm", [a, b], [(m, n)], transA=trans_a, transB=trans_b).macs == m * n * k
    biased = work("Gemm", [a, b, (n,)], [(m, n)], transA=trans_a, transB=trans_b)
    assert (biased.macs, biased.other_flops) == (m * n * k, m * n)
    quantized = work("QGemm", [a, (), (), b, (), (), (n,)], [(m, n)], domain=MS, transA=trans_a, transB=trans_b)
    assert quantized == biased


def test_fused_products():
    assert work("FusedMatMul", [(2, 7, 3), (2, 7, 5)], [(2, 3, 5)], domain=MS, transA=1).macs == 2 * 3 * 5 * 7
    batched = work("FusedMatMul", [(3, 2, 7), (2, 7, 5)], [(2, 3, 5)], domain=MS, transBatchA=1)
    assert batched.macs == 2 * 3 * 5 * 7
    both = work("FusedMatMul", [(7, 2, 3), (2, 7, 5)], [(2, 3, 5)], domain=MS, transBatchA=1, transA=1)
    assert both.macs == 2 * 3 * 5 * 7
    gelu = work("GemmFastGelu", [(2, 3, 4), (4, 5), (5,)], [(2, 3, 5)], domain=MS)
    assert (gelu.macs, gelu.other_flops) == (2 * 3 * 4 * 5, 30 * (1 + TANH_GELU))


@pytest.mark.parametrize("op_type", ["MatMulNBits", "MatMulBnb4"])
def test_packed_products_cost_as_matmul(op_type):
    # 4-bit weights of (N, K) = (64, 128): blocks of 32 in 16 bytes
    found = work(
        op_type, [(1, 10, 128), (64, 4, 16), (256,)], [(1, 10, 64)], domain=MS, N=64, K=128, bits=4, block_size=32
    )
    assert found.macs == work("MatMul", [(1, 10, 128), (128, 64)], [(1, 10, 64)]).macs == 10 * 64 * 128


def test_mixture_of_experts_runs_k_experts_per_token_and_reads_those():
    shapes = [(1, 3, 16), (3, 8), (8, 16, 32), None, (8, 32, 16)]
    found = work("MoE", shapes, [(1, 3, 16)], domain=MS, k=2)
    assert found.macs == 3 * 2 * (16 * 32 + 32 * 16)
    assert found.reads[2] == 6 * 16 * 32
    packed = [(1, 3, 16), (3, 8), (8, 32, 8), (8, 32), None, (8, 16, 16), (8, 16)]
    assert work("QMoE", packed, [(1, 3, 16)], domain=MS, k=2).macs == found.macs


def einsum(equation, *shapes):
    out = np.einsum(equation, *(np.ones(shape) for shape in shapes)).shape
    return work("Einsum", list(shapes), [out], equation=equation)


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 2 * 3 * 4),
        ("ij,jk", [(2, 3), (3, 4)], 2 * 3 * 4),
        ("...ij,...jk->...ik", [(5, 6, 2, 3), (5, 6, 3, 4)], 5 * 6 * 2 * 3 * 4),
        ("...ij,...jk", [(6, 2, 3), (5, 1, 3, 4)], 5 * 6 * 2 * 3 * 4),
        ("bhwc,hkc->bhwk", [(2, 7, 5, 3), (7, 4, 3)], 2 * 7 * 5 * 3 * 4),
        ("b i d , b j d -> b i j", [(2, 3, 8), (2, 5, 8)], 2 * 3 * 5 * 8),
        ("bqhd,bkhd->bhqk", [(2, 5, 4, 8), (2, 7, 4, 8)], 2 * 4 * 5 * 7 * 8),
        ("ii,ij->j", [(3, 3), (3, 4)], 3 * 4),
        ("i,j->ij", [(3,), (4,)], 12),
        ("...d,d->...", [(2, 3, 4), (4,)], 24),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
        ("ij,jk,kl->jl", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 3 * 4 * 5),
    ],
)
def test_einsum(equation, shapes, macs):
    assert einsum(equation.replace(" ", ""), *shapes).macs == macs


def test_einsum_equals_the_matmul_that_it_writes():
    assert einsum("...ij,...jk->...ik", (2, 4, 16, 8), (2, 4, 8, 16)).macs == 2 * 4 * 16 * 8 * 16


def test_einsum_of_one_operand_sums_or_only_rearranges():
    assert (einsum("ij->ji", (3, 4)).macs, einsum("ij->ji", (3, 4)).other_flops) == (0, 0)
    assert einsum("ij->i", (3, 4)).other_flops == 12
    assert einsum("ii->i", (3, 3)).other_flops == 0


def test_einsum_labels_of_an_implicit_result_are_sorted():
    equation = {"equation": onnx.helper.make_attribute("equation", "b...a")}
    call = Call("Einsum", 12, equation, (TensorType(1, (2, 3, 4)),), (None,))
    assert einsum_labels(call)[1] == [".1", "a", "b"]


@pytest.mark.parametrize("equation", ["ij", "ijk,jk->i", "...i...,ij", ""])
def test_einsum_that_does_not_fit_its_operands_is_unknown(equation):
    with pytest.raises(UnknownShape):
        work("Einsum", [(2, 3), (3, 4)], [(2, 4)], equation=equation)
