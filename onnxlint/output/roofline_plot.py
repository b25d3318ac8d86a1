"""The roofline as a plot in the terminal: the kernels under the roof, the dearest of them numbered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

from onnxlint.device_types import KernelClass
from onnxlint.output.plane import LEFT, Plane, decade
from onnxlint.roofline import Point, Roofline
from onnxlint.units import short

if TYPE_CHECKING:
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
STYLES = dict(zip(CLASS_MARKS, cycle((*_COLOURS, *(f"bright_{name}" for name in _COLOURS))), strict=False))
WIDE = 110
"""Columns of a terminal from which more is shown."""
_MOST_COLUMNS = 110
_LEAST_COLUMNS = 30
_ROWS, _ROWS_WIDE = 20, 26
_MARGIN, _ROWS_ABOVE = 1.5, 1.7
_MOST_X, _MOST_Y = 1e7, 1e6


@dataclass(frozen=True, slots=True)
class Group:
    """Kernels in one place of the plot, alike in all figures, with the mark that they have there."""

    mark: str
    points: tuple[Point, ...]

    @property
    def latency_s(self) -> float:
        """What they take together."""
        return sum(point.latency_s for point in self.points)


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


def plot_lines(roofline: Roofline, groups: Sequence[Group], width: int) -> Iterator[Text]:
    """The plot's lines; at its right the marks of the classes whose attainable roof lies in the line."""
    from rich.text import Text

    margin = len(roofline.classes) + 2
    columns = min(_MOST_COLUMNS, max(_LEAST_COLUMNS, width - LEFT - margin))
    plot = plot_of(roofline, groups, columns, _ROWS_WIDE if width >= WIDE else _ROWS)
    at_right: dict[int, list[KernelClass]] = {}
    for roof in roofline.classes:
        at_right.setdefault(plot.plane.row(roof.attainable_gops), []).append(roof.kernel_class)
    numbers = {group.mark for group in groups}
    for index, line in enumerate(plot.plane.lines("FLOP/B", "attained GOPS", _tick)):
        row, words = index - 1, Text(line)
        if row in at_right:
            words.append(" " * (LEFT + columns - len(line) + 1))
            for name in at_right[row]:
                words.append(CLASS_MARKS[name], STYLES[name])
        for (of_row, column), name in plot.classes.items():
            if of_row == row:
                is_number = words.plain[LEFT + column] in numbers
                words.stylize(f"bold {STYLES[name]}" if is_number else STYLES[name], LEFT + column, LEFT + column + 1)
        yield words


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
    plane.write(max(0, plane.row(peak) - 1), plane.column(ridge), f"ridge {short(ridge)} FLOP/B")


def _slant(slope: float, end: float, x: float) -> float:
    return slope * x if x < end else 0.0


def _flat(height: float, start: float, x: float) -> float:
    return height if x >= start else 0.0


def _tick(value: float) -> str:
    return f"{value:g}" if 1e-3 <= value < 1 else decade(value)
