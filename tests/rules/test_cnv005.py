"""CNV005: fully connected layers over a whole map."""

from __future__ import annotations

import pytest
from linting import found, found_in


@pytest.mark.parametrize(("name", "held"), [("vgg16", "124 M of 138 M"), ("alexnet", "58.6 M of 61.0 M")])
@pytest.mark.parametrize("device", ["hi3519", "x3", "t4", "cortex-a76"])
def test_vgg_and_alexnet_are_found(name: str, held: str, device: str) -> None:
    (finding,) = found(name, "CNV005", device)
    assert held in finding.message
    assert finding.places == 3
    assert finding.fix is not None
    assert finding.saving_s is not None
    assert 0 < finding.saving_s < finding.latency_s


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "mobilenet_v3_large", "squeezenet_1_1", "vit_tiny", "tinybert_4l_312"]
)
def test_classifiers_behind_a_pool_are_silent(name: str) -> None:
    assert found(name, "CNV005", "t4") == []


def test_a_convolution_as_large_as_the_map_is_the_same_head() -> None:
    head = """head (float[1,512,7,7] x) => (float[1,1000] y)
    <float[512,512,3,3] v, float[4096,512,7,7] w1, float[1000,4096,1,1] w2> {
        a = Conv <pads = [1,1,1,1]> (x, v)
        b = Conv (a, w1)
        c = Relu (b)
        d = Conv (c, w2)
        y = Flatten (d)
    }"""
    (finding,) = found_in(head, "CNV005", "t4")
    assert finding.places == 2
    assert finding.fix is not None


def test_a_depthwise_window_as_large_as_the_map_is_not() -> None:
    head = """head (float[1,512,7,7] x) => (float[1,512,1,1] y) <float[512,1,7,7] w> {
        y = Conv <group = 512> (x, w)
    }"""
    assert found_in(head, "CNV005", "t4") == []
