"""A command whose help shows its options group by group."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from onnxlint.options import LIMITS


class Grouped(TyperCommand):
    """Options stand under the panel that they name, those that name none behind the others, limits last."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS] MODEL`: typer puts what is required in braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, then the options by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or "Options"
                groups.setdefault(panel, []).append(record)
        for title, shown in (("Options", "Other options" if len(groups) > 2 else "Options"), (LIMITS, LIMITS)):
            if title in groups:
                groups[shown] = groups.pop(title)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
