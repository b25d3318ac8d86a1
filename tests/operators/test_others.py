"""Point-wise work, norms, pooling, movement, quantization, trees and parameter positions."""

import onnx
import pytest
from operators.calls import work

from onnxlint.operators import cost_function, is_learnable_input, is_parameter_input, weights_per_element
from onnxlint.operators.elementwise import DIV, ERF, ERF_GELU, EXP, POW, SIGMOID, SQRT, TANH, activation_flops
from onnxlint.operators.normalization import SOFTMAX

MS = "com.microsoft"
IMAGE = (1, 8, 4, 4)


@pytest.mark.parametrize(
    ("op_type", "flops"),
    [
        *(("Add", 1), ("Mul", 1), ("Relu", 1), ("Clip", 1), ("Where", 1), ("Cast", 0), ("Div", DIV), ("Sqrt", SQRT)),
        *(("Exp", EXP), ("Erf", ERF), ("Sigmoid", SIGMOID), ("Tanh", TANH), ("Gelu", ERF_GELU), ("HardSwish", 5)),
        *(("BatchNormalization", 2), ("Softmax", SOFTMAX), ("InstanceNormalization", 7), ("LayerNormalization", 6)),
    ],
)
def test_work_per_element(op_type, flops):
    found = work(op_type, [IMAGE], [IMAGE])
    assert (found.macs, found.other_flops) == (0, flops * 128)


def test_broadcasting_counts_output_elements():
    assert work("Add", [(8, 1), (1, 8)], [(8, 8)]).other_flops == 64
    assert work("Sum", [(8,), (8,), (8,)], [(8,)]).other_flops == 16


@pytest.mark.parametrize(("exponent", "flops"), [(2.0, 1), (0.5, SQRT), (-1.0, DIV), (2.5, POW)])
def test_a_constant_exponent_needs_no_logarithm(exponent, flops):
    assert work("Pow", [(8,), ()], [(8,)], values={1: exponent}).other_flops == 8 * flops
    assert work("Pow", [(8,), ()], [(8,)]).other_flops == 8 * POW


def test_costlier_activations_cost_more():
    assert 0 == activation_flops("") < activation_flops("Relu") < activation_flops("Sigmoid") < activation_flops("silu")


def test_norms_count_what_they_are_given():
    shape = (2, 5, 16)
    skip = work("SkipLayerNormalization", [shape, shape, (16,), (16,), (16,)], [shape], domain=MS)
    assert skip.other_flops == 160 * (2 + 7)
    for domain in ("", MS):
        assert work("SimplifiedLayerNormalization", [shape, (16,)], [shape], domain=domain).other_flops == 160 * 4
    simplified = work("SkipSimplifiedLayerNormalization", [shape, shape, (16,)], [shape], domain=MS)
    assert simplified.other_flops == 160 * (1 + 4)


def test_embedding_norm_reads_only_the_rows_it_uses():
    shapes = [(2, 5), (2, 5), (30522, 16), (512, 16), (2, 16), (16,), (16,)]
    found = work("EmbedLayerNormalization", shapes, [(2, 5, 16)], domain=MS)
    assert found.reads == {2: 160, 3: 80, 4: 32}


def test_pooling_counts_its_kernel_and_reductions_their_input():
    assert work("MaxPool", [(1, 8, 4, 4)], [(1, 8, 2, 2)], kernel_shape=[3, 3]).other_flops == 32 * 9
    assert work("GlobalAveragePool", [IMAGE], [(1, 8, 1, 1)]).other_flops == 128
    assert work("ReduceSum", [IMAGE, (1,)], [(1, 8, 4, 1)]).other_flops == 128
    assert work("ReduceMean", [IMAGE], [(1, 8, 1, 1)]).other_flops == 136
    assert work("ArgMax", [IMAGE], [(1, 1, 4, 4)]).other_flops == 128


def test_resize_weighs_its_taps():
    grown = [(1, 8, 8, 8)]
    assert work("Resize", [IMAGE], grown, mode="nearest").other_flops == 0
    assert work("Resize", [IMAGE], grown, mode="linear").other_flops == 512 * 7
    assert work("Resize", [IMAGE], grown, mode="cubic").other_flops == 512 * 31
    assert work("Resize", [IMAGE], [(1, 8, 4, 8)], mode="linear").other_flops == 256 * 3
    assert work("Resize", [IMAGE], [(1, 8, 2, 2)], mode="linear", antialias=1).other_flops == 32 * 31


