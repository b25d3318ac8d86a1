"""G3: fragmented cells."""

from __future__ import annotations

import re

import pytest
from linting import found, found_in


@pytest.mark.parametrize("device", ["hi3519", "t4"])
def test_inception_names_its_cells(device: str) -> None:
    (finding,) = found("inception_v3", "G3", device)
    assert finding.places == 11
    assert finding.severity == "warning"
    assert any("branches" in detail for detail in finding.details)


@pytest.mark.parametrize("device", ["hi3519", "t4", "cortex-a76", "generic", "gtx1080ti"])
@pytest.mark.parametrize("name", ["inception_v3", "nasnet_mobile", "googlenet"])
def test_the_launches_are_a_part_of_the_time_and_no_change_costs_any(name: str, device: str) -> None:
    [finding] = found(name, "G3", device)
    part = int(re.findall(r"(\d+) %", finding.suggestion)[0])
    assert part <= 100
    assert finding.suggestion.startswith("Little is launch overhead") == (part < 10)
    assert all(one.saving_s > 0 for one in finding.alternatives)
    assert part >= 9 or finding.severity == "info"


def test_nasnet_cells_that_read_two_earlier_cells_are_found() -> None:
    (finding,) = found("nasnet_mobile", "G3", "t4")
    assert finding.places >= 12
    assert any(detail.startswith("/cells.") for detail in finding.details)


@pytest.mark.parametrize("device", ["hi3519", "x3", "t4", "cortex-a76"])
@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet50", "se_resnet50", "repvgg_a0_deploy", "mobilenet_v2", "vit_tiny", "densenet121", "vovnet39"],
)
def test_regular_networks_are_silent(name: str, device: str) -> None:
    assert found(name, "G3", device) == []


def test_a_cell_of_like_convolutions_is_exactly_one() -> None:
    text = """like (float[1,32,28,28] x) => (float[1,128,28,28] y)
    <float[32,32,3,3] w, float[32,32,3,3] v, float[32,32,3,3] u, float[32,32,3,3] t> {
        a = Conv <pads = [1,1,1,1]> (x, w)
        ra = Relu (a)
        b = Conv <pads = [1,1,1,1]> (x, v)
        rb = Relu (b)
        c = Conv <pads = [1,1,1,1]> (x, u)
        rc = Relu (c)
        d = Conv <pads = [1,1,1,1]> (x, t)
        rd = Relu (d)
        y = Concat <axis = 1> (ra, rb, rc, rd)
    }"""
    (finding,) = found_in(text, "G3", "t4")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.saving_s is not None
    assert finding.saving_s > 0
    (other,) = found_in(text.replace("rd = Relu (d)", "rd = Sigmoid (d)"), "G3", "t4")
    assert other.fix is not None
    assert (other.fix.safety, [one.safety for one in other.alternatives]) == ("exact", ["advice"])
    assert other.saving_s is not None
    assert other.saving_s < finding.saving_s


_WINDOWS = """mixed (float[1,64,14,14] x) => (float[1,64,14,14] y)
<float[16,1,3,3] a, float[16,1,5,5] b, float[16,1,7,7] c, float[16,1,9,9] d, float[64,64,1,1] w, float[64,64,1,1] v,
 int64[4] parts = {{16,16,16,16}}, int64[8] pads = {{0,0,4,4,0,0,4,4}}> {{
    z = Conv (x, w)
    p, q, r, s = Split <axis = 1> (z, parts)
    e = Conv <group = 16, pads = [1,1,1,1]> (p, a)
    f = Conv <group = 16, pads = [2,2,2,2]> (q, b)
    g = Conv <group = 16, pads = [3,3,3,3]> (r, c)
    t = Pad (s, pads)
    h = Conv <group = 16> (t, d)
    {last}
    j = Concat <axis = 1> (e, f, g, {joined})
    y = Conv (j, v)
}}"""


def test_depthwise_windows_side_by_side_are_one_of_the_largest() -> None:
    (finding,) = found_in(_WINDOWS.format(last="", joined="h"), "G3", "t4")
    assert (finding.severity, finding.fix and finding.fix.safety) == ("warning", "exact")
    assert "9x9" in finding.suggestion
    assert all(one.safety == "exact" for one in finding.alternatives)


def test_depthwise_windows_are_never_told_to_be_a_dense_convolution() -> None:
    (finding,) = found_in(_WINDOWS.format(last="i = Softplus (h)", joined="i"), "G3", "t4")
    assert finding.fix is None
    assert finding.severity == "info"
