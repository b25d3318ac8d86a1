"""`onnxlint rule`: lists the rules, prints the page of one, writes a new one, runs examples."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from onnxlint.gate import BUDGET_RULES
from onnxlint.registry import find_rule, imported, rules_in, rules_with
from onnxlint.text import printable
from onnxlint.units import plural

_IMPORT_S = 30.0
"""For the import of rules, for which this command has no option."""


def show_rules(code: str | None, folders: Sequence[Path]) -> None:
    """List the rules and budgets or print one's page; raises RuleError."""
    from onnxlint.output import rules_list

    rules = (*imported(lambda: rules_with(folders), _IMPORT_S, "--rules"), *BUDGET_RULES)
    if code is None:
        rules_list.write_list(rules, sys.stdout)
    else:
        rules_list.write_page(find_rule(rules, code), sys.stdout)


def write_new_rule(place: str) -> int:
    """Write a rule file to start from and say where it is; raises RuleError."""
    from onnxlint.new_rule import write_rule

    path, code = write_rule(place)
    name = printable(str(path))
    print(f"{name}: rule {code}; its examples pass: onnxlint rule --test {name}")  # noqa: T201
    return 0


def run_examples(path: Path, *, quiet: bool) -> int:
    """Run the examples of the rules at `path`; 1 if one fails, raises RuleError where there are none."""
    from onnxlint.rule_examples import outcomes

    rules = imported(lambda: rules_in(path, "--test"), _IMPORT_S, "--test")
    found = [outcome for loaded in rules for outcome in outcomes(loaded)]
    failed = sum(outcome.problem is not None for outcome in found)
    for outcome in found:
        if outcome.problem is not None:
            print(f"FAIL {outcome.code} {outcome.example}: {printable(outcome.problem, 400)}")  # noqa: T201
        elif not quiet:
            print(f"ok   {outcome.code} {outcome.example}")  # noqa: T201
    verdict = f"{failed} of {len(found)} fail" if failed else f"all {len(found)} pass"
    print(f"{plural(len(rules), 'rule')}: {verdict}")  # noqa: T201
    return 1 if failed else 0
