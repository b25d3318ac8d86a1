"""A rule's examples run as tests: what is valid is silent, what is invalid fires as the example says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.report import ReportedFinding
from onnxlint.rule import Invalid, LoadedRule, Valid
from onnxlint.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """One example of a rule (`valid 1`) and what is wrong with it, None where it passes."""

    code: str
    example: str
    problem: str | None


def outcomes(rule: LoadedRule) -> Iterator[Outcome]:
    """Every example of the rule, run; one of each kind there must be."""
    kinds: tuple[tuple[str, Sequence[Valid | Invalid]], ...] = (("valid", rule.valid), ("invalid", rule.invalid))
    for kind, examples in kinds:
        if not examples:
            yield Outcome(rule.code, kind, f"the rule has no {kind.upper()} examples")
        for number, example in enumerate(examples, 1):
            yield Outcome(rule.code, f"{kind} {number} on {example.device}", _problem(rule, example))


def _problem(rule: LoadedRule, example: Valid | Invalid) -> str | None:
    try:
        settings = Settings()
        model = read_model(example.model, settings)
        report = lint_graph(model, load_device(example.device), [rule], settings)
    except Exception as error:  # whatever a stranger's example does, the others are run
        return " ".join(f"{type(error).__name__}: {error}".split())
    if report.incomplete:
        return "; ".join(report.incomplete)
    if isinstance(example, Invalid):
        return _mismatch(report.findings, example)
    return f"finds {report.findings[0].message!r}" if report.findings else None


def _mismatch(findings: tuple[ReportedFinding, ...], example: Invalid) -> str | None:
    if len(findings) != 1:
        return f"{len(findings)} findings, where one is expected"
    (found,) = findings
    if found.places != example.places:
        return f"{found.places} places, where {example.places} are expected"
    if example.severity not in (None, found.severity):
        return f"severity {found.severity}, where {example.severity} is expected"
    return None if found.nodes else "the finding names no nodes"
