"""The rules as a list, and one rule's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from onnxlint.output.screen import listing, screen
from onnxlint.rule import LoadedRule


def write_list(rules: Sequence[LoadedRule], stream: TextIO) -> None:
    """Every rule: code, slug, severity, title."""
    rows = [(rule.code, rule.name, rule.rule.severity, rule.title) for rule in rules]
    with screen(stream) as console:
        console.print(listing(("code", "rule", "severity", "what it finds"), rows, console.width))


def write_page(rule: LoadedRule, stream: TextIO) -> None:
    """The rule's docstring, then its examples."""
    from rich.markdown import Markdown
    from rich.syntax import Syntax

    console = Console(file=stream)
    console.print(Text(f"{rule.code} {rule.name} ({rule.family}, {rule.rule.severity})", style="bold"))
    console.print()
    if console.is_terminal:
        console.print(Markdown(rule.page))
    else:
        console.print(rule.page, markup=False, highlight=False, soft_wrap=True)
    for title, examples in (("Fails", rule.invalid), ("Passes", rule.valid)):
        for example in examples[:1]:
            console.print()
            console.print(Text(f"{title} on {example.device}:", style="bold"))
            text = example.text.strip()
            if console.is_terminal:
                console.print(Syntax(text, "text", word_wrap=True, background_color="default"))
            else:
                console.print(text, markup=False, highlight=False, soft_wrap=True)
