"""`profile --roofline`: the plot with its legend and tables, or the points of it as JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, TextIO

from onnxlint.output.json import harmless
from onnxlint.output.profile_rows import ProfileView, rows_of, total_of
from onnxlint.output.profile_table import as_json, cell, notes, tail
from onnxlint.output.roofline_plot import CLASS_MARKS, STYLES, WIDE, Group, groups_of, plot_lines
from onnxlint.output.screen import screen
from onnxlint.report import Report
from onnxlint.roofline import Point, Reason, Roofline
from onnxlint.text import printable
from onnxlint.units import count, percent, plural, rate, seconds, short

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_DEAREST = 9
_OF_ROOF = "of roof: padding, small shapes, launches and layout changes take the rest"
_SAID: dict[Reason, str] = {
    "host": "on the host",
    "unknown": "of unknown cost",
    "no arithmetic": "without arithmetic",
    "nothing moved": "that move nothing",
    "view": "that are views",
    "start": "the start of a run",
}


def write(report: Report, roofline: Roofline, stream: TextIO, view: ProfileView) -> None:
    """Write the roofline: as a plot with tables, as CSV of its points, or as JSON beside the profile's rows."""
    groups = groups_of(roofline.points, _DEAREST if view.top is None else view.top)
    if view.output_format == "json":
        rows = rows_of(report, view.by, view.sort, view.depth)
        content = as_json(report, view.by, rows[: view.top], total_of(rows))
        marks = {point.kernel: group.mark for group in groups for point in group.points}
        found = asdict(roofline)
        found["points"] = [{**point, "mark": marks.get(point["kernel"])} for point in found["points"]]
        stream.write(harmless(json.dumps({**content, "roofline": found}, indent=2) + "\n"))
    elif view.output_format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Point)])
        writer.writerows([cell(value) for value in asdict(point).values()] for point in roofline.points)
    else:
        with screen(stream) as console:
            _show(report, roofline, groups, console)


def _show(report: Report, roofline: Roofline, groups: Sequence[Group], console: Console) -> None:
    if roofline.points:
        for line in plot_lines(roofline, groups, console.width):
            console.print(line, no_wrap=True, overflow="crop")
        for words in _legend(roofline):
            console.print(words, style="dim", markup=False, highlight=False)
        console.print()
        console.print(_class_table(roofline))
        console.print()
        console.print(_dearest_table(groups, console.width))
        console.print(_OF_ROOF, style="dim", markup=False, highlight=False)
        console.print()
    for words in _not_shown(roofline):
        console.print(words, style="yellow", markup=False, highlight=False)
    notes(report, console)


def _legend(roofline: Roofline) -> Iterator[str]:
    nominal = roofline.bandwidth_gb_per_s
    peak, ridge = f"{_ops(roofline.peak_gops)} {roofline.precision}", f"ridge at {short(roofline.ridge)} FLOP/B"
    if nominal is None:
        yield f"─  nominal: {peak}, bandwidth not published; {ridge}"
    else:
        yield f"╱─ nominal: {peak}, {short(nominal)} GB/s, {ridge}"
    cache = roofline.cache_gb_per_s
    from_cache = f" ({short(cache)} from the cache)" if cache is not None else ""
    attained = f"{short(roofline.attainable_bandwidth_gb_per_s)} GB/s{from_cache}"
    yield f"·  attainable: {attained}, and by class, its mark at the right"
    if roofline.parameter_sets > 1:
        yield f"   times and attainable roofs are means over {roofline.parameter_sets} parameter sets"
    memory_roof = cache or max(roofline.attainable_bandwidth_gb_per_s, nominal or 0.0)
    above = sum(point.attained_gops > memory_roof * point.intensity for point in roofline.points)
    if above:
        yield f"   {plural(above, 'kernel')} above the memory roof: values that stay on the chip"


def _class_table(roofline: Roofline) -> Table:
    from rich.text import Text

    table = _table(("", "class", "kernels", "time", "share", "attainable", "of nominal", "ridge"), {"", "class"})
    for roof in roofline.classes:
        nominal = roof.nominal_gops
        table.add_row(
            Text(CLASS_MARKS[roof.kernel_class], STYLES[roof.kernel_class]),
            roof.kernel_class,
            str(roof.kernels),
            seconds(roof.latency_s),
            percent(roof.share),
            _ops(roof.attainable_gops),
            percent(roof.attainable_gops / nominal) if nominal is not None else "",
            short(roof.ridge),
        )
    return table


def _dearest_table(groups: Sequence[Group], width: int) -> Table:
    """The numbered kernels; the columns that fit."""
    from rich.text import Text

    is_wide = width >= WIDE
    titles = ["", "layer", "FLOP/B", "GOPS", "of roof", "bound", "time", "share"]
    if is_wide:
        titles[2:2] = ["class", "operators"]
    table = _table(titles, {"", "layer", "class", "operators", "bound"})
    lines = [_cells(group, is_wide) for group in groups]
    others = [
        max(map(len, (title, *column))) for title, *column in zip(titles, *lines, strict=True) if title != "layer"
    ]
    room = max(8, width - sum(others) - 2 * len(titles))
    for group, cells in zip(groups, lines, strict=True):
        point, many = group.points[0], len(group.points)
        times = f" ×{many}" if many > 1 else ""
        name = tail(printable(point.name, 400), room - len(times)) + times
        mark, _, *others_of_line = cells
        table.add_row(Text(mark, f"bold {STYLES[point.kernel_class]}"), Text(name), *map(Text, others_of_line))
    return table


def _cells(group: Group, is_wide: bool) -> list[str]:
    """A row of the table of the dearest, its name left out."""
    point = group.points[0]
    return [
        group.mark,
        "",
        *([point.kernel_class, printable(point.ops, 28)] if is_wide else []),
        short(point.intensity),
        rate(point.attained_gops),
        percent(point.roof_share),
        point.bound,
        seconds(group.latency_s),
        percent(point.share * len(group.points)),
    ]


def _table(titles: Sequence[str], words: Container[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, justify="left" if title in words else "right", no_wrap=True)
    return table


def _not_shown(roofline: Roofline) -> Iterator[str]:
    """What has no place on the roofline, and its part of the time."""
    if not roofline.points:
        yield "no kernel stands on the roofline"
    for one in roofline.left_out:
        what = f"{plural(one.kernels, 'kernel')} {_SAID[one.reason]}" if one.kernels else _SAID[one.reason]
        if one.latency_s or one.reason != "view":
            yield f"not shown: {what}, {seconds(one.latency_s)} = {percent(one.share)} of the time"


def _ops(gops: float) -> str:
    return f"{count(gops * 1e9)}OPS"
