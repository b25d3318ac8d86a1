"""The per-layer table: by node, kernel, operator or module; as a table, CSV or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, TextIO

import msgspec

from onnxlint.output.json import harmless
from onnxlint.output.profile_rows import ProfileView, Row, rows_of, total_of
from onnxlint.output.screen import screen
from onnxlint.report import FormulaInfo, Report
from onnxlint.text import printable
from onnxlint.units import count, percent, plural, seconds, seconds_range, size

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 12
_WIDE, _WIDER = 110, 140
_NAMES = {"macs": "MACCs", "flops": "FLOPs", "memory_access_bytes": "bytes"}
_SUPERSCRIPTS = {1: "", 2: "²", 3: "³"}


def write(report: Report, stream: TextIO, view: ProfileView) -> None:
    """Write the report's layers as rows, with their sum."""
    rows = rows_of(report, view.by, view.sort, view.depth)
    total = total_of(rows)
    if view.top is not None and len(rows) > view.top:
        rest = total_of(rows[view.top :], f"({len(rows) - view.top} more)")
        rows = rows[: view.top]
    else:
        rest = None
    if view.output_format == "json":
        stream.write(harmless(json.dumps(as_json(report, view.by, rows, total), indent=2) + "\n"))
    elif view.output_format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        names = [field.name for field in fields(Row)]
        writer.writerow(names)
        writer.writerows(map(cell, values) for values in map(attrgetter(*names), (*rows, total)))
    else:
        with screen(stream) as console:
            _table(report, rows, rest, total, console)


def as_json(report: Report, by: str, rows: Sequence[Row], total: Row) -> dict[str, object]:
    """The table as JSON holds it."""
    return {
        "schema_version": report.schema_version,
        "tool": msgspec.to_builtins(report.tool),
        "model": msgspec.to_builtins(report.model),
        "device": msgspec.to_builtins(report.device),
        "by": by,
        "rows": msgspec.to_builtins(rows),
        "total": msgspec.to_builtins(total),
        "totals": msgspec.to_builtins(report.totals),
        "incomplete": list(report.incomplete),
    }


