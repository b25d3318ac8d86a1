"""The engine: findings priced, ordered, demoted, hidden and counted; what fails is said."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.finding import Finding, Fix, Insert, Reconnect, Remove, Severity
from onnxlint.report import Report
from onnxlint.rule import Context, LoadedRule, Rule, example_model
from onnxlint.settings import Settings

CHAIN = """g (float[1,32,28,28] x) => (float[1,32,28,28] y) <float[32,32,3,3] w>
{ a = Conv<pads=[1,1,1,1]>(x, w) b = Transpose<perm=[0,1,3,2]>(a) y = Transpose<perm=[0,1,3,2]>(b) }"""
CANCEL = Fix("remove both", "exact", (Remove("b"), Remove("y"), Reconnect("y", "a")))
WORSE = Fix("transpose twice more", "exact", (Insert("Transpose", ("a",), ("c",), (("perm", [0, 1, 3, 2]),)),))


def rule_of(code: str, *findings: Finding, severity: Severity = "warning") -> LoadedRule:
    module = ModuleType(f"pack.family.{code.lower()}")
    module.__dict__["check"] = lambda ctx: iter(findings)
    return LoadedRule(Rule(code, code.lower(), severity), "family", module)


def lint(*rules: LoadedRule, settings: Settings | None = None) -> Report:
    settings = settings or Settings()
    return lint_graph(read_model(example_model(CHAIN), settings), load_device("t4"), rules, settings)


def test_the_best_fix_is_priced_and_the_others_are_listed() -> None:
    report = lint(rule_of("A1", Finding("two transposes", "remove them", ("b", "y"), 1, (WORSE, CANCEL))))
    (finding,) = report.findings
    assert report.totals is not None
    assert finding.fix is not None
    assert finding.fix.title == "remove both"
    # the convolution's result, which the transposes read from the cache, is the output then and leaves the chip
    assert finding.saving_s == pytest.approx(finding.latency_s, rel=0.02)
    assert finding.saving_low_s is not None
    assert finding.saving_low_s <= finding.saving_s <= finding.saving_high_s  # type: ignore[operator]
    assert [other.title for other in finding.alternatives] == ["transpose twice more"]
    assert report.summary.warning == 1
    assert report.exit_code == 1


def test_findings_stand_by_price_and_cumulative_savings_do_not_count_twice() -> None:
    cheap = rule_of("A1", Finding("nothing to gain", "", ("a",), 1, (WORSE,)), severity="info")
    dear = rule_of("A2", Finding("x", "", ("b", "y"), 1, (CANCEL,)))
    same = rule_of("A3", Finding("the same again", "", ("b", "y"), 1, (CANCEL,)))
    report = lint(cheap, dear, same)
    assert [finding.rule for finding in report.findings] == ["A2", "A3", "A1"]
    first, second, third = report.findings
    assert first.saving_cumulative_s == second.saving_cumulative_s == third.saving_cumulative_s == first.saving_s


def test_what_is_saved_without_retraining_counts_changes_that_keep_the_outputs_once() -> None:
    lossy = Fix("leave all three out", "lossy", (Remove("a"), Remove("b"), Remove("y"), Reconnect("y", "x")))
    trained = rule_of("A1", Finding("m", "", ("a",), 1, (lossy,)))
    exact = rule_of("A2", Finding("x", "", ("b", "y"), 1, (CANCEL,)))
    either = rule_of("A3", Finding("z", "", ("b", "y"), 1, (lossy, CANCEL)))
    saved = lint(exact).findings[0].saving_s
    assert lint(trained).summary.saving_without_retraining_s == 0
    assert lint(exact).summary.saving_without_retraining_s == saved
    assert lint(trained, exact, either).summary.saving_without_retraining_s == pytest.approx(saved)


def test_a_warning_that_saves_too_little_is_an_info_and_hidden_below_min_impact() -> None:
    report = lint(rule_of("A1", Finding("m", "", ("a",), 1, (WORSE,))))
    (finding,) = report.findings
    assert (finding.severity, finding.hidden) == ("info", True)
    assert report.summary.hidden == 1
    assert report.exit_code == 0


def test_without_a_price_nothing_is_hidden_and_saving_is_null() -> None:
    report = lint(rule_of("A1", Finding("m", "", ("a",)), severity="info"))
    (finding,) = report.findings
    assert (finding.saving_s, finding.hidden, finding.fix) == (None, False, None)


def test_a_rule_that_crashes_leaves_the_others_and_makes_the_report_incomplete() -> None:
    broken = rule_of("A1")
    broken.module.__dict__["check"] = _crash
    report = lint(broken, rule_of("A2", Finding("m", "", ("a",)), severity="info"))
    assert [finding.rule for finding in report.findings] == ["A2"]
    assert report.incomplete == ("rule A1 failed (RuntimeError: oh)",)
    assert report.exit_code == 1


def _crash(ctx: Context) -> Iterator[Finding]:
    raise RuntimeError("oh")


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1), ("info", 1), ("never", 0)])
def test_fail_on(fail_on: str, code: int) -> None:
    rule = rule_of("A1", Finding("m", "", ("b", "y"), 1, (CANCEL,)))
    assert lint(rule, settings=Settings(fail_on=fail_on)).exit_code == code  # type: ignore[arg-type]


def test_fingerprints_tell_places_and_rules_apart() -> None:
    report = lint(*(rule_of(c, Finding("m", "", (n,))) for c, n in (("A1", "a"), ("A2", "a"), ("A3", "b"))))
    assert len({finding.fingerprint for finding in report.findings}) == 3
