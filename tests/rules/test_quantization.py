"""QNT001, QNT003 and QNT004 on networks that onnxruntime.quantization made, whole and broken on purpose."""

from __future__ import annotations

import onnx
import pytest
from linting import found, found_in
from quantized import RESIDUAL, quantized, seeded, without

FORMS = [
    {"is_qdq": True},
    {"is_qdq": True, "per_channel": True},
    {"is_qdq": True, "symmetric": True},
    {"is_qdq": False},
]
DEVICES = ["cortex-a76", "t4", "rk3588", "hi3519", "edgetpu", "hexagon", "generic", "x3"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("device", DEVICES)
def test_a_model_that_is_quantized_properly_has_no_broken_chain(form: dict[str, bool], device: str) -> None:
    assert found_in(quantized(**form), "QNT003", device) == []
    assert found_in(quantized(**form), "QNT001", device) == []


def reads(model: onnx.ModelProto, op: str, old: str, new: str) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        if node.op_type == op:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new
    return copy


def test_a_shortcut_that_reads_the_float_beside_its_pair_is_found() -> None:
    (finding,) = found_in(reads(quantized(), "Add", "c_DequantizeLinear_Output", "c"), "QNT003", "cortex-a76")
    assert finding.places == 1
    assert "has a pair: read that" in finding.suggestion
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"
    assert finding.saving_s is not None


@pytest.mark.parametrize("value", ["c", "j", "m"])
def test_a_value_without_a_scale_is_found(value: str) -> None:
    (finding,) = found_in(without(quantized(), value), "QNT003", "cortex-a76")
    assert "Put a QuantizeLinear/DequantizeLinear pair behind it" in finding.suggestion
    assert finding.places == 1


def test_a_pair_that_gives_the_integers_back_is_found() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(quantized())
    quantize = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "h")
    again = onnx.helper.make_node("QuantizeLinear", ["h_back", *quantize.input[1:]], ["h_QuantizeLinear_Output"])
    back = onnx.helper.make_node("DequantizeLinear", ["h_first", *quantize.input[1:]], ["h_back"])
    quantize.output[0] = "h_first"
    at = list(model.graph.node).index(quantize) + 1
    nodes = [*model.graph.node[:at], back, again, *model.graph.node[at:]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (finding,) = found_in(model, "QNT003", "cortex-a76")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.places == 1
    assert finding.saving_s is not None
    assert finding.saving_s >= 0


def test_tensorrt_takes_the_symmetric_form_alone() -> None:
    assert found_in(quantized(symmetric=True), "QNT004", "t4") == []
    assert found_in(quantized(symmetric=True, per_channel=True), "QNT004", "t4") == []
    (finding,) = found_in(quantized(), "QNT004", "t4")
    assert finding.severity == "error"
    assert "uint8 activations" in finding.message
    (finding,) = found_in(quantized(is_qdq=False), "QNT004", "t4")
    assert "asymmetric activations" in finding.message


def test_nnie_takes_no_quantized_model_and_rknn_says_nothing() -> None:
    assert len(found_in(quantized(), "QNT004", "hi3519")) == 1
    assert found_in(quantized(), "QNT004", "rk3588") == []


def test_four_bit_weights_are_named() -> None:
    text = """q4 (float[1,64] x) => (float[1,64] y) <uint8[64,1,16] w, float[64] s> {
        y = com.microsoft.MatMulNBits <bits = 4, block_size = 32, K = 32, N = 64> (x, w, s)
    }"""
    (finding,) = found_in(text, "QNT004", "edgetpu")
    assert "int4 weights" in finding.message


def test_a_float_model_is_an_error_where_nothing_quantizes_it() -> None:
    (finding,) = found_in(seeded(RESIDUAL), "QNT001", "edgetpu")
    assert finding.severity == "error"
    assert "6 layers" in finding.message
    for device in ("hi3519", "x3", "rk3588", "t4", "cortex-a76", "generic"):
        assert found_in(seeded(RESIDUAL), "QNT001", device) == []


@pytest.mark.parametrize("code", ["QNT001", "QNT003", "QNT004"])
@pytest.mark.parametrize("device", ["hi3519", "x3", "rk3588", "t4", "cortex-a76"])
@pytest.mark.parametrize("name", ["mobilenet_v2", "vit_tiny", "tinybert_4l_312"])
def test_float_networks_are_silent(name: str, device: str, code: str) -> None:
    assert found(name, code, device) == []
