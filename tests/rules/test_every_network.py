"""The rules on convolutions: no network of the zoo breaks them, and what they say fits the screen."""

from __future__ import annotations

import re

import pytest
from linting import found, network
from zoo import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("device", ["generic", "hi3519", "t4", "cortex-a76"])
@pytest.mark.parametrize(
    "code", ["G1", "G2", "G3", "G4", "CNV001", "CNV002", "CNV003", "CNV004", "CNV005", "CHN002", "CHN003"]
)
def test_every_network_is_checked_on_every_device(name: str, device: str, code: str) -> None:
    findings = found(name, code, device)
    assert len(findings) <= 2
    for finding in findings:
        assert len(finding.message) <= 100
        assert len(finding.suggestion.splitlines()) <= 3
        assert set(finding.nodes) <= set(network(name).graph.position)
        assert finding.places >= 1
        assert not re.search(r"\b1 [\w-]+(?: [\w-]+)?s (?:are|move|moved|in place)\b", finding.message)
