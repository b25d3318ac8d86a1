"""Finding rules and choosing among them."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from onnxlint import registry
from onnxlint.registry import RuleError, find_rule, installed_rules, rules_with, select
from onnxlint.rule import LoadedRule, Rule

SOURCE = '''"""Says hello.

Because."""
from onnxlint.finding import Finding
from onnxlint.rule import Rule

RULE = Rule(code="{code}", name="{name}", severity="warning")


def check(ctx):
    yield Finding(message="hello", suggestion="", nodes=(ctx.graph.nodes[0].key,))


VALID = INVALID = ()
'''


def made(code: str, name: str, family: str) -> LoadedRule:
    return LoadedRule(Rule(code=code, name=name, severity="warning"), family, ModuleType(f"x.{family}.{name}"))


RULES = [
    made("G1", "equal-width", "shufflenetv2"),
    made("G2", "group-convolution", "shufflenetv2"),
    made("GRF001", "dead-node", "hygiene"),
    made("OPS001", "transpose", "operators"),
    made("OPS002", "channel-shuffle", "operators"),
]


def codes(selected: list[str], extended: list[str] = [], ignored: list[str] = []) -> str:  # noqa: B006
    return " ".join(rule.code for rule in select(RULES, selected, extended, ignored))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("G", "G1 G2"),
        ("g1", "G1"),
        ("GRF", "GRF001"),
        ("OPS", "OPS001 OPS002"),
        ("OPS00", "OPS001 OPS002"),
        ("ops002", "OPS002"),
        ("channel-shuffle", "OPS002"),
        ("operators", "OPS001 OPS002"),
        ("ALL", "G1 G2 GRF001 OPS001 OPS002"),
    ],
)
def test_selectors(selector: str, expected: str) -> None:
    assert codes([selector]) == expected


def test_select_extend_ignore() -> None:
    assert codes([]) == "G1 G2 GRF001 OPS001 OPS002"
    assert codes(["G"], ["OPS001"]) == "G1 G2 OPS001"
    assert codes(["G"], [], ["G2"]) == "G1"
    assert codes([], [], ["hygiene"]) == "G1 G2 OPS001 OPS002"
    assert codes([], [], ["ALL"]) == ""


@pytest.mark.parametrize("selector", ["", "X", "OP", "G9", "OPS003", "G1x", "GR"])
def test_a_selector_of_nothing_is_an_error(selector: str) -> None:
    with pytest.raises(RuleError, match="unknown rule"):
        codes([selector])


@pytest.mark.parametrize(
    ("word", "meant"), [("OPS02", "OPS002"), ("chanel-shuffle", "channel-shuffle"), ("operator", "operators")]
)
def test_did_you_mean(word: str, meant: str) -> None:
    with pytest.raises(RuleError, match=f"did you mean '{meant}'"):
        find_rule(RULES, word)


def test_find_by_code_or_slug() -> None:
    assert find_rule(RULES, "ops002") is find_rule(RULES, "Channel-Shuffle") is RULES[-1]


def test_installed_rules_are_ordered_and_distinct() -> None:
    rules = installed_rules()
    assert len({rule.code for rule in rules}) == len({rule.name for rule in rules}) == len(rules) > 5
    assert [rule.code for rule in rules][:2] == ["CHN001", "CHN002"]


def test_a_folder_of_rules(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "hello.py").write_text(SOURCE.format(code="MY001", name="hello"))
    (tmp_path / "_helper.py").write_text("raise RuntimeError")
    rules = rules_with([tmp_path])
    assert find_rule(rules, "hello").family == "sub"
    assert len(rules) == len(installed_rules()) + 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1/0", "ZeroDivisionError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("from onnxlint.rule import Rule\nRULE = Rule('\\x1b[31m', 'x', 'info')", "no rule: code '.x1b"),
        ("from onnxlint.rule import Rule\nRULE = Rule('X1', 'x', 'fatal')", "severity 'fatal'"),
        ("syntax error", "SyntaxError"),
        ("x = 1", "has no RULE"),
        ("from onnxlint.rule import Rule\nRULE = Rule(code='X1', name='x', severity='info')", "has no check"),
        (SOURCE.format(code="OPS002", name="mine"), "two rules have the code OPS002"),
    ],
)
def test_files_that_are_no_rules(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(RuleError, match=words):
        rules_with([tmp_path])


def test_a_pipe_is_no_rule_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.py")
    with pytest.raises(RuleError, match="is no file"):
        rules_with([tmp_path])


def test_a_folder_without_rules_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "_helper.py").write_text("")
    with pytest.raises(RuleError, match="holds no rule files"):
        rules_with([tmp_path])


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="is no folder"):
        rules_with([tmp_path / "absent"])


@pytest.mark.parametrize("error", [ImportError("no numba"), SystemExit(0)])
def test_a_pack_that_can_not_be_loaded(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def load() -> None:
        raise error

    monkeypatch.setattr(registry, "entry_points", lambda group: [SimpleNamespace(name="pack", load=load)])
    with pytest.raises(RuleError, match="rule pack 'pack' can't be loaded"):
        installed_rules.__wrapped__()


def test_without_any_rule_nothing_is_linted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    with pytest.raises(RuleError, match="no rules are installed"):
        installed_rules.__wrapped__()
