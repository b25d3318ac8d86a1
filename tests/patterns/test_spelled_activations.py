"""Activations spelled out in simple operators, in every order that an exporter may write them."""

from __future__ import annotations

import pytest
from models import model, value
from onnx import helper
from zoo import build

from onnxlint.engine import read_model
from onnxlint.patterns.spelled_activations import SpelledActivation, spelled_activations
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.whatif import apply


def spelled(body: str, outputs: str = "float[1,8,4,4] y") -> tuple[SpelledActivation, ...]:
    text = f"""net (float[1,8,4,4] x) => ({outputs}) <float[8] scales> {{
        half = Constant<value_float = 0.5>()
        one = Constant<value_float = 1.0>()
        three = Constant<value_float = 3.0>()
        six = Constant<value_float = 6.0>()
        zero = Constant<value_float = 0.0>()
        root = Constant<value_float = 1.4142135>()
        inverse = Constant<value_float = 0.70710677>()
        slope = Constant<value_float = 1.702>()
        cubic = Constant<value_float = 0.044715>()
        factor = Constant<value_float = 0.7978846>()
        {body}
    }}"""
    return spelled_activations(read_model(example_model(text), Settings()).graph)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Gelu", "a = Div(x, root) e = Erf(a) b = Add(e, one) c = Mul(x, b) y = Mul(c, half)"),
        ("Gelu", "a = Mul(inverse, x) e = Erf(a) b = Add(one, e) h = Mul(x, half) y = Mul(h, b)"),
        ("Gelu", "a = Mul(x, inverse) e = Erf(a) b = Add(e, one) c = Mul(b, half) y = Mul(c, x)"),
        ("Gelu", "a = Div(x, root) e = Erf(a) h = Mul(e, half) b = Add(h, half) y = Mul(x, b)"),
        (
            "GeluTanh",
            "p = Pow(x, three) a = Mul(p, cubic) b = Add(x, a) c = Mul(b, factor) t = Tanh(c) d = Add(t, one)"
            " h = Mul(x, half) y = Mul(h, d)",
        ),
        (
            "GeluTanh",
            "q = Mul(x, x) p = Mul(q, x) a = Mul(p, cubic) b = Add(a, x) c = Mul(factor, b) t = Tanh(c)"
            " d = Add(one, t) e = Mul(d, half) y = Mul(e, x)",
        ),
        ("SiLU", "s = Sigmoid(x) y = Mul(x, s)"),
        ("SiLU", "n = Neg(x) e = Exp(n) b = Add(e, one) y = Div(x, b)"),
        ("QuickGelu", "a = Mul(x, slope) s = Sigmoid(a) y = Mul(s, x)"),
        ("HardSwish", "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)"),
        ("HardSwish", "a = Add(x, three) c = Clip(a, zero, six) m = Div(c, six) y = Mul(x, m)"),
        ("HardSwish", "a = Add(x, three) r = Relu(a) c = Min(r, six) m = Div(c, six) y = Mul(x, m)"),
        ("HardSwish", "s = HardSigmoid<alpha = 0.16666667, beta = 0.5>(x) y = Mul(x, s)"),
        ("Mish", "p = Softplus(x) t = Tanh(p) y = Mul(x, t)"),
        ("Mish", "e = Exp(x) p = Add(e, one) l = Log(p) t = Tanh(l) y = Mul(x, t)"),
    ],
)
def test_a_spelling_is_recognised_whole(kind: str, body: str) -> None:
    (found,) = spelled(body)
    assert (found.kind, found.source, found.output) == (kind, "x", "y")
    assert len(found.nodes) == body.count("=") - body.count("alpha =") - body.count("beta =")


@pytest.mark.parametrize(
    "body",
    [
        "s = Sigmoid(x) y = Mul(s, one)",
        "s = HardSigmoid(x) y = Mul(x, s)",  # slope 0.2: another function
        "a = Add(x, three) s = Sigmoid(a) y = Mul(x, s)",
        "a = Clip(x, zero, six) y = Mul(a, half)",
        "w = Neg(x) s = Sigmoid(w) y = Mul(x, s)",
        "a = GlobalAveragePool(x) s = Sigmoid(a) y = Mul(x, s)",  # a gate
        "t = Tanh(x) y = Mul(x, t)",
        "e = Erf(x) b = Add(e, one) c = Mul(x, b) y = Mul(c, half)",  # without the root of two
    ],
)
def test_another_function_is_none(body: str) -> None:
    assert spelled(body) == ()


def test_the_nearest_source_is_taken() -> None:
    (found,) = spelled("a = Mul(x, half) b = Add(a, three) s = Sigmoid(b) y = Mul(b, s)")
    assert (found.kind, found.source) == ("SiLU", "b")


def test_what_is_read_elsewhere_is_not_fused() -> None:
    assert spelled("s = Sigmoid(x) y = Mul(x, s)", "float[1,8,4,4] y, float[1,8,4,4] s") == ()


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [("efficientnet_b0", "SiLU", 49), ("vit_tiny", "Gelu", 12), ("resnet50", "", 0), ("se_resnet50", "", 0)],
)
def test_networks(name: str, kind: str, count: int) -> None:
    found = spelled_activations(read_model(build(name), Settings()).graph)
    assert {one.kind for one in found} == ({kind} if kind else set())
    assert len(found) == count


def test_a_fused_operator_takes_the_place_of_all() -> None:
    text = "net (float[1,8] x) => (float[1,8] y) { s = Sigmoid(x) y = Mul(x, s) }"
    graph = read_model(example_model(text), Settings()).graph
    (found,) = spelled_activations(graph)
    for operator in found.operators:
        assert [node.op_type for node in apply(graph, found.edits(operator)).nodes] == [operator.op_type]


def test_constants_that_are_not_there_are_no_numbers() -> None:
    nodes = [helper.make_node("Mul", ["x", "c"], ["a"]), helper.make_node("Sigmoid", ["a"], ["s"])]
    nodes.append(helper.make_node("Mul", ["x", "s"], ["y"]))
    proto = model(nodes, [value("x", [4]), value("c", [1])], ["y"])
    assert spelled_activations(read_model(proto, Settings()).graph) == ()
