"""What the rules on structures and transformers say of whole networks: what they must find, and where to be silent."""

from __future__ import annotations

from functools import cache

import pytest
from linting import found, found_in, network

from onnxlint.device import load_device
from onnxlint.engine import lint_graph
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import ReportedFinding
from onnxlint.settings import Settings

CODES = [f"{family}00{number}" for family in ("STR", "TRF") for number in range(1, 8 if family == "TRF" else 7)]
BY_PRICE = {"STR003", "STR005", "STR006", "TRF001", "TRF004", "TRF005"}
"""Rules whose price on the device decides whether they speak at all."""
DEVICES = ["hi3519", "x3", "rk3588", "t4", "cortex-a76"]

EXPECTED: dict[str, tuple[dict[str, int], set[str]]] = {
    # network: the places of what must be found on every device, and what may be found where it pays
    "alexnet": ({}, set()),
    "squeezenet_1_1": ({}, set()),
    "cspresnet50": ({}, set()),
    "resnet18": ({}, {"STR006"}),
    "resnet50": ({}, {"STR006"}),
    "vgg16": ({}, {"STR006"}),
    "vovnet39": ({}, {"STR006"}),
    "googlenet": ({}, {"STR006"}),
    "inception_v3": ({}, {"STR006"}),
    "nasnet_mobile": ({}, {"STR006"}),
    "mobilenet_v1": ({}, {"STR006"}),
    "mobilenet_v2": ({}, {"STR006"}),
    "shufflenet_v2_x1_0": ({}, {"STR006"}),
    "repvgg_a0_train": ({"STR001": 22}, {"STR006"}),
    "repvgg_a0_deploy": ({}, {"STR006"}),
    "densenet121": ({"STR002": 4}, set()),
    "se_resnet50": ({"STR004": 16}, {"STR006"}),
    "mobilenet_v3_large": ({"STR004": 8}, {"STR006"}),
    "efficientnet_b0": ({"STR004": 16}, {"STR006"}),
    "ghostnet": ({"STR004": 7}, {"STR005"}),
    "vit_tiny": ({"TRF003": 25}, {"TRF001", "TRF004", "TRF005"}),
    "mobilevit_s": ({"TRF002": 6, "TRF003": 21, "TRF006": 6}, {"TRF004", "TRF005", "STR006"}),
    "efficientformer_l1": ({"TRF003": 3}, {"TRF004", "TRF005"}),
    "mobileformer_294m": ({"TRF003": 34, "TRF007": 22}, {"TRF005"}),
    "tinybert_4l_312": ({}, {"TRF005"}),
}


@cache
def findings(name: str, device: str) -> tuple[ReportedFinding, ...]:
    rules = [find_rule(installed_rules(), code) for code in CODES]
    report = lint_graph(network(name), load_device(device), rules, Settings())
    assert not report.incomplete
    return report.findings


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", EXPECTED)
def test_networks_are_found_to_be_what_they_are(name: str, device: str) -> None:
    always, maybe = EXPECTED[name]
    places = {one.rule: one.places for one in findings(name, device)}
    assert len(places) == len(findings(name, device))
    assert {rule: count for rule, count in places.items() if rule not in BY_PRICE} == always
    assert places.keys() & BY_PRICE <= maybe


@pytest.mark.parametrize("device", DEVICES)
def test_a_network_in_training_form_is_told_to_merge_its_branches_and_no_other(device: str) -> None:
    (branches,) = [one for one in findings("repvgg_a0_train", device) if one.rule == "STR001"]
    assert (branches.severity, branches.fix and branches.fix.safety) == ("warning", "exact")
    assert branches.saving_s is not None
    assert branches.saving_s > 0.1 * branches.latency_s
    # dense 3x3 convolutions are another architecture on a phone's CPU only, and no fault
    assert {one.severity for one in findings("repvgg_a0_deploy", device)} <= {"info"}


