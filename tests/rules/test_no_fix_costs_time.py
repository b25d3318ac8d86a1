"""What a finding offers is never dearer than what is there, on any device, and what it has at stake is stated once."""

from __future__ import annotations

import pytest
from linting import found, network

from onnxlint.device import load_device
from onnxlint.engine import lint_graph
from onnxlint.registry import find_rule, installed_rules
from onnxlint.settings import Settings

CODES = ["OPS001", "OPS002", "OPS003", "OPS005", "OPS008", "CNV001", "CNV007", "CHN002", "TRF001", "TRF004", "G3", "G4"]


@pytest.mark.parametrize("device", ["hi3519", "x3", "rk3588", "t4", "ethos-u65"])
@pytest.mark.parametrize(
    "name", ["vit_tiny", "mobilevit_s", "mobilenet_v3_large", "shufflenet_v2_x1_0", "efficientnet_b0"]
)
def test_no_fix_costs_time(name: str, device: str) -> None:
    rules = [find_rule(installed_rules(), code) for code in CODES]
    report = lint_graph(network(name), load_device(device), rules, Settings())
    assert not report.incomplete
    assert report.totals is not None
    least = -2e-4 * report.totals.latency_s
    for finding in report.findings:
        assert finding.saving_s is None or finding.saving_s >= least, finding.fix
        assert all(one.saving_s is None or one.saving_s >= least for one in finding.alternatives)


def test_weights_off_chip_have_their_loading_at_stake() -> None:
    (finding,) = found("vgg16", "MEM002", "edgetpu")
    whole = lint_graph(network("vgg16"), load_device("edgetpu"), [], Settings()).totals
    assert whole is not None
    assert 0 < finding.latency_s < whole.latency_s
    assert "ms" not in finding.message