def cell(value: object) -> object:
    """A CSV cell that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        value = printable(value)
        return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return value


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    text: Callable[[Row], str]
    is_number: bool = True
    most: int | None = None
    style: str = ""
    sums: bool = True


def _columns(rows: Sequence[Row], width: int) -> list[_Column]:
    """The columns that fit: names are cut at their front, where long ones are alike."""
    longest = max((row.share for row in rows), default=0.0) or 1.0
    columns = [
        _Column("params", lambda row: count(row.params) if row.params else ""),
        _Column("MACCs", lambda row: count(row.macs) if row.macs else "?" if row.unknown else ""),
        _Column("bytes", lambda row: size(row.bytes) if row.bytes else ""),
        _Column("FLOP/B", lambda row: f"{row.intensity:.3g}" if row.intensity and row.intensity < 1e3 else _big(row)),
        _Column("time", lambda row: seconds(row.latency_s) if row.latency_s else ""),
        _Column("share", lambda row: percent(row.share) if row.latency_s else ""),
        _Column("bound", lambda row: row.bound, is_number=False),
    ]
    if any(row.alone_bytes for row in rows):
        columns.insert(3, _Column("alone", lambda row: size(row.alone_bytes) if row.alone_bytes else ""))
    if width >= _WIDE:
        bar = _Column("", lambda row: "█" * round(row.share * _BAR / longest), False, style="cyan", sums=False)
        columns.insert(len(columns) - 1, bar)
        if any(row.op for row in rows):
            columns.insert(0, _Column("operators", lambda row: printable(row.op, 60), False, most=24))
        else:
            columns.insert(0, _Column("nodes", lambda row: str(row.nodes)))
    if width >= _WIDER and any(row.op for row in rows):
        columns.insert(1, _Column("output", lambda row: row.output, False, most=24, style="dim"))
    return columns


def _big(row: Row) -> str:
    return count(row.intensity).replace(" ", "") if row.intensity else ""


def _table(report: Report, rows: Sequence[Row], rest: Row | None, total: Row, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    columns = _columns(rows, console.width)
    last = [row for row in (rest, total) if row is not None]
    cells = [[column.text(row) for column in columns] for row in rows]
    cells += [[column.text(row) if column.sums else "" for column in columns] for row in last]
    widths = [
        max(len(column.title), *(min(len(line[i]), column.most or 99) for line in cells))
        for i, column in enumerate(columns)
    ]
    room = max(8, console.width - sum(widths) - 2 * len(columns))
    table.add_column("layer", no_wrap=True, max_width=room)
    for column, width in zip(columns, widths, strict=True):
        justify = "right" if column.is_number else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis", max_width=width)  # type: ignore[arg-type]
    for row, line in zip((*rows, *last), cells, strict=True):
        style = "bold" if row is total else "dim" if row is rest else ""
        texts = [Text(text, style=column.style) for text, column in zip(line, columns, strict=True)]
        table.add_row(Text(tail(printable(row.name, 400), room)), *texts, style=style)
    console.print(table)
    notes(report, console)


def tail(name: str, width: int) -> str:
    """The end of a name that is too long."""
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]


def notes(report: Report, console: Console) -> None:
    """What the table is of, what it assumes, and what it lacks."""
    totals, device, model = report.totals, report.device, report.model
    if totals is None or device is None:
        return
    spread = seconds_range(totals.latency_low_s, totals.latency_high_s, totals.latency_s)
    kernels = plural(len({layer.kernel for layer in report.layers if layer.bound != "free"}), "kernel")
    lines = [
        (
            f"{printable(model.path)} on {device.name}, {device.precision}: {seconds(totals.latency_s)} "
            f"({spread}, {device.trust}) in {kernels}",
            "bold",
        ),
        (
            f"{count(totals.params)} params ({size(totals.weight_bytes)} stored), {count(totals.macs)} MACCs, "
            f"{size(totals.memory_access_bytes)} moved, {size(totals.peak_activation_bytes)} of activations at peak",
            "",
        ),
    ]
    lines += [(f"assumed: {', '.join(model.assumed)}", "yellow")] if model.assumed else []
    lines += [(formula_text(formula), "") for formula in model.formulas]
    if model.unknown_node_share or model.macs_coverage < 1:
        known = f"{percent(1 - model.unknown_node_share)} of the nodes"
        lines.append((f"known: the cost of {known}, {percent(model.macs_coverage)} of those that multiply", "yellow"))
    else:
        lines.append(("known: the cost of every node", "dim"))
    lines += [(f"incomplete: {printable(problem)}", "bold red") for problem in report.incomplete]
    for line, style in lines:
        console.print(line, style=style, markup=False, highlight=False)


def formula_text(formula: FormulaInfo) -> str:
    """`MACCs = 2.50 k·batch·seq² + 4.55 M·batch·seq`, with the sizes that it holds for."""
    terms = []
    for term in formula.terms:
        powers = [f"{printable(name)}{_SUPERSCRIPTS.get(power, f'^{power}')}" for name, power in term.powers.items()]
        sign = "−" if term.coefficient < 0 else "+"
        amount = abs(term.coefficient)
        terms.append(f"{sign} " + "·".join([count(amount).strip() if amount >= 1 else f"{amount:.3g}", *powers]))
    text = f"{_NAMES.get(formula.metric, formula.metric)} = {' '.join(terms).removeprefix('+ ') or '0'}"
    conditions = [f"{printable(name)} a multiple of {step}" for name, step in formula.multiple_of.items()]
    conditions += [f"{printable(name)} = {value}" for name, value in formula.held.items()]
    return f"{text} ({', '.join(conditions)})" if conditions else text
