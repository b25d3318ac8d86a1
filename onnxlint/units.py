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


def seconds_range(low: float, high: float, middle: float | None = None) -> str:
    """`13.7–21.3 ms`, in the unit of the middle, else of the higher; `-0.37 to 0.88 ms` where the lower is negative."""
    told = abs(high if middle is None else middle)
    scale, unit = (1.0, "s") if told >= 1 else (1e3, "ms") if told >= 1e-4 else (1e6, "µs")
    between = " to " if low < 0 else "–"
    return f"{_three(low * scale)}{between}{_three(high * scale)} {unit}"


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


def operations(per_second: float) -> str:
    """`2.05 TOPS`, `38.4 GOPS`: two operations a multiply-accumulate."""
    scale, unit = (1e12, "TOPS") if per_second >= 0.9995e12 else (1e9, "GOPS")
    return f"{rate(per_second / scale)} {unit}"


def rate(value: float) -> str:
    """`78.8`, `5.30`, `1,990`: things a second, three digits."""
    if value < 99.95:
        return _three(value) if value >= 0.995 or value == 0 else f"{value:.3g}"
    digits = max(0, len(str(int(value))) - 3)
    return f"{round(value / 10**digits) * 10**digits:,}"


def percent(part: float) -> str:
    """`27 %` for 0.27, below ten with one digit more: `8.0 %`."""
    value = part * 100
    if value and abs(value) < 0.1:
        return "<0.1 %"
    return f"{value:.0f} %" if abs(value) >= 9.95 or value == 0 else f"{value:.1f} %"


def equal_to(share: float) -> str:
    """`= 27 %`, `< 0.1 %`: a part of the whole behind its amount."""
    told = percent(share)
    return f"< {told[1:]}" if told.startswith("<") else f"= {told}"


def plural(number: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _three(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 99.95 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if magnitude >= 9.995 else f"{value:.2f}"
