"""The rules on graph hygiene: what each finds, what it leaves alone, what it is worth."""

from __future__ import annotations

from collections.abc import Callable

import growth
import numpy as np
import onnx
import pytest
from linting import found, found_in
from models import constant, model, value, weight
from onnx import helper

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.registry import find_rule, installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for

NODE = helper.make_node
CODES = [f"GRF00{number}" for number in range(1, 8)]
BN = [weight(name, 8) for name in ("scale", "offset", "mean", "variance")]
CONV = NODE("Conv", ["x", "w"], ["c"])
W = weight("w", 8, 8, 1, 1)


def codes(proto: onnx.ModelProto, device: str = "generic") -> set[str]:
    return {code for code in CODES if found_in(proto, code, device)}


def built(nodes, outputs=("y",), tensors=(W, *BN), dims=(1, 8, 6, 6), **options) -> onnx.ModelProto:
    return model(nodes, [value("x", dims)], list(outputs), list(tensors), **options)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v1", "vgg16", "squeezenet_1_1", "vit_tiny"])
@pytest.mark.parametrize("device", ["generic", "t4", "hi3519", "cortex-a76"])
def test_a_clean_network_has_nothing_to_tidy(name: str, device: str) -> None:
    for code in CODES:
        assert not [finding for finding in found(name, code, device) if finding.severity != "info"]


def test_batchnorm_behind_a_grouped_convolution_folds_and_one_with_computed_weights_does_not() -> None:
    bn = NODE("BatchNormalization", ["c", "scale", "offset", "mean", "variance"], ["y"])
    depthwise = NODE("Conv", ["x", "d"], ["c"], group=8)
    (finding,) = found_in(built([depthwise, bn], tensors=(weight("d", 8, 1, 1, 1), *BN)), "GRF001", "generic")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    computed = [NODE("Relu", ["k"], ["w2"]), NODE("Conv", ["x", "w2"], ["c"]), bn]
    proto = model(computed, [value("x", [1, 8, 6, 6]), value("k", [8, 8, 1, 1])], ["y"], BN)
    assert not found_in(proto, "GRF001", "generic")


def test_quantized_weights_are_not_scaled() -> None:
    bn = NODE("BatchNormalization", ["c", "scale", "offset", "mean", "variance"], ["y"])
    nodes = [NODE("DequantizeLinear", ["q", "s"], ["w"]), CONV, bn]
    tensors = [weight("q", 8, 8, 1, 1, dtype=np.int8), constant("s", 0.1, np.float32), *BN]
    assert not found_in(built(nodes, tensors=tensors), "GRF001", "generic")


def test_where_the_device_folds_by_itself_nothing_is_saved() -> None:
    bn = NODE("BatchNormalization", ["c", "scale", "offset", "mean", "variance"], ["y"])
    fused = found_in(built([CONV, bn]), "GRF001", "generic")[0]
    assert fused.saving_s == pytest.approx(0, abs=1e-6)
    assert fused.hidden
    assert "BatchNormalization" in load_device("generic").fusion.epilogue


@pytest.mark.parametrize(
    ("there", "back", "cancels"),
    [
        (onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT, True),
        (onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT, False),
        (onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT, False),
        (onnx.TensorProto.INT32, onnx.TensorProto.FLOAT, False),
        (onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, False),
    ],
)
def test_casts_cancel_where_the_wider_type_holds_all(there: int, back: int, cancels: bool) -> None:
    nodes = [NODE("Cast", ["x"], ["a"], to=there), NODE("Cast", ["a"], ["b"], to=back), NODE("Abs", ["b"], ["y"])]
    proto = built(nodes)
    proto.graph.output[0].type.tensor_type.elem_type = back
    assert bool(found_in(proto, "GRF002", "generic")) == cancels


def test_a_row_of_reshapes_on_free_dims_is_left_alone() -> None:
    tensors = [constant("flat", [1, -1]), constant("map", [1, 8, 6, 6])]
    nodes = [NODE("Reshape", ["x", "flat"], ["a"]), NODE("Reshape", ["a", "map"], ["b"]), NODE("Relu", ["b"], ["y"])]
    assert found_in(built(nodes, tensors=tensors), "GRF002", "generic")
    assert not found_in(built(nodes, tensors=tensors, dims=("N", 8, 6, 6)), "GRF002", "generic")


def test_the_same_constant_twice_is_the_same() -> None:
    nodes = [
        NODE("Constant", [], ["s1"], value=constant("", [1, 288])),
        NODE("Constant", [], ["s2"], value=constant("", [1, 288])),
        NODE("Reshape", ["x", "s1"], ["a"]),
        NODE("Reshape", ["x", "s2"], ["b"]),
        NODE("Softmax", ["a"], ["c"]),
        NODE("Softmax", ["b"], ["d"]),
        NODE("Add", ["c", "d"], ["y"]),
    ]
    (finding,) = found_in(built(nodes, tensors=()), "GRF005", "generic")
    assert finding.nodes == ("b", "d")
    nodes[5] = NODE("Softmax", ["b"], ["d"], axis=0)
    assert found_in(built(nodes, tensors=()), "GRF005", "generic")[0].nodes == ("b",)


