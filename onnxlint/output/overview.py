"""Several reports side by side, at the end: which model on which device is how fast, and what is wrong with it."""

from __future__ import annotations

import os
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
    folder = _common_folder([report.model.path for report in reports])
    rows = [_row(report, folder, is_wide=width >= _WIDE) for report in reports]
    room = width - sum(2 + max(map(len, column)) for column in list(zip(*rows, strict=True))[1:])
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    for _ in range(3 if width >= _WIDE else 1):
        table.add_column(justify="right", no_wrap=True)
    for _ in range(2):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for name, *cells in rows:
        table.add_row(tail(name, max(_LEAST_NAME, room)), *cells)
    title = Text(plural(len(reports), "report"), style="bold")
    return Group(title.append(f" in {printable(folder, 400)}", style="not bold") if folder else title, table)


def _common_folder(paths: Sequence[str]) -> str:
    """The folder that all lie in, with its last slash; empty where there is none."""
    folders = {os.path.dirname(path) for path in paths}
    return f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""


def _row(report: Report, folder: str, *, is_wide: bool) -> tuple[str, ...]:
    """The cells of one report; a wide table has the range and the rate too."""
    name = printable(report.model.path.removeprefix(folder), 400)
    totals, device, verdict = report.totals, report.device, report.verdict
    if totals is None or device is None or verdict is None:
        return name, *[""] * (5 if is_wide else 3), "not read"
    spread = seconds_range(totals.latency_low_s, totals.latency_high_s, totals.latency_s)
    summary = report.summary
    counts = [plural(count, word) for count, word in ((summary.error, "error"), (summary.warning, "warning")) if count]
    runs = f"✗ {verdict.partitions} parts" if verdict.runs == "partitioned" else _VERDICTS[verdict.runs]
    return (
        name,
        device.name,
        seconds(totals.latency_s),
        *([spread, f"{rate(totals.throughput_fps)} FPS"] if is_wide else []),
        runs,
        ", ".join(counts) or "clean",
    )
