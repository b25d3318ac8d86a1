"""Every rule's page and examples: what is valid is silent, what is invalid fires as the example says."""

from __future__ import annotations

import re

import pytest

from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.registry import installed_rules
from onnxlint.report import Report
from onnxlint.rule import Invalid, LoadedRule, Valid
from onnxlint.settings import Settings

RULES = installed_rules()
VALID = [pytest.param(rule, example, id=f"{rule.code}-{i}") for rule in RULES for i, example in enumerate(rule.valid)]
INVALID = [
    pytest.param(rule, example, id=f"{rule.code}-{i}") for rule in RULES for i, example in enumerate(rule.invalid)
]


def lint(rule: LoadedRule, example: Valid | Invalid) -> Report:
    settings = Settings()
    report = lint_graph(read_model(example.model, settings), load_device(example.device), [rule], settings)
    assert not report.incomplete
    return report


@pytest.mark.parametrize(("rule", "example"), VALID)
def test_a_valid_example_is_silent(rule: LoadedRule, example: Valid) -> None:
    assert [finding.message for finding in lint(rule, example).findings] == []


@pytest.mark.parametrize(("rule", "example"), INVALID)
def test_an_invalid_example_is_found(rule: LoadedRule, example: Invalid) -> None:
    findings = lint(rule, example).findings
    assert [finding.rule for finding in findings] == [rule.code]
    assert findings[0].places == example.places
    assert example.severity in (None, findings[0].severity)
    assert findings[0].nodes


@pytest.mark.parametrize(("rule", "example"), INVALID)
def test_a_finding_fits_the_screen(rule: LoadedRule, example: Invalid) -> None:
    for finding in lint(rule, example).findings:
        assert len(finding.message) <= 110
        assert len(finding.suggestion.splitlines()) <= 3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_has_a_page_and_examples(rule: LoadedRule) -> None:
    headings = [line for line in rule.page.splitlines() if line.startswith("## ")]
    assert headings[:3] == ["## What it does", "## Why it costs", "## How to fix"]
    assert rule.title
    assert not rule.title.startswith("#")
    assert rule.valid
    assert rule.invalid


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_named_in_kebab_case(rule: LoadedRule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert re.fullmatch(r"[A-Z]+\d+", rule.code)


def test_codes_and_names_are_unique() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES) == len({rule.name for rule in RULES})
