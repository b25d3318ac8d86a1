"""Nodes against their operators' schemas."""

from __future__ import annotations

import modelfiles
import onnx
import pytest
from onnx import helper

from onnxlint.api import lint_model
from onnxlint.tensor import TensorType
from onnxlint.validity import node_problem, shapes_problem, typed


def problem(op: str, inputs: str = "x", outputs: str = "y", version: int = 17, **attributes: object) -> str | None:
    made = {name: helper.make_attribute(name, value) for name, value in attributes.items()}
    return node_problem(op, "", version, inputs.split(), outputs.split(), made)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (problem("Relu", ""), "has 0 inputs"),
        (problem("Relu", "x x"), "has 2 inputs"),
        (problem("Relu", "x", "a b"), "has 2 outputs"),
        (problem("Cast"), "lacks its attribute 'to'"),
        (problem("Conv", "x w", group=1.5), "'group' of the wrong type"),
        (problem("Conv", "x w", group=2**40), f"has group = {2**40}"),
        (problem("MaxPool", kernel_shape=[2, 2], strides=[0, 0]), "has strides = 0"),
        (problem("Concat", "x x", axis=99), "has axis = 99"),
        (problem("Transpose", perm=[9, 9, -3]), "has perm = "),
        (problem("Split", "x", "a b c", 18, num_outputs=2), "splits into 2 but has 3 outputs"),
        (problem("Einsum", equation="é...->"), "has the equation"),
        (problem("Einsum", "x x", equation="ij"), "has the equation"),
        (problem("Constant", "", value_int=1, value_float=1.0), "has 2 values"),
    ],
)
def test_contradictions(found: str | None, words: str) -> None:
    assert found is not None
    assert words in found


def test_what_is_valid_or_unknown_has_no_problem() -> None:
    assert problem("Relu") is None
    assert problem("Foo", "a b c", whatever=1) is None
    assert node_problem("Clip", "", 13, ("x", "", ""), ("y",), {}) is None
    assert node_problem("BatchNormalization", "", 15, tuple("abcde"), ("y", "", ""), {}) is None
    assert problem("Einsum", "x x", equation=" i j , jk -> ik ") is None


def test_an_omitted_input_that_is_required() -> None:
    assert node_problem("Conv", "", 11, ("x", ""), ("y",), {}) == "lacks its input 'W'"


def test_channels_of_a_convolution() -> None:
    group = {"group": helper.make_attribute("group", 2)}
    data, weight = TensorType(1, (1, 4, 8, 8)), TensorType(1, (6, 2, 3, 3))
    assert shapes_problem("Conv", group, (data, weight)) is None
    assert shapes_problem("Conv", {}, (data, weight)) == "takes 2 channels in 1 groups, its input has 4"
    assert shapes_problem("Conv", group, (data, TensorType(1, None))) is None


def test_attributes_without_a_type_get_one() -> None:
    assert typed(onnx.AttributeProto(name="axis", i=3)).type == onnx.AttributeProto.INT
    assert typed(onnx.AttributeProto(name="perm", ints=[1, 0])).type == onnx.AttributeProto.INTS
    assert typed(onnx.AttributeProto(name="nothing")).type == 0


def test_an_invalid_node_is_named_and_priced_as_unknown() -> None:
    model = modelfiles.model_of([helper.make_node("Conv", ["x"], ["y"])], {"x": [1]}, {"y": [1, 3, 8, 8]})
    report = lint_model(model)
    assert report.exit_code == 1
    assert report.incomplete[0] == "the node 'y' is no valid Conv: it has 1 inputs"
    assert report.model.unknown_operators == {"Conv (invalid)": 1}
