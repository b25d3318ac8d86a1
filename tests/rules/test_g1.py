"""G1: memory-bound pointwise convolutions against the least memory access of their MACs."""

from __future__ import annotations

import math

import pytest
from linting import found, found_in, network

from onnxlint.patterns.convolutions import sizes
from onnxlint.registry import find_rule, installed_rules

bound = find_rule(installed_rules(), "G1").module.bound

PAIR = """pair (float[1,3,112,112] x) => (float[1,{a},112,112] y)
<float[{a},3,3,3] u, float[{b},{a},1,1] w, float[{a},{b},1,1] v> {{
    s = Conv <pads = [1,1,1,1]> (x, u)
    h = Conv (s, w)
    r = Relu (h)
    y = Conv (r, v)
}}"""


def test_the_bound_is_the_papers_where_nothing_strides() -> None:
    graph = network("mobilenet_v2").graph
    seen = 0
    for node in graph.compute_nodes:
        conv = sizes(graph, node)
        if conv is None or not conv.is_pointwise or conv.groups > 1:
            continue
        hw, macs = conv.in_pixels, conv.macs
        assert conv.accessed == hw * (conv.in_channels + conv.out_channels) + conv.in_channels * conv.out_channels
        assert bound(conv) == pytest.approx(2 * math.sqrt(hw * macs) + macs / hw)
        assert conv.accessed >= bound(conv) * (1 - 1e-12)
        assert (conv.accessed == pytest.approx(bound(conv))) == (conv.in_channels == conv.out_channels)
        seen += 1
    assert seen == 34


def test_unequal_widths_are_found_and_equal_ones_are_not() -> None:
    (finding,) = found_in(PAIR.format(a=16, b=192), "G1", "generic")
    assert finding.places == 2
    assert finding.saving_s is not None
    assert finding.saving_s > 0
    assert "(least access: 55->55)" in finding.details[0]
    assert found_in(PAIR.format(a=64, b=64), "G1", "generic") == []


def test_a_stride_says_that_least_access_is_not_equal() -> None:
    text = PAIR.format(a=16, b=192).replace("h = Conv (s, w)", "h = Conv <strides = [2,2]> (s, w)")
    (finding,) = found_in(text.replace("[1,16,112,112] y", "[1,16,56,56] y"), "G1", "generic")
    assert "at a stride s: c2 = s*s*c1" in finding.suggestion
    assert any("(least access: 28->111)" in detail for detail in finding.details)


def test_what_reads_the_image_or_merges_is_no_choice() -> None:
    reading = "image (float[1,3,224,224] x) => (float[1,64,224,224] y) <float[64,3,1,1] w> { y = Conv (x, w) }"
    assert found_in(reading, "G1", "generic") == []
    for device in ("generic", "t4", "hi3519"):
        assert not [key for finding in found("repvgg_a0_train", "G1", device) for key in finding.nodes]


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet_1_1", "ghostnet", "shufflenet_v1_g3"])
def test_the_saving_is_no_more_than_what_is_at_stake(name: str) -> None:
    [finding] = found(name, "G1", "hi3519")
    assert finding.saving_s is not None
    assert finding.saving_s < finding.latency_s


@pytest.mark.parametrize("name", ["resnet18", "repvgg_a0_deploy"])
def test_plain_networks_are_clean_on_a_gpu(name: str) -> None:
    assert not [finding for finding in found(name, "G1", "t4") if finding.severity == "warning"]