def test_transforms_count_as_fast_fourier_transforms():
    found = work("DFT", [(1, 256, 2), (), ()], [(1, 256, 2)], version=20)
    assert (found.macs, found.other_flops) == (0, 5 * 256 * 8)
    real = work("STFT", [(1, 4096, 1), (), (256,)], [(1, 31, 129, 2)], version=17)
    assert real.other_flops == 31 * (5 * 256 * 8 // 2 + 256)


def test_views_and_generators():
    view = work("Reshape", [(8, 4), (2,)], [(4, 8)])
    assert (view.reads, view.writes) == ({0: 0, 1: 0}, {0: 0})
    made = work("ConstantOfShape", [(2,)], [(4, 8)])
    assert (made.reads, made.writes, made.other_flops) == ({0: 0}, {}, 0)
    assert work("Shape", [(4, 8)], [(2,)]).writes == {0: 0}


def test_gather_and_slice_read_what_they_touch():
    assert work("Gather", [(30522, 768), (1, 128)], [(1, 128, 768)]).reads == {0: 128 * 768}
    assert work("Gather", [(2, 768), (1, 128)], [(1, 128, 768)]).reads == {0: 2 * 768}
    assert work("Slice", [(1, 64, 56, 56), (1,), (1,)], [(1, 32, 56, 56)]).reads == {0: 32 * 56 * 56, 1: 0, 2: 0}
    assert work("Concat", [(1, 8), (1, 8)], [(1, 16)]).reads == {}
    assert work("Split", [(1, 16), (2,)], [(1, 8), (1, 8)]).reads == {1: 0}


def test_a_cache_update_moves_the_update():
    found = work("TensorScatter", [(1, 8, 512, 64), (1, 8, 1, 64)], [(1, 8, 512, 64)])
    assert (found.reads, found.writes) == ({0: 0}, {0: 512})


def test_quantization_scales_and_shifts():
    assert work("QuantizeLinear", [(8,), (), ()], [(8,)]).other_flops == 16
    assert work("DequantizeLinear", [(8,), ()], [(8,)]).other_flops == 8
    added = work("QLinearAdd", [(8,), (), (), (8,), (), (), (), ()], [(8,)], domain=MS)
    assert added == work("Add", [(8,), (8,)], [(8,)])
    gathered = work("GatherBlockQuantized", [(100, 32), (5,), (100, 2)], [(5, 64)], domain=MS, dtype=2, block_size=32)
    assert gathered.reads == {0: 160, 2: 10}


def test_trees_descend_one_level_per_comparison():
    found = work("TreeEnsembleRegressor", [(10, 4)], [(10, 1)], domain="ai.onnx.ml", nodes_treeids=[0] * 7 + [1] * 7)
    assert found.other_flops == 10 * 2 * (2 + 1)


def test_linear_models_multiply():
    found = work("LinearClassifier", [(10, 4)], [(10,), (10, 3)], domain="ai.onnx.ml", coefficients=[0.5] * 12)
    assert (found.macs, found.other_flops) == (10 * 12, 30)


@pytest.mark.parametrize(
    ("domain", "op_type", "parameters"),
    [
        ("", "Conv", {0, 1, 2}),
        ("", "Reshape", {0}),
        ("", "Clip", {0}),
        ("", "Resize", {0}),
        ("", "Add", {0, 1}),
        ("", "Pad", {0}),
        ("", "QuantizeLinear", {0}),
        ("", "DequantizeLinear", {0}),
        ("", "QLinearConv", {0, 3, 8}),
        ("", "QLinearMatMul", {0, 3}),
        ("", "OneHot", set()),
        ("", "LSTM", {0, 1, 2, 3, 5, 6, 7}),
        (MS, "QLinearConcat", {2, 5, 8}),
        (MS, "MatMulNBits", {0, 1, 5}),
        (MS, "QGemm", {0, 3, 6}),
    ],
)
def test_parameter_inputs(domain, op_type, parameters):
    assert {index for index in range(9) if is_parameter_input(domain, op_type, index)} >= parameters
    inputs = {("", "Conv"): 3, ("", "Add"): 2}.get((domain, op_type))
    schema = None if domain else onnx.defs.get_schema(op_type)
    count = inputs or (len(schema.inputs) if schema else {"MatMulNBits": 6}.get(op_type, 9))
    assert {index for index in range(count) if is_parameter_input(domain, op_type, index)} == parameters


def test_running_statistics_are_parameters_that_are_not_learned():
    assert [is_parameter_input("", "BatchNormalization", i) for i in range(5)] == [True] * 5
    assert [is_learnable_input("", "BatchNormalization", i) for i in range(5)] == [True, True, True, False, False]


def test_position_tables_name_operators_that_have_a_cost():
    from onnxlint.operators import positions

    for domain, table in ((MS, positions._CONTRIB), ("", positions._STANDARD)):
        assert [name for name in table if cost_function(domain, name) is None and name not in ("If", "Loop")] == []


def test_packed_weights():
    def number(bits):
        return lambda _name, default: bits or default

    assert weights_per_element(MS, "MatMulNBits", 1, number(0)) == 2
    assert weights_per_element(MS, "MatMulNBits", 1, number(8)) == 1
    assert weights_per_element(MS, "MatMulNBits", 0, number(4)) == 1
    assert weights_per_element(MS, "QMoE", 5, number(4)) == 2
    assert weights_per_element("", "MatMul", 1, number(4)) == 1
