"""CNV002: large dense windows against stacks of 3x3."""

from __future__ import annotations

import pytest
from linting import found, found_in

WINDOW = """window (float[1,{c},56,56] x) => (float[1,{c},{s},{s}] y) <float[{c},{c},{k},{k}] w> {{
    y = Conv <strides = [{t},{t}], pads = [{p},{p},{p},{p}]> (x, w)
}}"""


def window(kernel: int, stride: int = 1, channels: int = 64) -> str:
    return WINDOW.format(k=kernel, t=stride, p=kernel // 2, s=56 // stride, c=channels)


@pytest.mark.parametrize(
    ("kernel", "stride", "layers", "macs"),
    [
        (5, 1, 2, 2 * 9 * 64 * 64 * 56 * 56),
        (7, 1, 3, 3 * 9 * 64 * 64 * 56 * 56),
        (7, 2, 2, 2 * 9 * 64 * 64 * 28 * 28),
    ],
)
def test_the_stack_has_the_field_of_the_window(kernel: int, stride: int, layers: int, macs: int) -> None:
    (finding,) = found_in(window(kernel, stride), "CNV002", "rk3588")
    assert f"as {layers} of 3x3" in finding.suggestion
    assert f"become {macs / 1e6:.0f} M" in finding.suggestion
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"
    assert finding.saving_s is not None
    assert 0 < finding.saving_s < finding.latency_s


def test_patches_and_small_windows_are_no_large_kernels() -> None:
    assert found_in(window(7, 8), "CNV002", "rk3588") == []
    assert found_in(window(3), "CNV002", "rk3588") == []


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "vit_tiny", "repvgg_a0_deploy"])
@pytest.mark.parametrize("device", ["hi3519", "rk3588", "t4", "cortex-a76"])
def test_networks_without_large_dense_windows_are_silent(name: str, device: str) -> None:
    assert found(name, "CNV002", device) == []


def test_a_thin_stem_is_left_to_chn003() -> None:
    assert found("resnet18", "CNV002", "rk3588") == []
    assert len(found("resnet18", "CHN003", "rk3588")) == 1
