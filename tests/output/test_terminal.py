"""What the terminal shows of a report's findings, and the line at its end."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from zoo.store import STORED

from onnxlint import lint
from onnxlint.output.terminal import View, render
from onnxlint.report import Alternative, FixInfo, Report, ReportedFinding, Summary

PARTITIONS = "those 3 partitions take 267 ms: 0.76 ms of it for 6 tensors (325 kB) that cross, and 3 hand-overs"


@pytest.fixture(scope="module")
def report() -> Report:
    return lint(str(STORED), device="hi3519")


def finding(rule: str = "OPS001", name: str = "unsupported-operator", **given: Any) -> ReportedFinding:
    fields = {
        "severity": "error", "message": "2 Foo leave it", "suggestion": "", "node": "a", "nodes": ("a",), "places": 1,
        "hidden": False, "latency_s": 1e-3, "saving_s": 1e-3, "saving_low_s": 0.5e-3, "saving_high_s": 2e-3,
        "saving_cumulative_s": 1e-3, "fix": None,
    }  # fmt: skip
    return ReportedFinding(rule=rule, name=name, **{**fields, **given})


def shown(report: Report, *findings: ReportedFinding, width: int = 80, without: float | None = 0.0) -> str:
    summary = Summary(error=len(findings), saving_without_retraining_s=without)
    made = {**{name: getattr(report, name) for name in report.__struct_fields__}, "findings": findings}
    stream = io.StringIO()
    render(Report(**{**made, "summary": summary}), Console(file=stream, width=width), View())
    return stream.getvalue()


def test_what_the_same_partitions_cost_is_said_once(report: Report) -> None:
    text = shown(report, finding(details=(PARTITIONS, "2x Foo")), finding(details=(PARTITIONS, "3x Bar")), width=120)
    assert text.count("those 3 partitions") == 1
    assert "2x Foo" in text
    assert "3x Bar" in text


def test_a_price_that_does_not_fit_stands_below(report: Report) -> None:
    lines = shown(report, finding("TRF003", "layernorm-where-batchnorm-folds", places=21)).splitlines()
    (heading,) = (number for number, line in enumerate(lines) if line.startswith(" 1 error"))
    assert lines[heading].rstrip() == " 1 error TRF003 layernorm-where-batchnorm-folds ×21"
    assert lines[heading + 1].strip().startswith("saves 1.00 ms")
    wide = shown(report, finding("TRF003", "layernorm-where-batchnorm-folds", places=21), width=120)
    assert any("TRF003" in line and "saves 1.00 ms" in line for line in wide.splitlines())


def test_a_change_that_the_advice_tells_is_not_told_twice(report: Report) -> None:
    fix = FixInfo("Sum as Add", "exact")
    assert "priced as advised (same outputs)" in shown(report, finding(suggestion="Sum as Add.", fix=fix))
    assert "priced Sum as Add (same outputs)" in shown(report, finding(suggestion="Rewrite it.", fix=fix))


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (0.0, "together they save 3.00 ms of 9.43 ms, none of it without retraining;"),
        (1e-3, "together they save 3.00 ms of 9.43 ms, 1.00 ms of it without retraining;"),
        (3e-3, "together they save 3.00 ms of 9.43 ms without retraining;"),
    ],
)
def test_the_summary_tells_what_needs_no_retraining(report: Report, without: float, words: str) -> None:
    assert report.totals is not None
    words = words.replace("9.43 ms", f"{report.totals.latency_s * 1e3:.2f} ms")
    two = finding(), finding(saving_cumulative_s=3e-3)
    assert words in " ".join(shown(report, *two, without=without).split())
    assert "together they" not in shown(report, two[0], without=without)


def test_changes_among_others_are_told_by_name(report: Report) -> None:
    given = {"suggestion": "Sum as Add; Sum as Mul", "fix": FixInfo("Sum as Add", "exact")}
    text = shown(report, finding(**given, alternatives=(Alternative("Sum as Mul", "exact", 1e-4),)))
    assert "priced Sum as Add (same outputs)" in text
    assert "or Sum as Mul (same outputs): saves 0.10 ms" in text


def test_weights_are_told_as_stored_and_as_executed(report: Report) -> None:
    text = " ".join(shown(report).split())
    assert "9.08 MB stored weights, 2.27 MB as int8;" in text
    assert "as fp32" not in shown(lint(str(STORED), device="cortex-a76"))


def test_a_saving_that_may_be_a_loss_has_a_readable_range(report: Report) -> None:
    assert "(-0.37 to 0.88 ms)" in shown(report, finding(saving_low_s=-0.37e-3, saving_high_s=0.88e-3))


def test_equal_kernels_are_one_line(report: Report) -> None:
    text = shown(report)
    start = text.index("Dearest kernels, equal ones together")
    assert "/stage2.0/Transpose ×4  " in text[start:]


def test_findings_are_told_apart_by_the_end_of_their_path(report: Report) -> None:
    nodes = tuple(f"/stages/stages.2/stages.2.1/transformer/transformer.{i}/norm1/LayerNormalization" for i in (0, 1))
    text = shown(report, finding(nodes=nodes))
    assert "/stages/…/transformer/transformer.0/norm1/LayerNormalization" in text
    assert "/stages/…/transformer/transformer.1/norm1/LayerNormalization" in text


def test_names_that_a_shorter_path_would_make_equal_keep_their_middle(report: Report) -> None:
    nodes = tuple(f"/stage3/stage3.{i}/fuse_layers.0.2/fuse_layers.0.2.2/Resize_output_0" for i in (0, 1))
    text = shown(report, finding(nodes=nodes))
    assert "/stage3/stage3.0/" in text
    assert "/stage3/stage3.1/" in text


def test_a_broken_budget_has_no_time_at_stake(report: Report) -> None:
    lines = shown(report, finding("BUD004", "memory-budget", saving_s=None)).splitlines()
    assert [line.split()[-2:] for line in lines if "BUD004 memory-budget" in line] == [["over", "budget"]]
