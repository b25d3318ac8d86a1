"""CNV001: depthwise convolutions on machines built for dense ones."""

from __future__ import annotations

import re

import pytest
from linting import found, network

from onnxlint.device import load_device


def test_mobilenet_v2_is_warned_of_on_hi3519() -> None:
    (finding,) = found("mobilenet_v2", "CNV001", "hi3519")
    assert finding.severity == "warning"
    assert not finding.hidden
    assert finding.places == 17
    assert finding.saving_s is None or finding.saving_s > 0


@pytest.mark.parametrize("name", ["mobilenet_v2", "ghostnet", "efficientnet_b0", "shufflenet_v2_x1_0"])
@pytest.mark.parametrize("device", ["hi3519", "generic"])
def test_it_warns_only_where_a_fused_block_pays(name: str, device: str) -> None:
    [finding] = found(name, "CNV001", device)
    assert finding.severity == "info" or finding.fix is not None
    assert (finding.fix is None) == ("pays in no block" in finding.suggestion)
    low, _, high = re.findall(r"take ([\d-]+) % of the latency less", finding.suggestion)[0].partition("-")
    assert low != high


@pytest.mark.parametrize("device", ["x3", "cortex-a76"])
def test_it_is_silent_where_the_profile_says_so_with_a_source(device: str) -> None:
    assert found("mobilenet_v2", "CNV001", device) == []
    setting = load_device(device).rules["CNV001"]
    assert setting.silent
    assert setting.source


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "vit_tiny", "bert_base"])
def test_networks_without_depthwise_are_silent(name: str) -> None:
    assert found(name, "CNV001", "hi3519") == []


def test_every_place_is_a_depthwise_convolution() -> None:
    graph = network("efficientnet_b0").graph
    (finding,) = found("efficientnet_b0", "CNV001", "hi3519")
    assert all(graph.node(key).attr("group") > 1 for key in finding.nodes)
