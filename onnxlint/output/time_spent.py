"""Where the time goes: by operator, then the kernels that take most."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxlint.report import Layer, Report, Totals
from onnxlint.text import printable, shortened
from onnxlint.units import count, percent, seconds, size

_BOUND_STYLE = {"compute": "green", "memory": "magenta", "overhead": "yellow", "fallback": "red"}
_TOP = 5
_BAR = 30
_LEAST_NAME = 12


@dataclass(frozen=True, slots=True)
class _Alike:
    """Kernels of the same operators, size, time and bound: the first of them, how many, their seconds."""

    first: Layer
    number: int
    latency_s: float


def where_the_time_goes(report: Report, totals: Totals, width: int) -> Iterator[RenderableType]:
    """Both tables; nothing of a model that takes no time."""
    if not totals.latency_s:
        return
    mains = [layer for layer in report.layers if layer.latency_s]
    yield Text()
    yield Text("Where the time goes", style="bold")
    yield _by_operator(mains, totals)
    dearest = _alike(mains)[:_TOP]
    together = ", equal ones together" if any(one.number > 1 for one in dearest) else ""
    yield Text.assemble(("Dearest kernels", "bold"), (together, "dim"))
    yield _dearest(dearest, totals, width)


def _by_operator(mains: Sequence[Layer], totals: Totals) -> Table:
    by_op: dict[str, float] = {}
    for layer in mains:
        name = "on the host" if layer.on_host else layer.kernel_ops.split("+")[0]
        by_op[name] = by_op.get(name, 0.0) + layer.latency_s
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, spent in sorted(by_op.items(), key=lambda entry: -entry[1])[:_TOP]:
        share = spent / totals.latency_s
        bar = Text("█" * round(share * _BAR), "cyan")
        table.add_row(f"  {printable(name, 30)}", seconds(spent), percent(share), bar)
    return table


def _alike(mains: Sequence[Layer]) -> list[_Alike]:
    """The dearest first, by what equal ones take together."""
    groups: dict[Hashable, list[Layer]] = {}
    for layer in mains:
        moved = layer.read_bytes + layer.written_bytes
        key = (layer.kernel_ops, layer.macs, moved, round(layer.latency_s, 12), layer.bound, layer.on_host)
        groups.setdefault(key, []).append(layer)
    found = [_Alike(same[0], len(same), sum(layer.latency_s for layer in same)) for same in groups.values()]
    return sorted(found, key=lambda one: -one.latency_s)


def _dearest(dearest: Sequence[_Alike], totals: Totals, width: int) -> Table:
    figures = [
        (
            f"{count(layer.macs * one.number)} MACCs" if layer.macs else _size(_moved(layer) * one.number),
            seconds(one.latency_s),
            percent(one.latency_s / totals.latency_s),
            layer.bound,
        )
        for one in dearest
        for layer in (one.first,)
    ]
    room = width - 2 - sum(2 + max(map(len, column)) for column in zip(*figures, strict=True))
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for one, (*numbers, bound) in zip(dearest, figures, strict=True):
        table.add_row(f"  {_label(one, room)}", *numbers, Text(bound, _BOUND_STYLE.get(bound, "")))
    return table


def _size(moved: int) -> str:
    return size(moved) if moved else ""


def _moved(layer: Layer) -> int:
    return layer.read_bytes + layer.written_bytes


def _label(one: _Alike, room: int) -> str:
    """`/conv1/Conv ×12 (Conv+Relu)` in so many characters: without the operators, then with a shorter path."""
    name = one.first.name or one.first.node
    times = f" ×{one.number}" if one.number > 1 else ""
    kernel = one.first.kernel_ops
    operators = f" ({printable(kernel, 40)})"
    if kernel in name or len(name) + len(times) + len(operators) > room:
        operators = ""
    return f"{shortened(name, max(_LEAST_NAME, room - len(times) - len(operators)))}{times}{operators}"