def test_sizes_that_data_decides_are_no_constants() -> None:
    nodes = [
        NODE("NonZero", ["x"], ["places"]),
        NODE("Shape", ["places"], ["size"]),
        NODE("Cast", ["size"], ["y"], to=1),
        NODE("Shape", ["x"], ["fixed"]),
        NODE("Cast", ["fixed"], ["f"], to=1),
        NODE("Add", ["x", "f"], ["z"]),
    ]
    proto = model(nodes, [value("x", [2, 2])], ["y", "z"])
    context = Context(Analysis(read_model(proto, Settings()).graph, target_for(load_device("generic"))))
    (finding,) = find_rule(installed_rules(), "GRF003").check(context)
    assert finding.nodes == ("fixed", "f")


@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_what_is_drawn_twice_is_two_things(op: str) -> None:
    nodes = [NODE(op, ["x"], ["a"]), NODE(op, ["x"], ["b"]), NODE("Add", ["a", "b"], ["y"])]
    assert not found_in(built(nodes, tensors=()), "GRF005", "generic")


def test_dropout_that_may_drop_is_neither_a_no_op_nor_a_duplicate() -> None:
    tensors = [constant("ratio", 0.5, np.float32)]
    nodes = [NODE("Dropout", ["x", "ratio", "mode"], [name]) for name in "ab"] + [NODE("Add", ["a", "b"], ["y"])]
    inputs = [value("x", [1, 8, 6, 6]), value("mode", [], onnx.TensorProto.BOOL)]
    proto = model(nodes, inputs, ["y"], tensors)
    assert codes(proto) == set()
    training = model(nodes, inputs[:1], ["y"], [*tensors, constant("mode", True, np.bool_)])
    assert codes(training) == {"GRF007"}


def test_quantizers_double_their_pairs_on_purpose() -> None:
    tensors = [constant("s", 0.1, np.float32), constant("z", 0, np.uint8), W]
    nodes = [
        NODE("QuantizeLinear", ["x", "s", "z"], ["q"]),
        NODE("DequantizeLinear", ["q", "s", "z"], ["d1"]),
        NODE("DequantizeLinear", ["q", "s", "z"], ["d2"]),
        NODE("Conv", ["d1", "w"], ["a"]),
        NODE("Sigmoid", ["d2"], ["b"]),
        NODE("Add", ["a", "b"], ["y"]),
    ]
    assert not found_in(built(nodes, tensors=tensors), "GRF005", "generic")


def test_dead_code_by_kind() -> None:
    function = helper.make_function("own", "Twice", ["a"], ["b"], [NODE("Add", ["a", "a"], ["b"])], [])
    nodes = [NODE("Relu", ["x"], ["y"]), NODE("Neg", ["x"], ["dead"])]
    proto = built(nodes, tensors=(weight("big", 600, 600),), functions=[function], domains={"acme": 1})
    (finding,) = found_in(proto, "GRF006", "generic")
    assert finding.message == "nothing reads 1 node, 1 weight (1.44 MB), 1 function, 1 opset import"
    assert finding.nodes == ("dead",)
    assert finding.severity == "info"
    (heavy,) = found_in(built(nodes[:1], tensors=(weight("big", 600, 600),)), "GRF006", "generic")
    assert not heavy.hidden
    (light,) = found_in(built(nodes[:1], tensors=(weight("small", 6, 6),)), "GRF006", "generic")
    assert light.hidden


def test_losses_and_training_modes_are_warnings_whatever_they_cost() -> None:
    bn = NODE("BatchNormalization", ["x", "scale", "offset", "mean", "variance"], ["y", "m", "v"], training_mode=1)
    (finding,) = found_in(built([bn]), "GRF007", "generic")
    assert (finding.severity, finding.hidden) == ("warning", False)
    assert finding.fix is not None
    assert finding.fix.safety == "advice"
    old = NODE("BatchNormalization", ["x", "scale", "offset", "mean", "variance"], ["y"])
    assert not found_in(built([old], opset=9), "GRF007", "generic")


def messy(length: int) -> onnx.ModelProto:
    """Everything that the rules look for, over and over."""
    nodes, last = [], "x"
    for index in range(length // 10):
        n = [f"{letter}{index}" for letter in "abcdefghij"]
        nodes += [
            NODE("Conv", [last, "w"], [n[0]]),
            NODE("BatchNormalization", [n[0], "scale", "offset", "mean", "variance"], [n[1]]),
            NODE("Transpose", [n[1]], [n[2]], perm=[0, 2, 3, 1]),
            NODE("Transpose", [n[2]], [n[3]], perm=[0, 3, 1, 2]),
            NODE("Identity", [n[3]], [n[4]]),
            NODE("Sigmoid", [n[4]], [n[5]]),
            NODE("Sigmoid", [n[4]], [n[6]]),
            NODE("Neg", [n[6]], [n[7]]),
            NODE("Shape", [n[5]], [n[8]]),
            NODE("Reshape", [n[5], n[8]], [n[9]]),
        ]
        last = n[9]
    return built([*nodes, NODE("Relu", [last], ["y"])])


def checks(nodes: int) -> Callable[[], None]:
    """A run of the rules on hygiene and memory over a graph of so many nodes."""
    read = read_model(messy(nodes), Settings())
    context = Context(Analysis(read.graph, target_for(load_device("rk3588"))), read.bound.assumed, read.unused)
    rules = [rule for rule in installed_rules() if rule.family in ("hygiene", "memory")]

    def run() -> None:
        assert sum(len(list(rule.check(context))) for rule in rules) >= 5

    return run


def test_the_checks_are_linear() -> None:
    assert growth.at_most(8, checks(5_000), checks(20_000))
