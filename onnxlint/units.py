"""Numbers as people read them: three digits and a unit."""

from __future__ import annotations

_DECIMAL = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def seconds(value: float) -> str:
    """`17.2 ms`; below a tenth of a millisecond in µs, from a second on in s."""
    magnitude = abs(value)
    if magnitude >= 1:
        return f"{_three(value)} s"
    if magnitude >= 1e-4 or magnitude == 0:
        return f"{_three(value * 1e3)} ms"
    return f"{_three(value * 1e6)} µs"


def seconds_range(low: float, high: float) -> str:
    """`13.7–21.3 ms`, both in the unit of the higher."""
    if high >= 1:
        return f"{_three(low)}–{_three(high)} s"
    if high >= 1e-4:
        return f"{_three(low * 1e3)}–{_three(high * 1e3)} ms"
    return f"{_three(low * 1e6)}–{_three(high * 1e6)} µs"


def count(value: float) -> str:
    """`145 M`: elements, operations."""
    for scale, prefix in _DECIMAL:
        if value >= scale:
            return f"{_three(value / scale)} {prefix}"
    return f"{value:.0f}"


def short(value: float) -> str:
    """`60.6`, `2.05k`: three digits without a blank, for plots."""
    return f"{value:.3g}" if value < 1e3 else count(value).replace(" ", "")


def size(value: float) -> str:
    """`9.08 MB`: bytes by powers of ten, as bandwidths are given."""
    for scale, prefix in _DECIMAL:
        if value >= scale:
            return f"{_three(value / scale)} {prefix}B"
    return f"{value:.0f} B"


def rate(value: float) -> str:
    """`78.8`, `1,990`: things a second, three digits."""
    if value < 100:
        return f"{value:.3g}"
    digits = len(str(int(value))) - 3
    return f"{round(value / 10**digits) * 10**digits:,}"


def percent(part: float) -> str:
    """`27 %` for 0.27, below ten with one digit more: `8.0 %`."""
    value = part * 100
    if value and abs(value) < 0.1:
        return "<0.1 %"
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.1f} %"


def plural(number: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _three(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}"
