"""The roofline in the terminal: the kernels under the roof, their classes, the dearest of them; as JSON and CSV too."""

from __future__ import annotations

import csv
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, TextIO

from onnxlint.device_types import KernelClass
from onnxlint.output.json import harmless
from onnxlint.output.plane import LEFT, Plane, decade
from onnxlint.output.profile_rows import rows_of, total_of
from onnxlint.output.profile_table import as_json, cell, notes, tail
from onnxlint.report import Report
from onnxlint.roofline import Point, Reason, Roofline
from onnxlint.text import printable
from onnxlint.units import count, percent, plural, rate, seconds

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

CLASS_MARKS: dict[KernelClass, str] = {
    "conv": "c",
    "conv3x3": "t",
    "pointwise": "p",
    "depthwise": "d",
    "grouped": "g",
    "lowered": "l",
    "gemm": "m",
    "attention": "a",
    "recurrent": "r",
    "integer": "i",
    "integer_depthwise": "j",
    "integer_lowered": "n",
    "integer_gemm": "q",
    "integer_batched": "b",
    "vector": "v",
}
NUMBERS = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_COLOURS = "cyan", "blue", "green", "magenta", "yellow", "red"
_STYLES = dict(zip(CLASS_MARKS, cycle((*_COLOURS, *(f"bright_{name}" for name in _COLOURS))), strict=False))
_DEAREST = 9
_WIDE = 110
_MOST_COLUMNS = 110
_LEAST_COLUMNS = 30
_ROWS, _ROWS_WIDE = 20, 26
_MARGIN, _ROWS_ABOVE = 1.5, 1.7
_MOST_X, _MOST_Y = 1e7, 1e6
_OF_ROOF = "of roof: padding, small shapes, launches and layout changes take the rest"
_SAID: dict[Reason, str] = {
    "host": "on the host",
    "unknown": "of unknown cost",
    "no arithmetic": "without arithmetic",
    "nothing moved": "that move nothing",
    "view": "that are views",
    "start": "the start of a run",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Kernels in one place of the plot, alike in all figures, with the mark that they have there."""

    mark: str
    points: tuple[Point, ...]

    @property
    def latency_s(self) -> float:
        """What they take together."""
        return sum(point.latency_s for point in self.points)


def write(
    report: Report,
    roofline: Roofline,
    stream: TextIO,
    *,
    by: str,
    sort: str,
    top: int | None,
    output_format: str,
    depth: int | None = None,
) -> None:
    """Write the roofline: as a plot with tables, as CSV of its points, or as JSON beside the profile's rows."""
    groups = groups_of(roofline.points, _DEAREST if top is None else top)
    if output_format == "json":
        rows = rows_of(report, by, sort, depth)
        content = as_json(report, by, rows[:top], total_of(rows))
        marks = {point.kernel: group.mark for group in groups for point in group.points}
        found = asdict(roofline)
        found["points"] = [{**point, "mark": marks.get(point["kernel"])} for point in found["points"]]
        stream.write(harmless(json.dumps({**content, "roofline": found}, indent=2) + "\n"))
    elif output_format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Point)])
        writer.writerows([cell(value) for value in asdict(point).values()] for point in roofline.points)
    else:
        _show(report, roofline, groups, stream)


def groups_of(points: Sequence[Point], most: int) -> list[Group]:
    """The dearest groups of kernels with equal figures, numbered by what they take together."""
    alike: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        figures = (point.kernel_class, point.ops, point.flops, point.bytes, point.bound, f"{point.latency_s:.6e}")
        alike.setdefault(figures, []).append(point)
    found = sorted(alike.values(), key=lambda group: -sum(point.latency_s for point in group))
    return [Group(mark, tuple(group)) for mark, group in zip(NUMBERS, found[:most], strict=False)]


@dataclass(frozen=True, slots=True)
class Plot:
    """The plane, and the class of the kernel whose mark is in a (row, column)."""

    plane: Plane
    classes: dict[tuple[int, int], KernelClass]


def plot_of(roofline: Roofline, groups: Sequence[Group], columns: int, rows: int) -> Plot:
    """GOPS over FLOP/B: the nominal roof, the attainable one by class, a mark for every kernel, the dearest on top."""
    plane = Plane(columns, rows, *_ends(roofline, rows))
    _draw_roofs(plane, roofline)
    classes: dict[tuple[int, int], KernelClass] = {}
    for point in sorted(roofline.points, key=lambda point: point.latency_s):
        row, column = plane.row(point.attained_gops), plane.column(point.intensity)
        plane.write(row, column, CLASS_MARKS[point.kernel_class])
        classes[row, column] = point.kernel_class
    numbered: set[tuple[int, int]] = set()
    for group in groups:
        point = group.points[0]
        row, column = plane.row(point.attained_gops), plane.column(point.intensity)
        # marks that fall together stand beside each other
        free = (other for other in range(columns) if (row, other) not in numbered)
        column = min(free, key=lambda other: abs(other - column))
        plane.write(row, column, group.mark)
        numbered.add((row, column))
        classes[row, column] = point.kernel_class
    return Plot(plane, classes)


