"""Predicted against measured, kernel by kernel, as a plot of characters: what lies off the diagonal is off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from onnxlint.measure.compare import KernelTime
from onnxlint.output.plane import Plane
from onnxlint.units import plural

_ROWS = 24
_LEAST_COLUMNS, _MOST_COLUMNS = 40, 100
_MARGIN = 1.25
_RANGE = 3e3
_WIDE = 1.2
_MANY = "●"


def scatter(kernels: Sequence[KernelTime], columns: int) -> str:
    """The plot, at most `columns` characters wide; kernels without a time on either side are counted below it."""
    shown = [kernel for kernel in kernels if kernel.predicted_s > 0 and kernel.measured_s > 0]
    lines: list[str] = []
    if shown:
        times = [time for kernel in shown for time in (kernel.predicted_s, kernel.measured_s)]
        most = max(times) * _MARGIN
        ends = (max(min(times) / _MARGIN, most / _RANGE), most)
        plane = Plane(min(_MOST_COLUMNS, max(_LEAST_COLUMNS, columns - 10)), _ROWS, ends, ends)
        for factor in (1 / _WIDE, _WIDE):
            plane.curve(lambda x, factor=factor: x * factor, "·")  # type: ignore[misc]
        plane.curve(lambda x: x, "╱")
        places = Counter((plane.column(k.measured_s), plane.row(k.predicted_s)) for k in shown)
        for kernel in shown:
            count = places[plane.column(kernel.measured_s), plane.row(kernel.predicted_s)]
            plane.mark(kernel.measured_s, kernel.predicted_s, _sign(count))
        lines += plane.lines("measured s", "predicted s")
        lines.append(f"o one kernel, 2-9 so many, {_MANY} more; ╱ equal, · 20 % off")
    if len(shown) < len(kernels):
        missing = plural(len(kernels) - len(shown), "kernel")
        lines.append(f"{missing} without a time on one side (views, what was fused away)")
    return "\n".join(lines) + "\n"


def _sign(count: int) -> str:
    return "o" if count == 1 else str(count) if count < 10 else _MANY
