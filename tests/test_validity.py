"""Nodes against their operators' schemas."""

from __future__ import annotations

import modelfiles
import onnx
import pytest
from onnx import helper

from onnxlint.api import lint_model
from onnxlint.attributes import typed
from onnxlint.tensor import TensorType
from onnxlint.validity import node_problem, shapes_problem, types_problem


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
        (problem("Relu", foo=1), "has an attribute 'foo', which it does not take"),
        (problem("Conv", "x w", Group=1), "has an attribute 'Group', which"),
        (problem("Cast", to=0), "has to = 0, which is no element type"),
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


def test_a_value_of_another_type_than_is_stated() -> None:
    for proto in (
        onnx.AttributeProto(name="axis", type=2, i=1, f=2.0),
        onnx.AttributeProto(name="axis", type=2, f=1.0),
        onnx.AttributeProto(name="axis", i=1),
    ):
        assert node_problem("Softmax", "", 13, ("x",), ("y",), {"axis": proto}) is not None
    assert node_problem("Softmax", "", 13, ("x",), ("y",), {"axis": onnx.AttributeProto(name="axis", type=2)}) is None


def test_types_of_attributes_are_left_out_by_old_files_alone() -> None:
    model = modelfiles.model_of([helper.make_node("Softmax", ["x"], ["y"])], {"x": [1, 3]}, {"y": [1, 3]})
    model.graph.node[0].attribute.add(name="axis", i=1)
    assert "of the wrong type" in lint_model(model, "t4").incomplete[0]
    model.ir_version = 1
    assert lint_model(model, "t4").incomplete == ()


def test_what_is_valid_or_unknown_has_no_problem() -> None:
    assert problem("Relu") is None
    assert problem("Foo", "a b c", whatever=1) is None
    assert problem("Relu", __foo=1) is None, "a tool's own: onnx's checker and ONNX Runtime pass them by"
    assert problem("Relu", version=9999, foo=1) is None, "operators of that version may take more"
    assert node_problem("Clip", "", 13, ("x", "", ""), ("y",), {}) is None
    assert node_problem("BatchNormalization", "", 15, tuple("abcde"), ("y", "", ""), {}) is None
    assert problem("Einsum", "x x", equation=" i j , jk -> ik ") is None


def test_the_only_schema_that_lets_every_attribute_pass() -> None:
    assert problem("LayerNormalization", "x s", foo=1) is None


def test_a_tensor_that_is_stated_and_not_there() -> None:
    empty = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR)
    assert node_problem("Constant", "", 13, (), ("y",), {"value": empty}) is not None


def test_inputs_left_out_behind_the_last() -> None:
    assert node_problem("Abs", "", 13, ("x", ""), ("y",), {}) == "has 2 inputs"


def test_an_omitted_input_that_is_required() -> None:
    assert node_problem("Conv", "", 11, ("x", ""), ("y",), {}) == "lacks its input 'W'"


@pytest.mark.parametrize(
    ("op", "version", "dtypes", "words"),
    [
        ("LogSoftmax", 17, (7,), "int64 as 'input', which it does not take"),
        ("Relu", 6, (9,), "bool as 'X'"),
        ("Relu", 13, (7,), "int64 as 'X'"),
        ("Add", 14, (1, 7), "float32 as 'A' and int64 as 'B', which must be alike"),
        ("Concat", 13, (1, 1, 0, 7), "must be alike"),
        ("Gather", 13, (1, 1), "float32 as 'indices'"),
    ],
)
def test_types_that_the_schema_forbids(op: str, version: int, dtypes: tuple[int, ...], words: str) -> None:
    found = types_problem(op, "", version, dtypes)
    assert found is not None
    assert words in found


def test_types_that_it_allows_or_that_nobody_knows() -> None:
    for op, version, dtypes in (
        *(
            ("Relu", 14, (7,)),
            ("Add", 14, (7, 7)),
            ("Add", 14, (0, 7)),
            ("Gather", 13, (1, 7)),
            ("Where", 16, (9, 1, 1)),
        ),
        *(("Clip", 13, (1, 1)), ("Reshape", 14, (16, 7)), ("QuantizeLinear", 13, (1, 1, 2)), ("Foo", 17, (1, 7))),
        *(("Loop", 16, (7, 9, 1, 7)), ("Constant", 13, ()), ("Relu", 14, (99,)), ("Resize", 13, (1, 0, 1))),
    ):
        assert types_problem(op, "", version, dtypes) is None


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ((7, [1, 3, 8, 8]), "'y' is declared as int64[1x3x8x8] and computed as float32[1x3x8x8]"),
        ((1, [1, 3, 8, 9]), "'y' is declared as float32[1x3x8x9] and computed as float32[1x3x8x8]"),
        ((1, [24]), "is declared as float32[24]"),
        ((7, None), "is declared as int64[?]"),
    ],
)
def test_outputs_that_are_declared_as_what_they_are_not(declared: tuple[int, list[int] | None], words: str) -> None:
    model = modelfiles.relu()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", *declared))
    report = lint_model(model, "t4")
    assert report.exit_code == 1
    assert any(words in problem for problem in report.incomplete)


def test_outputs_whose_dims_were_bound_or_assumed_are_no_contradiction() -> None:
    """Exporters leave the outputs' dims as they were when they free the inputs'; runtimes only warn."""
    for dims in (["N", 3, 8, 8], [None, 3, 8, 8], [0, 3, 8, 8]):
        model = modelfiles.relu(dims=dims)
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, [7, 3, 8, 8]))
        assert lint_model(model, "t4").incomplete == ()


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


def test_an_attribute_twice_is_no_valid_node() -> None:
    """Readers differ in which of the two they take."""
    model = modelfiles.model_of(
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])], {"x": [1, 3, 8, 8]}, {"y": None}
    )
    assert lint_model(model).incomplete == ()
    model.graph.node[0].attribute.append(helper.make_attribute("kernel_shape", [8, 8]))
    report = lint_model(model)
    assert any("is no valid MaxPool: it has its attribute 'kernel_shape' twice" in one for one in report.incomplete)


@pytest.mark.parametrize(("axis", "is_wrong"), [(0, False), (-2, False), (2, True), (-3, True)])
def test_scales_stand_along_an_axis_that_is_there(axis: int, is_wrong: bool) -> None:
    attributes = {"axis": onnx.helper.make_attribute("axis", axis)}
    data = TensorType(onnx.TensorProto.INT8, (4, 4))
    for count, expected in ((4, is_wrong), (1, False)):
        problem = shapes_problem("DequantizeLinear", attributes, (data, TensorType(1, (count,))))
        assert (problem is not None) == expected
