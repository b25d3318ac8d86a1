"""The options of `onnxlint rule`."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxlint.options import (
    NewRule,
    Quiet,
    RulesOption,
    TestRules,
    Verbose,
)


def rule(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="A rule's code or slug.")] = None,
    new: NewRule = None,
    test: TestRules = None,
    rules: RulesOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """List the rules, or explain one: what it checks, why it costs, how to fix it. Write a new one, or test some."""
    if sum(given is not None for given in (code, new, test)) > 1:
        raise typer.BadParameter("CODE, --new and --test are three things: give one")
    from onnxlint.run.rule import run_examples, show_rules, write_new_rule

    if new is not None:
        return write_new_rule(new)
    if test is not None:
        return run_examples(test, quiet=quiet)
    show_rules(code, rules or [])
    return 0
