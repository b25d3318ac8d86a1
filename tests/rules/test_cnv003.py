"""CNV003: how dense the convolutions outside 3x3 run."""

from __future__ import annotations

import pytest
from linting import found


def test_bottlenecks_are_found_where_winograd_runs_and_basic_blocks_are_not() -> None:
    (finding,) = found("resnet50", "CNV003", "cortex-a76")
    assert finding.severity == "info"
    assert "3x3: " in finding.suggestion
    assert finding.fix is None
    assert found("vgg16", "CNV003", "cortex-a76") == []
    assert found("repvgg_a0_deploy", "CNV003", "cortex-a76") == []


@pytest.mark.parametrize("device", ["t4", "hi3519", "rk3588", "generic", "gtx1080ti"])
def test_machines_that_run_all_windows_alike_are_silent(device: str) -> None:
    assert found("resnet50", "CNV003", device) == []


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "vit_tiny"])
def test_separable_networks_are_silent(name: str) -> None:
    assert found(name, "CNV003", "cortex-a76") == []
