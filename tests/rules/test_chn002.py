"""CHN002: depthwise-separable pairs against the plain convolution."""

from __future__ import annotations

import pytest
from linting import found, found_in, network

from onnxlint.device import load_device
from onnxlint.engine import lint_graph
from onnxlint.registry import find_rule, installed_rules
from onnxlint.settings import Settings

PAIR = """pair (float[1,{c},{s},{s}] x) => (float[1,{c},{s},{s}] y) <float[{c},1,3,3] w, float[{c},{c},1,1] v> {{
    a = Conv <group = {c}, pads = [1,1,1,1]> (x, w)
    {between}
    y = Conv ({read}, v)
}}"""


def pair(channels: int, size: int, *, linear: bool = False) -> str:
    read = "a" if linear else "b"
    return PAIR.format(c=channels, s=size, between="" if linear else "b = Relu (a)", read=read)


def test_few_channels_on_a_large_map_are_found_and_many_on_a_small_one_are_not() -> None:
    (finding,) = found_in(pair(16, 112), "CHN002", "generic")
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"
    assert finding.saving_s is not None
    assert 0 < finding.saving_s < finding.latency_s
    assert found_in(pair(512, 14), "CHN002", "generic") == []


def test_the_merge_is_exact_where_nothing_stands_between() -> None:
    (finding,) = found_in(pair(16, 112, linear=True), "CHN002", "generic")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert "; merge each pair: same outputs" in finding.suggestion
    assert finding.message.startswith("1 depthwise-separable pair is slower")


def test_the_early_blocks_of_mobilenet_pay_most() -> None:
    (finding,) = found("mobilenet_v2", "CHN002", "hi3519")
    assert "32->16" in finding.suggestion
    assert finding.places < 17


@pytest.mark.parametrize("name", ["resnet50", "vit_tiny", "squeezenet_1_1"])
def test_networks_without_pairs_are_silent(name: str) -> None:
    assert found(name, "CHN002", "t4") == []


def test_what_overlaps_with_an_earlier_fix_is_not_saved_twice() -> None:
    rules = [find_rule(installed_rules(), code) for code in ("CNV001", "CHN002", "G1")]
    report = lint_graph(network("mobilenet_v2"), load_device("hi3519"), rules, Settings())
    first, *others = report.findings
    assert first.rule == "CNV001"
    assert [finding.saving_cumulative_s for finding in others] == [first.saving_s] * 2


def test_a_pair_with_another_branch_between_is_none() -> None:
    text = """branches (float[1,16,112,112] x) => (float[1,16,112,112] y)
<float[16,1,3,3] w, float[16,1,1,1] u, float[16,16,1,1] v> {
    p = Conv <group = 16, pads = [1,1,1,1]> (x, w)
    q = Conv <group = 16> (x, u)
    s = Add (p, q)
    r = Relu (s)
    y = Conv (r, v)
}"""
    assert found_in(text, "CHN002", "t4") == []
