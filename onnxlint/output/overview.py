"""Several reports side by side, at the end: which model on which device is how fast, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxlint.output.profile_table import tail
from onnxlint.report import Report
from onnxlint.text import printable
from onnxlint.units import plural, rate, seconds, seconds_range

_LEAST_NAME, _WIDE = 16, 96
_VERDICTS = {"native": "✓", "unconvertible": "✗ can't be converted", "unknown": "? may run whole"}


def overview(reports: Sequence[Report], console: Console, width: int) -> None:
    """Print a line a report."""
    console.print(_overview(reports, width), width=width, highlight=False, markup=False, emoji=False)


def _overview(reports: Sequence[Report], width: int) -> RenderableType:
    rows = [_row(report, with_rate=width >= _WIDE) for report in reports]
    room = width - sum(2 + max(map(len, column)) for column in list(zip(*rows, strict=True))[1:])
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    for _ in range(3 if width >= _WIDE else 2):
        table.add_column(justify="right", no_wrap=True)
    for _ in range(2):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for path, *cells in rows:
        table.add_row(tail(path, max(_LEAST_NAME, room)), *cells)
    return Group(Text(f"{plural(len(reports), 'report')}", style="bold"), table)


def _row(report: Report, *, with_rate: bool) -> tuple[str, ...]:
    path, totals, device, verdict = printable(report.model.path, 400), report.totals, report.device, report.verdict
    if totals is None or device is None or verdict is None:
        return path, *[""] * (5 if with_rate else 4), "not read"
    spread = seconds_range(totals.latency_low_s, totals.latency_high_s, totals.latency_s)
    summary = report.summary
    counts = [plural(count, word) for count, word in ((summary.error, "error"), (summary.warning, "warning")) if count]
    runs = f"✗ {verdict.partitions} parts" if verdict.runs == "partitioned" else _VERDICTS[verdict.runs]
    return (
        path,
        device.name,
        seconds(totals.latency_s),
        spread,
        *([f"{rate(totals.throughput_fps)} FPS"] if with_rate else []),
        runs,
        ", ".join(counts) or "clean",
    )
