"""Small values carried through operators, against ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import constant, model
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnxlint.evaluation import evaluate
from onnxlint.tensor import TensorType
from onnxlint.values import MAX_ELEMENTS, constant_value, tensor_value

L, F, B = np.int64, np.float32, np.bool_
CASES = [
    ("Gather", [([3, 5, 7], L), ([2, -1], L)], {"axis": 0}),
    ("Gather", [([[1, 2], [3, 4]], L), (1, L)], {"axis": 1}),
    ("Concat", [([1], L), ([2, 3], L)], {"axis": 0}),
    ("Slice", [([1, 2, 3, 4], L), ([1], L), ([2**62], L)], {}),
    ("Slice", [([1, 2, 3, 4], L), ([-1], L), ([-(2**62)], L), ([0], L), ([-1], L)], {}),
    ("Slice", [([[1, 2], [3, 4]], L), ([0], L), ([1], L), ([1], L)], {}),
    ("Unsqueeze", [([1, 2], L), ([0], L)], {}),
    ("Squeeze", [([[1, 2]], L), ([0], L)], {}),
    ("Squeeze", [([[7]], L)], {}),
    ("Reshape", [([1, 2, 3, 4], L), ([2, -1], L)], {}),
    ("Reshape", [([[1, 2, 3, 4]], L), ([0, 2, 2], L)], {}),
    ("Transpose", [([[1, 2], [3, 4]], L)], {"perm": [1, 0]}),
    ("Flatten", [([[1, 2], [3, 4]], F)], {"axis": 0}),
    ("Cast", [([1.7, -1.7], F)], {"to": TensorProto.INT64}),
    ("Range", [(2, L), (9, L), (3, L)], {}),
    ("ConstantOfShape", [([2, 3], L)], {}),
    ("Expand", [([[1], [2]], L), ([2, 3], L)], {}),
    ("Tile", [([1, 2], L), ([3], L)], {}),
    ("Where", [([True, False], B), ([1, 2], L), ([3, 4], L)], {}),
    ("Add", [([1, 2], L), (3, L)], {}),
    ("Sub", [([1, 2], L), (3, L)], {}),
    ("Mul", [([1, 2], L), (3, L)], {}),
    ("Div", [([7, -7, 7, -7], L), ([2, 2, -2, -2], L)], {}),
    ("Div", [([7.0, 1.0], F), ([2.0, 4.0], F)], {}),
    ("Mod", [([7, -7], L), ([3, 3], L)], {}),
    ("Mod", [([7, -7], L), ([3, 3], L)], {"fmod": 1}),
    ("Pow", [([2, 3], L), (2, L)], {}),
    ("Max", [([1, 5], L), ([3, 2], L)], {}),
    ("Min", [([1, 5], L), ([3, 2], L)], {}),
    ("Max", [([1, 5], L), ([3, 2], L), ([9, 0], L)], {}),
    ("Equal", [([1, 5], L), ([1, 2], L)], {}),
    ("Greater", [([1, 5], L), ([3, 2], L)], {}),
    ("LessOrEqual", [([1, 5], L), ([3, 5], L)], {}),
    ("And", [([True, False], B), ([True, True], B)], {}),
    ("Or", [([True, False], B), ([False, False], B)], {}),
    ("Not", [([True, False], B)], {}),
    ("Neg", [([1, -2], L)], {}),
    ("Abs", [([1, -2], L)], {}),
    ("Floor", [([1.5, -1.5], F)], {}),
    ("Ceil", [([1.5, -1.5], F)], {}),
    ("Sqrt", [([4.0, 9.0], F)], {}),
    ("Sign", [([4, -9, 0], L)], {}),
    ("ReduceProd", [([[2, 3], [4, 5]], L)], {"keepdims": 0}),
    ("ReduceSum", [([[2, 3], [4, 5]], L), ([1], L)], {"keepdims": 1}),
    ("ReduceMax", [([[2, 3], [4, 5]], L)], {"keepdims": 0}),
    ("Identity", [([2, 3], L)], {}),
    ("Clip", [([-1.0, 3.0], F), (0.0, F)], {}),
    ("Clip", [([-1.0, 3.0], F), (0.0, F), (2.0, F)], {}),
]


@pytest.mark.parametrize(("op", "given", "attributes"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_values_are_those_of_the_reference(op: str, given: list, attributes: dict) -> None:
    tensors = [constant(f"i{n}", data, kind) for n, (data, kind) in enumerate(given)]
    node = helper.make_node(op, [tensor.name for tensor in tensors], ["y"], **attributes)
    (expected,) = ReferenceEvaluator(model([node], [], ["y"], tensors)).run(None, {})
    attributed = {attribute.name: attribute for attribute in node.attribute}
    found = evaluate(op, 17, attributed, [np.asarray(data, kind) for data, kind in given], [None] * len(given))
    assert found is not None
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


def test_shape_needs_types_only() -> None:
    known = [TensorType(1, (2, 3, 4))]
    assert evaluate("Shape", 17, {}, [None], known).tolist() == [2, 3, 4]  # type: ignore[union-attr]
    part = {"start": helper.make_attribute("start", 1), "end": helper.make_attribute("end", -1)}
    assert evaluate("Shape", 17, part, [None], known).tolist() == [3]  # type: ignore[union-attr]
    assert evaluate("Size", 17, {}, [None], known).tolist() == 24  # type: ignore[union-attr]
    assert evaluate("Shape", 17, {}, [None], [TensorType(1, (2, None))]) is None
    assert evaluate("Shape", 17, {}, [None], [None]) is None


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("ConstantOfShape", [[1 << 40]]),
        ("ConstantOfShape", [[-1]]),
        ("Range", [0, 1 << 60, 1]),
        ("Range", [0, 1, 0]),
        ("Expand", [[1], [1 << 40]]),
        ("Tile", [[1], [1 << 40]]),
        ("Reshape", [[1, 2, 3], [2, 2]]),
        ("Gather", [[1, 2], [9]]),
        ("Div", [[1], [0]]),
        ("Unsqueeze", [[1], [9]]),
        ("Nonsense", [[1]]),
    ],
)
def test_what_is_large_wrong_or_strange_has_no_value(op: str, inputs: list) -> None:
    found = evaluate(op, 17, {}, [np.asarray(data, np.int64) for data in inputs], [None] * len(inputs))
    assert found is None or op == "Div"


def test_constants() -> None:
    assert constant_value({"value_ints": helper.make_attribute("value_ints", [1, 2])}).tolist() == [1, 2]  # type: ignore[union-attr]
    assert constant_value({"value_float": helper.make_attribute("value_float", 0.5)}).tolist() == 0.5  # type: ignore[union-attr]
    assert constant_value({"value_string": helper.make_attribute("value_string", "a")}) is None


def test_tensors_that_are_large_external_or_malformed_have_no_value() -> None:
    assert tensor_value(constant("a", [1, 2])).tolist() == [1, 2]  # type: ignore[union-attr]
    assert tensor_value(constant("a", range(MAX_ELEMENTS + 1))) is None
    assert tensor_value(onnx.TensorProto(dims=[2], data_type=7, data_location=onnx.TensorProto.EXTERNAL)) is None
    assert tensor_value(onnx.TensorProto(dims=[2], data_type=7, raw_data=b"x")) is None
    assert tensor_value(onnx.TensorProto(dims=[2], data_type=99)) is None
