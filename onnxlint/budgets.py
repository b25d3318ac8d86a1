"""Budgets that a model must keep, and the words they are given in: `10ms`, `5M`, `64MiB`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from onnxlint.text import printable

_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+) ?([A-Za-zµμ]*)")
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
ELEMENTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
MACS = {**ELEMENTS, "T": 1e12}
BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}


class BudgetError(Exception):
    """A budget that is no amount."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """The most that a model may take; None where nobody says."""

    latency_s: float | None = None
    params: float | None = None
    macs: float | None = None
    memory_bytes: float | None = None


NO_BUDGETS = Budgets()


def parse_budgets(
    latency: str | None = None, params: str | None = None, macs: str | None = None, memory: str | None = None
) -> Budgets:
    """The budgets as the command line spells them; raises BudgetError."""
    return Budgets(
        _amount("--max-latency", latency, SECONDS, "10ms"),
        _amount("--max-params", params, ELEMENTS, "5M"),
        _amount("--max-macs", macs, MACS, "1G"),
        _amount("--max-memory", memory, BYTES, "64MiB"),
    )


def _amount(option: str, word: str | None, units: Mapping[str, float], example: str) -> float | None:
    if word is None:
        return None
    found = _NUMBER_AND_UNIT.fullmatch(word.strip())
    if found is not None and found[2] in units and float(found[1]) > 0:
        return float(found[1]) * units[found[2]]
    near = {unit.lower(): unit for unit in units}.get(found[2].lower()) if found is not None else None
    meant = f"did you mean {found[1] + near!r}?" if found is not None and near and near != found[2] else ""
    hint = meant or f"an amount as in {example!r}, in {', '.join(unit for unit in units if unit.isascii() and unit)}"
    raise BudgetError(f"{option}: {printable(word)!r} is no amount ({hint})")
