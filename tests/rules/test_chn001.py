"""CHN001 channel-multiple and STR006 architecture-mismatch."""

from __future__ import annotations

import re

import pytest
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.finding import Declare, Edit
from onnxlint.graph import Graph
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import ReportedFinding
from onnxlint.rule import Context, example_model
from onnxlint.settings import Settings
from onnxlint.target import target_for
from onnxlint.tensor import TensorType
from onnxlint.whatif import saving

RULE = find_rule(installed_rules(), "CHN001")

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


def test_a_narrower_network_is_no_price_of_padding() -> None:
    [finding] = lint("CHN001", NET.format(a=100), "hi3519")
    assert "100 channels cost as 112" in finding.message
    assert "100 to 96 or 112" in finding.suggestion
    assert finding.fix is None


def test_widths_below_the_multiple_are_filled_only() -> None:
    [finding] = lint("CHN001", "ghostnet", "hi3519")
    assert re.search(r"\b8 to 16[;.]", finding.suggestion)


ROUNDED = [
    ("ghostnet", "hi3519"),
    ("shufflenet_v2_x1_0", "rk3588"),
    ("shufflenet_v2_x1_0", "generic"),
    ("efficientnet_b0", "rk3588"),
    ("efficientnet_b0", "generic"),
]


@pytest.mark.parametrize(("name", "device"), ROUNDED)
def test_a_fix_saves_no_more_than_the_padding_takes(name: str, device: str) -> None:
    [finding] = lint("CHN001", name, device)
    assert finding.saving_s is not None
    assert 0 < finding.saving_s <= finding.latency_s
    assert finding.alternatives == ()


@pytest.mark.parametrize(("name", "device"), ROUNDED)
def test_of_all_roundings_the_one_that_saves_most_within_the_padding_is_offered(name: str, device: str) -> None:
    analysis = Analysis(read_model(build(name), Settings()).graph, target_for(load_device(device)))
    [finding] = RULE.check(Context(analysis))
    [fix] = finding.fixes
    assert finding.at_stake_s is not None
    multiple = int(re.search(r"multiples of (\d+)", fix.title)[1])  # type: ignore[index]
    widths = {size for edit in fix.edits if isinstance(edit, Declare) for size in _changed(analysis.graph, edit)}
    gains = []
    for most in (1.0, 0.75, 0.5, 0.25, 0.1):
        other = tuple(_rounded(analysis.graph, edit, widths, multiple, most) for edit in fix.edits)
        gains.append(float(saving(analysis, other).mean()))
    assert float(saving(analysis, fix.edits).mean()) == max(gain for gain in gains if gain <= finding.at_stake_s)


def _changed(graph: Graph, edit: Declare) -> set[int]:
    pairs = zip(graph.type_of(edit.value).dims, edit.type.dims, strict=True)
    return {before for before, after in pairs if before != after}


def _rounded(graph: Graph, edit: Edit, widths: set[int], multiple: int, most: float) -> Edit:
    assert isinstance(edit, Declare)
    dims = []
    for before, after in zip(graph.type_of(edit.value).dims, edit.type.dims, strict=True):
        down = before // multiple * multiple
        up = -(-before // multiple) * multiple
        is_down = down and before - down <= most * multiple
        dims.append((down if is_down else up) if before in widths and before != after else before)
    return Declare(edit.value, TensorType(edit.type.dtype, tuple(dims)), edit.is_weight)


@pytest.mark.parametrize(
    ("name", "device"),
    [("resnet18", "t4"), ("repvgg_a0_deploy", "t4"), ("mobilenet_v2", "x3"), ("mobilenet_v2", "cortex-a76")],
)
def test_an_architecture_that_fits_is_silent(name: str, device: str) -> None:
    assert lint("STR006", name, device) == []


def test_inverted_bottlenecks_do_not_suit_an_npu_without_depthwise() -> None:
    [finding] = lint("STR006", "mobilenet_v2", "hi3519")
    assert finding.places == 17
    assert "another architecture" in finding.message
    assert finding.fix is not None
    assert finding.fix.safety == "advice"


@pytest.mark.parametrize("name", ["mobilenet_v2", "inception_v3", "vgg16", "resnet18"])
@pytest.mark.parametrize("device", ["hi3519", "t4", "cortex-a76"])
def test_another_architecture_fails_a_build_only_at_equal_macs(name: str, device: str) -> None:
    assert find_rule(installed_rules(), "STR006").rule.severity == "warning"
    for finding in lint("STR006", name, device):
        assert finding.severity == "info" or (finding.fix is not None and "equal MACs" in finding.fix.title)
        assert "another architecture" in finding.message
