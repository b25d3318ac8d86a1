"""Settings from the command line's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxlint.binding import MAX_DIM, BindingError, Bindings
from onnxlint.budgets import parse_budgets
from onnxlint.isolated import Limits
from onnxlint.settings import Settings
from onnxlint.text import printable


def settings_of(
    *,
    shapes: Sequence[str] = (),
    dims: Sequence[str] = (),
    batch: int | None = None,
    timeout_s: float,
    memory_mb: int | None,
    max_latency: str | None = None,
    max_params: str | None = None,
    max_macs: str | None = None,
    max_memory: str | None = None,
    **options: Any,
) -> Settings:
    """Settings from the command line's words; raises BindingError and BudgetError for malformed ones."""
    bindings = Bindings(
        _bindings("--shape", "NAME=1x3x224x224", shapes, _dims),
        _bindings("--dim", "NAME=VALUE", dims, _dim),
        batch,
    )
    budgets = parse_budgets(max_latency, max_params, max_macs, max_memory)
    return Settings(bindings=bindings, limits=Limits(timeout_s, memory_mb), budgets=budgets, **options)


def _bindings(option: str, form: str, words: Sequence[str], read: Any) -> dict[str, Any]:
    bound: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.rpartition("=")
        if not separator or not name:
            raise BindingError(f"{option}: {printable(word)!r} is not {form}")
        size = read(f"{option} {name}", value)
        if bound.setdefault(name, size) != size:
            raise BindingError(f"{option} {printable(name)}: is given twice and differently")
    return bound


def _dims(option: str, value: str) -> tuple[int, ...]:
    return tuple(_dim(option, part) for part in value.lower().replace(",", "x").split("x"))


def _dim(option: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12 or not 0 < int(value) <= MAX_DIM:
        raise BindingError(f"{printable(option)}: {printable(value)!r} is no size (a number from 1 to {MAX_DIM})")
    return int(value)