@pytest.mark.parametrize("device", ["hi3519", "rk3588", "t4"])
def test_depthwise_networks_are_named_where_an_array_runs_them(device: str) -> None:
    assert [one.rule for one in findings("mobilenet_v2", device) if one.severity == "warning"] == ["STR006"]
    assert [one.rule for one in findings("ghostnet", device) if one.severity == "warning"] == ["STR005", "STR004"]


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "shufflenet_v2_x1_0"])
@pytest.mark.parametrize("device", ["x3", "cortex-a76"])
def test_depthwise_networks_are_no_fault_where_the_device_supports_them(name: str, device: str) -> None:
    assert findings(name, device) == ()


@pytest.mark.parametrize("device", DEVICES)
def test_dense_connections_cost_everywhere(device: str) -> None:
    (blocks,) = findings("densenet121", device)
    assert blocks.severity == "warning"
    assert "58 layers" in blocks.message


@pytest.mark.parametrize(("name", "count"), [("mobileformer_294m", 22), ("vit_tiny", 0), ("mobilevit_s", 0)])
def test_bridges_are_those_of_mobile_former_alone(name: str, count: int) -> None:
    assert sum(one.places for one in findings(name, "rk3588") if one.rule == "TRF007") == count


@pytest.mark.parametrize("device", ["x3", "rk3588"])
def test_patches_beyond_the_limits_are_one_finding(device: str) -> None:
    assert [one.severity for one in found("vit_tiny", "TRF001", device)] == ["error"]
    assert found("vit_tiny", "CNV007", device) == []


_WINDOWS = """windows (float[1,3,{size},{size}] x) => (float[{n},3,{t},{t}] a)
<float[288,3,4,4] e, int64[6] cut = {{1,96,{rows},{w},{rows},{w}}}, int64[4] heads = {{{n},{t},3,32}},
 int64[3] tokens = {{{n},{t},96}}, float[96,96] wq, float[96,96] wk, float[96,3,4,4] p> {{
    m = Conv <strides = [4,4]> (x, p)
    c = Reshape (m, cut)
    d = Transpose <perm = [0,2,4,3,5,1]> (c)
    f = Reshape (d, tokens)
    q = MatMul (f, wq)
    k = MatMul (f, wk)
    qh = Reshape (q, heads)
    kh = Reshape (k, heads)
    qt = Transpose <perm = [0,2,1,3]> (qh)
    kt = Transpose <perm = [0,2,3,1]> (kh)
    s = MatMul (qt, kt)
    b = Softmax <axis = -1> (s)
    v = Transpose <perm = [0,2,1,3]> (qh)
    o = MatMul (b, v)
    vt = Transpose <perm = [0,1,3,2]> (o)
    a = MatMul (o, vt)
}}"""


def test_attention_in_windows_is_not_quadratic_in_the_map() -> None:
    windows = _WINDOWS.format(size=448, n=64, rows=8, w=14, t=196)
    assert found_in(windows, "TRF004", "cortex-a76") == []
    whole = _WINDOWS.format(size=112, n=1, rows=1, w=28, t=784)
    (finding,) = found_in(whole, "TRF004", "cortex-a76")
    assert finding.places == 1


def test_changes_behind_a_residual_sum_are_known_by_either_branch() -> None:
    text = """n (float[1,8,14,14] x, float[1,14,14,8] z) => (y, v)
    <float[8,8,1,1] w, float[8] s, float[8] b> {
      t = Transpose<perm = [0,3,1,2]>(z) a = Conv(x, w) c = Add(t, a)
      u = Transpose<perm = [0,2,3,1]>(c) y = LayerNormalization(u, s, b)
      d = Conv(a, w) e = Add(t, d) f = Transpose<perm = [0,2,3,1]>(e) v = LayerNormalization(f, s, b)
    }"""
    [finding] = found_in(text, "TRF002", "t4")
    assert finding.places >= 2