def _ends(roofline: Roofline, rows: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """From the least to the most of both axes, the roof and its name included."""
    xs, ys = zip(*((point.intensity, point.attained_gops) for point in roofline.points), strict=True)
    right = max(*xs, roofline.ridge * 2) * _MARGIN
    highest = max(*ys, roofline.peak_gops)
    left, bottom = min(*xs, roofline.ridge) / _MARGIN, max(min(ys) / _MARGIN, highest / _MOST_Y)
    return (max(left, right / _MOST_X), right), (bottom, highest * (highest / bottom) ** (_ROWS_ABOVE / rows))


def _draw_roofs(plane: Plane, roofline: Roofline) -> None:
    ridge, peak = roofline.ridge, roofline.peak_gops
    highest = max(roof.attainable_gops for roof in roofline.classes)
    for slope in (roofline.cache_gb_per_s, roofline.attainable_bandwidth_gb_per_s):
        if slope is not None:
            plane.curve(partial(_slant, slope, highest / slope), "·")
    for roof in roofline.classes:
        plane.curve(partial(_flat, roof.attainable_gops, roof.ridge), "·")
    plane.curve(partial(_slant, peak / ridge, ridge), "·" if roofline.bandwidth_gb_per_s is None else "╱")
    for nominal in {peak, *(roof.nominal_gops or peak for roof in roofline.classes)}:
        plane.curve(partial(_flat, nominal, ridge * nominal / peak), "─")
    plane.mark(ridge, peak, "+")
    plane.write(max(0, plane.row(peak) - 1), plane.column(ridge), f"ridge {_short(ridge)} FLOP/B")


def _slant(slope: float, end: float, x: float) -> float:
    return slope * x if x < end else 0.0


def _flat(height: float, start: float, x: float) -> float:
    return height if x >= start else 0.0


def _show(report: Report, roofline: Roofline, groups: Sequence[Group], stream: TextIO) -> None:
    from rich.console import Console

    console = Console(file=stream)
    if roofline.points:
        for line in _plot_lines(roofline, groups, console.width):
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


def _plot_lines(roofline: Roofline, groups: Sequence[Group], width: int) -> Iterator[Text]:
    """The plot's lines; at its right the marks of the classes whose attainable roof lies in the line."""
    from rich.text import Text

    margin = len(roofline.classes) + 2
    columns = min(_MOST_COLUMNS, max(_LEAST_COLUMNS, width - LEFT - margin))
    plot = plot_of(roofline, groups, columns, _ROWS_WIDE if width >= _WIDE else _ROWS)
    at_right: dict[int, list[KernelClass]] = {}
    for roof in roofline.classes:
        at_right.setdefault(plot.plane.row(roof.attainable_gops), []).append(roof.kernel_class)
    numbers = {group.mark for group in groups}
    for index, line in enumerate(plot.plane.lines("FLOP/B", "attained GOPS", _tick)):
        row, words = index - 1, Text(line)
        if row in at_right:
            words.append(" " * (LEFT + columns - len(line) + 1))
            for name in at_right[row]:
                words.append(CLASS_MARKS[name], _STYLES[name])
        for (of_row, column), name in plot.classes.items():
            if of_row == row:
                is_number = words.plain[LEFT + column] in numbers
                words.stylize(f"bold {_STYLES[name]}" if is_number else _STYLES[name], LEFT + column, LEFT + column + 1)
        yield words


def _tick(value: float) -> str:
    return f"{value:g}" if 1e-3 <= value < 1 else decade(value)


def _legend(roofline: Roofline) -> Iterator[str]:
    nominal = roofline.bandwidth_gb_per_s
    peak, ridge = f"{_ops(roofline.peak_gops)} {roofline.precision}", f"ridge at {_short(roofline.ridge)} FLOP/B"
    if nominal is None:
        yield f"─  nominal: {peak}, bandwidth not published; {ridge}"
    else:
        yield f"╱─ nominal: {peak}, {_short(nominal)} GB/s, {ridge}"
    cache = roofline.cache_gb_per_s
    from_cache = f" ({_short(cache)} from the cache)" if cache is not None else ""
    attained = f"{_short(roofline.attainable_bandwidth_gb_per_s)} GB/s{from_cache}"
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
            Text(CLASS_MARKS[roof.kernel_class], _STYLES[roof.kernel_class]),
            roof.kernel_class,
            str(roof.kernels),
            seconds(roof.latency_s),
            percent(roof.share),
            _ops(roof.attainable_gops),
            percent(roof.attainable_gops / nominal) if nominal is not None else "",
            _short(roof.ridge),
        )
    return table


def _dearest_table(groups: Sequence[Group], width: int) -> Table:
    """The numbered kernels; the columns that fit."""
    from rich.text import Text

    is_wide = width >= _WIDE
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
        table.add_row(Text(mark, f"bold {_STYLES[point.kernel_class]}"), Text(name), *map(Text, others_of_line))
    return table


def _cells(group: Group, is_wide: bool) -> list[str]:
    """A row of the table of the dearest, its name left out."""
    point = group.points[0]
    return [
        group.mark,
        "",
        *([point.kernel_class, printable(point.ops, 28)] if is_wide else []),
        _short(point.intensity),
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


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1e3 else count(value).replace(" ", "")
