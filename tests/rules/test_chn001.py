"""CHN001 channel-multiple and STR006 architecture-mismatch."""

from __future__ import annotations

import pytest
from zoo import build

from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import ReportedFinding
from onnxlint.rule import example_model
from onnxlint.settings import Settings

NET = """
n (float[1,3,112,112] x) => (float[1,10,1,1] y)
<float[{a},3,3,3] w0, float[{a},{a},3,3] w1, float[{a},{a},3,3] w2, float[10,{a},1,1] w3> {{
  s = Conv<pads = [1, 1, 1, 1]>(x, w0)
  a = Conv<pads = [1, 1, 1, 1]>(s, w1)
  b = Conv<pads = [1, 1, 1, 1]>(a, w2)
  c = GlobalAveragePool(b)
  y = Conv(c, w3)
}}
"""


def lint(code: str, model: str, device: str) -> list[ReportedFinding]:
    proto = example_model(model) if "=>" in model else build(model)
    rule = find_rule(installed_rules(), code)
    return list(lint_graph(read_model(proto, Settings()), load_device(device), [rule], Settings()).findings)


def test_image_channels_and_classes_are_no_choice() -> None:
    assert lint("CHN001", NET.format(a=128), "hi3519") == []


def test_both_roundings_are_priced() -> None:
    [finding] = lint("CHN001", NET.format(a=100), "hi3519")
    assert "100 channels cost as 112" in finding.message
    assert finding.fix is not None
    assert "down" in finding.fix.title
    assert len(finding.alternatives) == 1
    assert finding.saving_s is not None
    assert finding.saving_s > finding.alternatives[0].saving_s


@pytest.mark.parametrize(
    ("name", "device"),
    [("resnet18", "t4"), ("repvgg_a0_deploy", "t4"), ("mobilenet_v2", "x3"), ("mobilenet_v2", "cortex-a76")],
)
def test_an_architecture_that_fits_is_silent(name: str, device: str) -> None:
    assert lint("STR006", name, device) == []


def test_inverted_bottlenecks_do_not_suit_an_npu_without_depthwise() -> None:
    [finding] = lint("STR006", "mobilenet_v2", "hi3519")
    assert finding.places == 17
    assert finding.fix is not None
    assert finding.fix.safety == "advice"
