"""What a graph declares and calls: what every runtime refuses, or each takes in its own way, is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
import pytest
from modelfiles import model_of, parse, relu
from onnx import helper

from onnxlint.scope import read_graph

Change = Callable[[onnx.ModelProto], object]


def problems(made: onnx.ModelProto, change: Change = lambda model: None) -> list[str]:
    change(made)
    return read_graph(made).problems


def _tensor(dtype: int) -> onnx.TensorProto:
    return onnx.TensorProto(name="w", data_type=dtype, dims=[1], raw_data=b"1234")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.graph.input.append(m.graph.input[0]), "the input 'x' is there twice"),
        (lambda m: m.graph.initializer.extend([_tensor(1), _tensor(6)]), "the initializer 'w' is there twice, and"),
        (lambda m: m.graph.initializer.append(_tensor(0)), "the initializer 'w' has no element type"),
        (lambda m: m.graph.initializer.append(_tensor(99)), "has the element type 99, which ONNX does not have"),
        (lambda m: m.graph.input[0].type.tensor_type.ClearField("elem_type"), "the input 'x' has no element type"),
    ],
)
def test_declarations(change: Change, words: str) -> None:
    assert any(words in problem for problem in problems(relu(), change))


def test_an_initializer_twice_and_alike_is_the_last() -> None:
    assert problems(relu(), lambda model: model.graph.initializer.extend([_tensor(1)] * 2)) == []


def _called(change: Change = lambda model: None, formal: Sequence[str] = ("a",)) -> list[str]:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    function = helper.make_function("f", "g", formal, ["b"], [helper.make_node("Relu", ["a"], ["b"])], imports[:1])
    call = helper.make_node("g", ["x"], ["y"], domain="f")
    made = model_of([call], {"x": [1, 3]}, {"y": [1, 3]}, opset_imports=imports)
    made.functions.append(function)
    return problems(made, change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.graph.node[0].input.append("x"), "has 2 inputs, the function of its name 1"),
        (lambda m: m.graph.node[0].output.append("z"), "has 2 outputs, the function of its name 1"),
        (lambda m: m.functions.append(m.functions[0]), "the function 'g' is there twice"),
        (lambda m: m.functions[0].output.append("b"), "the function 'g' has its output 'b' twice"),
        (lambda m: m.opset_import.pop(), "1 operators are of the domain 'f', which is not imported"),
    ],
)
def test_calls(change: Change, words: str) -> None:
    assert any(words in problem for problem in _called(change))


def test_calls_that_fit() -> None:
    assert _called() == []
    assert _called(formal=("a", "left_out")) == []
    assert _called(lambda m: m.graph.node[0].attribute.append(helper.make_attribute("no_formal", 1))) == []


LOOP = """g (float[1,3] x) => (float[1,3] y) <int64 t = {3}, bool k = {1}> {
    y = Loop (t, k, x) <body = b (int64 i, bool c, float[1,3] v) => (bool d, float[1,3] w)
        { d = Identity(c) w = Relu(v) }> }"""
IF = """g (float[1,3] x) => (float[1,3] y) <bool k = {1}> {
    y = If (k) <then_branch = a () => (float[1,3] p) { p = Relu(x) },
                else_branch = b () => (float[1,3] q) { q = Neg(x) }> }"""
SCAN = """g (float[1,3] x) => (float[1,3] y) {
    y = Scan <num_scan_inputs = 1, body = b (float[3] v) => (float[3] w) { w = Relu(v) }> (x) }"""


def _body(model: onnx.ModelProto) -> onnx.GraphProto:
    return next(a.g for a in model.graph.node[-1].attribute if a.type == onnx.AttributeProto.GRAPH)


@pytest.mark.parametrize(
    ("source", "change", "words"),
    [
        (LOOP, lambda m: _body(m).output.pop(), "needs 2 outputs of its body, which has 1"),
        (LOOP, lambda m: _body(m).input.add(name="more"), "needs 3 inputs of its body, which has 4"),
        (IF, lambda m: _body(m).input.add(name="more"), "needs 0 inputs of its then_branch, which has 1"),
        (IF, lambda m: _body(m).output.append(_body(m).output[0]), "needs 1 outputs of its then_branch, which has 2"),
        (SCAN, lambda m: _body(m).input.add(name="more"), "needs 1 inputs of its body, which has 2"),
        (SCAN, lambda m: setattr(m.graph.node[0].attribute[0], "i", 5), "scans 5 of 1 inputs"),
    ],
)
def test_bodies(source: str, change: Change, words: str) -> None:
    assert problems(parse(source)) == []
    assert any(words in problem for problem in problems(parse(source), change))


def test_a_reference_outside_of_functions() -> None:
    made = model_of([helper.make_node("Softmax", ["x"], ["y"])], {"x": [1, 3]}, {"y": [1, 3]})
    made.graph.node[0].attribute.add(name="axis", type=2, ref_attr_name="formal")
    assert "'axis' that of a function, in which it does not stand" in problems(made)[0]
