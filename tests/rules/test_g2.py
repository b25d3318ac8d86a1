"""G2: grouped convolutions against dense ones of equal MACs."""

from __future__ import annotations

import math
import re

import pytest
from linting import found, found_in, network

from onnxlint.patterns.convolutions import sizes

GROUPED = """resnext (float[1,256,56,56] x) => (float[1,256,56,56] y) <float[256,{each},3,3] w> {{
    a = Conv <group = {groups}, pads = [1,1,1,1]> (x, w)
    y = Relu (a)
}}"""


def grouped(groups: int) -> str:
    return GROUPED.format(groups=groups, each=256 // groups)


def test_equal_macs_scale_both_widths_by_the_root_of_the_groups() -> None:
    graph = network("alexnet").graph
    convs = [conv for node in graph.compute_nodes if (conv := sizes(graph, node)) is not None and conv.groups == 2]
    assert convs
    for conv in convs:
        dense = conv.scaled(1 / math.sqrt(2))
        assert dense.macs == pytest.approx(conv.macs, rel=0.02)
        assert dense.accessed < conv.accessed


@pytest.mark.parametrize("device", ["generic", "hi3519", "t4", "cortex-a76"])
def test_many_groups_are_found_and_depthwise_is_not(device: str) -> None:
    (finding,) = found_in(grouped(32), "G2", device)
    assert finding.severity == "warning"
    assert "rule of thumb g <= sqrt(C) = 16" in finding.suggestion
    assert "dense" in (finding.fix.title if finding.fix else "")
    assert found_in(grouped(1), "G2", device) == []
    assert found_in(grouped(256), "G2", device) == []


def test_the_cause_is_padding_where_the_groups_are_padded() -> None:
    (finding,) = found_in(grouped(32), "G2", "rk3588")
    assert "takes 4 groups at once as 32->32: 4.0x the arithmetic, not memory access" in finding.suggestion
    assert "another capacity: needs retraining" in finding.suggestion


@pytest.mark.parametrize("name", ["shufflenet_v1_g3", "shufflenet_v1_g8"])
@pytest.mark.parametrize("device", ["generic", "hi3519", "t4", "cortex-a76", "rk3588"])
def test_no_change_costs_time_and_a_gain_that_may_be_none_is_an_info(name: str, device: str) -> None:
    [finding] = found(name, "G2", device)
    assert finding.saving_s is not None
    assert finding.saving_s > 0
    assert all(one.saving_s > 0 for one in finding.alternatives)
    assert finding.severity == "info" or (finding.saving_low_s or 0) > 0
    even = re.search(r"breaks even at g = (\d+)", finding.suggestion)
    groups = re.search(r"in (\d+) groups", finding.details[0])
    assert groups
    assert even is None or 1 < int(even[1]) < int(groups[1])


def test_networks_without_groups_are_silent() -> None:
    for name in ("resnet50", "mobilenet_v2", "vit_tiny"):
        assert found(name, "G2", "t4") == []


def test_shufflenet_v1_is_found_where_groups_run_slowly() -> None:
    (finding,) = found("shufflenet_v1_g8", "G2", "cortex-a76")
    assert finding.places > 10
    assert finding.saving_s is not None
    assert finding.saving_s > 0
