"""What severities promise: errors leave the chip or do not run, warnings cost 2 % with confidence, the rest is info."""

from __future__ import annotations

import pytest
from linting import network

from onnxlint.device import load_device
from onnxlint.engine import lint_graph
from onnxlint.pricing import WARNING_SHARE
from onnxlint.registry import installed_rules, select
from onnxlint.settings import Settings

# warnings for another reason: a compiler that needs every size, outputs that change from run to run, and CNV001, which
# asks for 5 % of the time at the low end of its own estimate
OTHERWISE = {"OPS004", "GRF007", "CNV001"}
NETWORKS = ["shufflenet_v2_x1_0", "ghostnet", "mobilevit_xs", "tinybert_4l_312", "vgg16", "densenet121"]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("device", ["generic", "hi3519", "x3", "rk3588", "t4", "cortex-a76"])
def test_what_a_severity_promises(name: str, device: str) -> None:
    report = lint_graph(network(name), load_device(device), installed_rules(), Settings())
    assert not report.incomplete
    assert report.totals is not None
    hosted = {layer.node for layer in report.layers if layer.on_host}
    for finding in report.findings:
        if finding.severity == "error":
            assert hosted & set(finding.nodes), finding
            assert not finding.hidden
        if finding.severity == "warning" and finding.rule not in OTHERWISE:
            low = finding.latency_s if finding.saving_low_s is None else finding.saving_low_s
            assert low >= WARNING_SHARE * report.totals.latency_s, finding
        if finding.hidden:
            assert finding.saving_s is not None
            assert finding.saving_s < Settings().min_impact * report.totals.latency_s
    assert report.summary.hidden == sum(finding.hidden for finding in report.findings)


def test_rules_are_chosen_by_code_prefix_family_and_slug() -> None:
    rules = installed_rules()

    def codes(*words: str) -> set[str]:
        return {rule.code for rule in select(rules, words, (), ())}

    hygiene = {rule.code for rule in rules if rule.family == "hygiene"}
    assert codes("GRF") == codes("hygiene") == codes("GRF0") == hygiene
    assert codes("G") == {"G1", "G2", "G3", "G4"}
    assert codes("no-op") == codes("grf004") == {"GRF004"}
    assert codes("memory") == codes("MEM") == {"MEM001", "MEM002", "MEM003"}
