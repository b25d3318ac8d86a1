"""OPS001, OPS003 and OPS004: what the device does not run, hold or compile."""

from __future__ import annotations

import pytest
from zoo import NETWORKS, build

from onnxlint.analysis import Analysis, target_for
from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.finding import Insert, Remove
from onnxlint.graph import Graph
from onnxlint.patterns.packed_heads import four_dimensional, packed_heads
from onnxlint.patterns.rewrites import rewrites
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import Report, ReportedFinding
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.whatif import apply

CODES = ("OPS001", "OPS002", "OPS003", "OPS004", "CHN001", "STR006")
RULES = [find_rule(installed_rules(), code) for code in CODES]
ACTIVATION = "n (float[1,8,14,14] x) => (float[1,8,14,14] y) {{ {body} }}"


def lint(name: str, device: str) -> Report:
    return lint_graph(read_model(build(name), Settings()), load_device(device), RULES, Settings())


def found(report: Report, code: str) -> list[ReportedFinding]:
    return [finding for finding in report.findings if finding.rule == code]


def text_graph(text: str) -> Graph:
    return read_model(example_model(text), Settings()).graph


@pytest.mark.parametrize("name", NETWORKS)
def test_no_rule_fails_on_the_zoo(name: str) -> None:
    model = read_model(build(name), Settings())
    for device in ("hi3519", "x3", "rk3588", "cv22", "t4", "cortex-a76"):
        assert lint_graph(model, load_device(device), RULES, Settings()).incomplete == ()


@pytest.mark.parametrize("name", ["resnet18", "repvgg_a0_deploy"])
def test_a_plain_network_has_no_warning_on_a_gpu(name: str) -> None:
    assert [f.rule for f in lint(name, "t4").findings if f.severity != "info"] == []


def test_every_unsupported_node_is_explained_once() -> None:
    device = load_device("hi3519")
    for name in ("vit_tiny", "shufflenet_v2_x1_0", "mobilevit_xs"):
        model = read_model(build(name), Settings())
        report = lint_graph(model, device, RULES, Settings())
        nodes = [node for code in CODES[:3] for finding in found(report, code) for node in finding.nodes]
        assert len(nodes) == len(set(nodes))
        support = Analysis(model.graph, target_for(device)).placement.support
        assert {key for key, told in support.items() if told.status == "unsupported"} <= set(nodes)


def test_a_silu_that_the_device_lacks_has_two_rewrites() -> None:
    graph = text_graph(ACTIVATION.format(body="y = HardSwish(x)"))
    assert [r.safety for r in rewrites(graph, graph.nodes[0])] == ["exact", "lossy"]


def test_gelu_spelled_out_is_one_activation() -> None:
    body = """two = Constant<value_float = 1.41>() one = Constant<value_float = 1.0>()
    half = Constant<value_float = 0.5>()
    a = Div(x, two) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half)"""
    graph = text_graph(ACTIVATION.format(body=body))
    [rewrite] = rewrites(graph, graph.node("b"))
    assert sorted(edit.node for edit in rewrite.edits if isinstance(edit, Remove)) == ["a", "b", "c", "d", "y"]
    assert [edit.inputs for edit in rewrite.edits if isinstance(edit, Insert)] == [("x",)]


@pytest.mark.parametrize("name", ["vit_tiny"])
def test_packed_heads_have_a_form_of_four_dims(name: str) -> None:
    if name not in NETWORKS:
        pytest.skip("not in the zoo")
    graph = read_model(build(name), Settings()).graph
    packings = list(packed_heads(graph))
    if not packings:
        pytest.skip("its heads are not packed")
    edits = [edit for packed in packings for edit in four_dimensional(graph, packed)]
    after = apply(graph, edits)
    assert max(after.type_of(name).rank or 0 for node in after.compute_nodes for name in node.outputs) <= 4


def test_free_dims_are_frozen_by_a_command() -> None:
    text = "n (float[batch,3,height,224] x) => (float[batch,3,height,224] y) { y = Relu(x) }"
    model = read_model(example_model(text), Settings())
    [finding] = lint_graph(model, load_device("hi3519"), [RULES[3]], Settings()).findings
    assert "--dim batch=1 --dim height=224" in finding.suggestion
    assert finding.saving_s is None
    assert lint_graph(model, load_device("t4"), [RULES[3]], Settings()).findings == ()
