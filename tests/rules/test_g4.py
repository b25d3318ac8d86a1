"""G4: element-wise kernels, and which of them can vanish."""

from __future__ import annotations

import pytest
from linting import found, found_in

LATE = """late (float[1,64,56,56] x) => (float[1,128,56,56] y) <float[64,64,1,1] w, float[64,64,3,3] v> {
    a = Conv (x, w)
    b = Conv <pads = [1,1,1,1]> (x, v)
    c = Concat <axis = 1> (a, b)
    y = Relu (c)
}"""
SHORTCUT = """shortcut (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,1,1] w> {
    a = Conv (x, w)
    b = Add (a, x)
    y = Relu (b)
}"""


def test_an_activation_behind_a_concat_moves_before_it() -> None:
    (finding,) = found_in(LATE, "G4", "hi3519")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.fix.title == "1 activations moved before the Concat"
    assert finding.saving_s is not None
    assert finding.saving_s > 0


def test_it_stays_where_the_concat_is_read_elsewhere() -> None:
    text = LATE.replace("(float[1,128,56,56] y)", "(float[1,128,56,56] y, float[1,128,56,56] c)")
    (finding,) = found_in(text, "G4", "hi3519")
    assert finding.fix is None
    assert finding.severity == "info"


def test_a_shortcuts_relu_is_dropped_where_sums_are_not_fused() -> None:
    (finding,) = found_in(SHORTCUT, "G4", "cortex-a76")
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"
    assert found_in(SHORTCUT, "G4", "t4") == []


@pytest.mark.parametrize("name", ["resnet18", "repvgg_a0_deploy", "mobilenet_v2"])
@pytest.mark.parametrize("device", ["t4", "hi3519", "x3"])
def test_what_is_fused_costs_nothing(name: str, device: str) -> None:
    assert found(name, "G4", device) == []


def test_densenet_says_which_operators_take_the_time() -> None:
    (finding,) = found("densenet121", "G4", "t4")
    assert "Concat" in finding.suggestion
    assert "% of the memory traffic" in finding.message
