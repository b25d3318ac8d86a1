"""Budgets: how they are spelled, when they are broken, whom they blame, what the exit code is."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import model, value, weight
from onnx import helper

from onnxlint.budgets import BudgetError, Budgets, parse_budgets
from onnxlint.cli import run_main
from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.report import Report
from onnxlint.settings import Settings

NODE = helper.make_node


def network() -> onnx.ModelProto:
    nodes = [
        NODE("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1], name="first"),
        NODE("Conv", ["a", "w1"], ["b"], name="second"),
        NODE("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1], name="third"),
        NODE("Conv", ["c", "w3"], ["y"], name="fourth"),
    ]
    tensors = [weight("w0", 64, 3, 3, 3), weight("w1", 32, 64, 1, 1), weight("w2", 64, 32, 3, 3)]
    return model(nodes, [value("x", [1, 3, 56, 56])], ["y"], [*tensors, weight("w3", 8, 64, 1, 1)])


def linted(budgets: Budgets, **settings: object) -> Report:
    chosen = Settings(budgets=budgets, **settings)  # type: ignore[arg-type]
    return lint_graph(read_model(network(), chosen), load_device("cortex-a76"), [], chosen)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"latency": "10ms"}, Budgets(latency_s=0.01)),
        ({"latency": "1.5 s"}, Budgets(latency_s=1.5)),
        ({"latency": "250us"}, Budgets(latency_s=250e-6)),
        ({"latency": "250µs"}, Budgets(latency_s=250e-6)),
        ({"params": "5M", "macs": "1G"}, Budgets(params=5e6, macs=1e9)),
        ({"params": "1200000"}, Budgets(params=1.2e6)),
        ({"macs": ".5T"}, Budgets(macs=5e11)),
        ({"memory": "64MiB"}, Budgets(memory_bytes=64 * 2**20)),
        ({"memory": "512kB"}, Budgets(memory_bytes=512e3)),
    ],
)
def test_amounts(words: dict[str, str], expected: Budgets) -> None:
    found = parse_budgets(**words)
    for name in ("latency_s", "params", "macs", "memory_bytes"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


@pytest.mark.parametrize(
    "words",
    [
        *({"latency": word} for word in ("10", "ten ms", "-1ms", "0s", "1e3ms", "10m", "nans", "infs", "", "1,5ms")),
        *({"params": word} for word in ("5m", "5MB", "M", "-5", "0")),
        *({"macs": word} for word in ("1Gi", "1g", "1 000")),
        *({"memory": word} for word in ("64", "64mib", "64Mb", "64 M", "٣MiB")),
    ],
)
def test_what_is_no_amount_is_said_in_one_line(words: dict[str, str]) -> None:
    (option,) = words
    with pytest.raises(BudgetError, match=f"--max-{option}: ") as raised:
        parse_budgets(**words)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=12))
def test_any_word_is_an_amount_or_a_budget_error(word: str) -> None:
    try:
        found = parse_budgets(memory=word).memory_bytes
    except BudgetError:
        return
    assert found is not None
    assert found > 0


def test_a_budget_is_broken_just_above_it() -> None:
    totals = linted(Budgets()).totals
    assert totals is not None
    memory = totals.weight_bytes + totals.peak_activation_bytes
    kept = Budgets(totals.latency_s, totals.params, totals.macs, memory)
    assert linted(kept).exit_code == 0
    broken = Budgets(totals.latency_s * 0.99, totals.params - 1, totals.macs - 1, memory - 1)
    report = linted(broken)
    assert [finding.rule for finding in report.findings] == ["BUD001", "BUD002", "BUD003", "BUD004"]
    assert {finding.severity for finding in report.findings} == {"error"}
    assert report.summary.error == 4
    assert report.exit_code == 1
    assert linted(broken, fail_on="never").exit_code == 1


def test_the_three_largest_are_to_blame() -> None:
    report = linted(Budgets(params=1.0, macs=1.0))
    by_code = {finding.rule: finding for finding in report.findings}
    params = sorted(report.layers, key=lambda layer: -layer.params)[:3]
    assert by_code["BUD002"].nodes == tuple(layer.node for layer in params)
    assert by_code["BUD002"].details[0].startswith("third: 18.4 k, ")
    assert by_code["BUD003"].nodes == tuple(
        layer.node for layer in sorted(report.layers, key=lambda layer: -layer.macs)[:3]
    )
    (memory,) = linted(Budgets(memory_bytes=1.0)).findings
    assert memory.details[0].startswith("activations of ")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(network(), path)
    words = [str(path), "--device", "cortex-a76", "--select", "G1", "--fail-on", "never"]
    assert run_main([*words, "--max-params", "1M"]) == 0
    capsys.readouterr()
    assert run_main([*words, "--max-params", "1k", "--output-format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in found["findings"]] == ["BUD002"]
    assert found["exit_code"] == 1
    assert run_main([*words, "--max-params", "1k", "--exit-zero"]) == 0
    assert "BUD002 parameter-budget" in capsys.readouterr().out
    assert run_main([*words, "--max-latency", "10"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run_main(["rule", "BUD001"]) == 0
    assert "--max-latency" in capsys.readouterr().out
