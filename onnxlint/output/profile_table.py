"""The per-layer table: by node, kernel, operator or module; as a table, CSV or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from onnxlint.output.units import count, percent, plural, seconds, seconds_range, size
from onnxlint.report import Layer, Report
from onnxlint.text import printable

_BAR = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; bytes and seconds are sums over its kernels."""

    name: str
    op: str
    nodes: int
    output: str
    params: int
    macs: int
    flops: int
    bytes: int
    latency_s: float
    share: float
    bound: str


def write(report: Report, stream: TextIO, *, by: str, sort: str, top: int | None, output_format: str) -> None:
    """Write the report's layers as rows."""
    rows = _rows(report, by)
    keys = {"time": "latency_s", "macs": "macs", "params": "params", "bytes": "bytes"}
    if sort in keys:
        rows.sort(key=lambda row: -getattr(row, keys[sort]))
    rows = rows[:top]
    if output_format == "json":
        json.dump([asdict(row) for row in rows], stream, indent=2)
        stream.write("\n")
    elif output_format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(Row.__slots__)
        writer.writerows([_cell(value) for value in asdict(row).values()] for row in rows)
    else:
        _table(report, rows, stream)


def _cell(value: object) -> object:
    """A CSV cell that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        value = printable(value)
        return "'" + value if value[:1] in "=+-@\t\r" else value
    return value


def _rows(report: Report, by: str) -> list[Row]:
    groups: dict[str, list[Layer]] = {}
    for layer in report.layers:
        groups.setdefault(_group(layer, by), []).append(layer)
    total = report.totals.latency_s if report.totals is not None else 0.0
    return [_row(name, layers, by, total) for name, layers in groups.items()]


def _group(layer: Layer, by: str) -> str:
    if by == "node":
        return layer.node
    if by == "kernel":
        return str(layer.kernel)
    if by == "op":
        return layer.kernel_ops
    return module_of(layer.name or layer.node)


def module_of(name: str) -> str:
    """The scope of an exported name: `/stage2/0/conv/Conv_output_0` belongs to `/stage2/0/conv`."""
    scope, separator, _ = name.rpartition("/")
    return scope if separator and scope else name


def _row(name: str, layers: Sequence[Layer], by: str, total_s: float) -> Row:
    first = layers[0]
    spent = sum(layer.latency_s for layer in layers)
    bounds = sorted({layer.bound for layer in layers if layer.latency_s})
    labels = {"node": first.node, "kernel": first.name or first.node}
    return Row(
        name=labels.get(by, name),
        op=first.op if by == "node" else first.kernel_ops if by == "kernel" else "",
        nodes=len(layers),
        output=layers[-1].output,
        params=sum(layer.params for layer in layers),
        macs=sum(layer.macs for layer in layers),
        flops=sum(layer.flops for layer in layers),
        bytes=sum(layer.read_bytes + layer.written_bytes for layer in layers),
        latency_s=spent,
        share=spent / total_s if total_s else 0.0,
        bound=bounds[0] if len(bounds) == 1 else "mixed" if bounds else "free",
    )


def _table(report: Report, rows: Sequence[Row], stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream)
    table = Table(box=None, padding=(0, 1), header_style="bold", expand=False)
    table.add_column("layer", overflow="ellipsis", no_wrap=True, ratio=1)
    has_ops = any(row.op for row in rows)
    if has_ops:
        table.add_column("operators", overflow="ellipsis", no_wrap=True, max_width=24)
    wide = console.width >= 110
    if wide:
        table.add_column("output", no_wrap=True, overflow="ellipsis", max_width=26)
    for title in ("params", "MACCs", "bytes", "time", "share"):
        table.add_column(title, justify="right", no_wrap=True)
    if wide:
        table.add_column("", no_wrap=True)
    table.add_column("bound", no_wrap=True)
    for row in rows:
        cells = [Text(printable(row.name, 60))]
        cells += [Text(printable(row.op, 40))] if has_ops else []
        cells += [Text(row.output, style="dim")] if wide else []
        cells += [
            Text(count(row.params) if row.params else ""),
            Text(count(row.macs) if row.macs else ""),
            Text(size(row.bytes) if row.bytes else ""),
            Text(seconds(row.latency_s) if row.latency_s else ""),
            Text(percent(row.share) if row.latency_s else ""),
        ]
        cells += (
            [Text("█" * round(row.share * _BAR / max(r.share for r in rows) if row.share else 0), "cyan")]
            if wide
            else []
        )
        table.add_row(*cells, Text(row.bound))
    console.print(table)
    totals, device = report.totals, report.device
    if totals is not None and device is not None:
        spread = seconds_range(totals.latency_low_s, totals.latency_high_s)
        line = (
            f"{printable(report.model.path)} on {device.name}, {device.precision}: {count(totals.params)} params, "
            f"{count(totals.macs)}MACCs, {size(totals.memory_access_bytes)} moved, {seconds(totals.latency_s)} "
            f"({spread}, {device.trust}) in {plural(len({layer.kernel for layer in report.layers}), 'kernel')}"
        )
        console.print(line, style="bold", markup=False, highlight=False)
        if report.model.assumed:
            console.print(f"assumed: {', '.join(report.model.assumed)}", markup=False, highlight=False)
        if report.model.unresolved or report.model.unknown_operators:
            unknown = sum(report.model.unknown_operators.values())
            line = f"unknown: {plural(len(report.model.unresolved), 'shape')}, {plural(unknown, 'node')} without a cost"
            console.print(line, markup=False, highlight=False)
        for problem in report.incomplete:
            console.print(f"incomplete: {printable(problem)}", style="bold red", markup=False, highlight=False)
