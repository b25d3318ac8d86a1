"""OPS005: activations that the device lacks, in the forms that it has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from edited import graph_of, run, same_outputs
from linting import found
from msgspec.structs import replace

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.finding import Insert
from onnxlint.patterns.activations import activations, other_forms
from onnxlint.rule import Context
from onnxlint.target import target_for
from onnxlint.values import Array
from onnxlint.whatif import apply

TEXT = "n (float[1,8,14,14] x) => (float[1,8,14,14] y) {{ {body} }}"
GELU = """two = Constant<value_float = 1.4142135>() one = Constant<value_float = 1.0>()
half = Constant<value_float = 0.5>()
a = Div(x, two) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)"""
CONSTANTS = {
    "HardSwish": {"slope": 1 / 6, "offset": 0.5, "zero": 0, "one": 1},
    "HardSigmoid": {"slope": 0.2, "offset": 0.5, "zero": 0, "one": 1},
    "Gelu": {"root": 1 / math.sqrt(2), "one": 1, "half": 0.5},
    "GeluTanh": {"cubic": 0.044715, "scale": math.sqrt(2 / math.pi), "one": 1, "half": 0.5},
}


def text(body: str, opset: int = 17) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n' + TEXT.format(body=body)


def constants(kind: str, name: str, dims: tuple[int, ...]) -> Array:
    return np.full(dims, CONSTANTS[kind][name.rpartition("/")[2]], np.float32)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("y = HardSwish(x)", "HardSwish"),
        ("y = HardSigmoid(x)", "HardSigmoid"),
        ("s = Sigmoid(x) y = Mul(x, s)", "SiLU"),
        (GELU, "Gelu"),
        ("y = com.microsoft.Gelu(x)", "Gelu"),
        ("y = com.microsoft.FastGelu(x)", "GeluTanh"),
        ("y = Mish(x)", "Mish"),
    ],
)
def test_exact_forms_compute_the_same(body: str, kind: str) -> None:
    graph = graph_of(text(body, 18))
    [one] = set(activations(graph).values())
    assert one.kind == kind
    exact = [form for form in other_forms(graph, one) if form.safety == "exact" and form.kind == kind]
    ran = [form for form in exact if not {"Swish", "Gelu"} & set(form.operators)]
    for form in ran:
        assert same_outputs(graph, form.edits, lambda *_: np.zeros(()), lambda n, d, _: constants(kind, n, d))
    assert ran or kind in ("SiLU", "Gelu")


def test_the_tanh_form_of_gelu_is_as_close_as_stated() -> None:
    graph = graph_of(text("y = com.microsoft.Gelu(x)"))
    [one] = set(activations(graph).values())
    [form] = [form for form in other_forms(graph, one) if form.safety == "close"]
    feed = {"x": np.linspace(-6, 6, 8 * 14 * 14, dtype=np.float32).reshape(1, 8, 14, 14)}
    before = run(graph, lambda *_: np.zeros(()), feed)[0]
    after = run(apply(graph, form.edits), lambda n, d, _: constants("GeluTanh", n, d), feed)[0]
    assert np.abs(before - after).max() < 5e-4


def test_a_spelled_activation_is_replaced_whole() -> None:
    graph = graph_of(text(GELU))
    [one] = set(activations(graph).values())
    assert {node.key for node in one.nodes} == {"a", "b", "c", "d", "y"}
    relu = [form for form in other_forms(graph, one) if form.operators == ("Relu",)]
    assert [edit.inputs for edit in relu[0].edits if isinstance(edit, Insert)] == [("x",)]


def test_a_gate_is_never_a_relu() -> None:
    for body in ("y = Sigmoid(x)", "y = HardSigmoid(x)", "y = Tanh(x)"):
        graph = graph_of(text(body))
        [one] = set(activations(graph).values())
        assert not [form for form in other_forms(graph, one) if "Relu" in form.operators]


def test_a_biased_gelu_has_no_form_without_its_bias() -> None:
    graph = graph_of("n (float[1,8] x) => (float[1,8] y) <float[8] b> { y = com.microsoft.FastGelu(x, b) }")
    [one] = set(activations(graph).values())
    assert not list(other_forms(graph, one))


@pytest.mark.parametrize(
    ("network", "device", "fires"),
    [
        ("mobilenet_v3_large", "hi3519", True),
        ("mobilenet_v3_large", "x3", True),
        ("mobilenet_v3_large", "rk3588", False),
        ("mobilenet_v3_large", "t4", False),
        ("mobilenet_v3_large", "cortex-a76", False),
        ("efficientnet_b0", "x3", True),
        ("efficientnet_b0", "rk3588", False),
        ("efficientnet_b0", "t4", False),
        ("efficientnet_b0", "cortex-a76", False),
        ("resnet50", "x3", False),
        ("repvgg_a0_deploy", "hi3519", False),
        ("mobilenet_v2", "edgetpu", False),
    ],
)
def test_it_fires_where_the_activation_is_not_native(network: str, device: str, fires: bool) -> None:
    assert bool(found(network, "OPS005", device)) == fires


@pytest.mark.parametrize(("newest", "runs"), [(19, False), (20, True)])
def test_an_operator_that_no_opset_of_the_toolchain_has_is_not_offered(newest: int, runs: bool) -> None:
    """Gelu came with opset 20."""
    device = load_device("generic")
    device = replace(device, toolchain=replace(device.toolchain, opsets=(12, newest)))
    graph = graph_of(text(GELU))
    [one] = set(activations(graph).values())
    [form] = [form for form in other_forms(graph, one) if form.operators == ("Gelu",)]
    assert Context(Analysis(graph, target_for(device))).runs(form.edits) == runs
