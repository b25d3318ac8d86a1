"""A profile that states its own figures and takes the rest from a kin of its class: one written from a datasheet alone.

What it does not state of TAKEN is the kin's. Attainable fractions and launches are the kin's as they are; rates that
are not fractions are scaled by the nominal figures: bandwidth by bandwidth, element-wise arithmetic by the peak, the
cache by the on-chip memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Table = Mapping[str, Any]
TAKEN = (
    *("kind", "native_precision", "host", "transfer", "pipelined", "alignment", "fusion", "toolchain", "operators"),
    *("vector_cost", "move_cost", "short_runs", "epilogue_cost", "rules", "attainable"),
)
"""The keys of a profile that it may leave to its kin."""
WIDENED = 1.25
"""By how much wider a price's range is than the kin's: nobody measured this device."""


def completed(own: Table, kin: Table) -> dict[str, Any]:
    """The profile with what it does not state taken from its kin.

    Raises AttributeError or TypeError for a table or figure of the wrong type.
    """
    taken = {key: kin[key] for key in TAKEN if key in kin and key not in own}
    if "attainable" in taken:
        taken["attainable"] = _attainable(own, kin)
    return {**own, **taken}


def _attainable(own: Table, kin: Table) -> dict[str, Any]:
    basis = kin["attainable"]
    name = own["inherits"]
    memory = _ratio(own, kin, "bandwidth_gb_per_s")
    scale = {
        "bandwidth_gb_per_s": memory,
        "cache_gb_per_s": memory,
        "vector_gops": _peak_ratio(own, kin),
        "cache_kib": _ratio(own, kin, "on_chip_kib"),
    }
    sets = [{key: value * scale.get(key, 1.0) for key, value in _plain(one)} | _nested(one) for one in basis["sets"]]
    return {
        "trust": "datasheet",
        "source": f"the fractions that {name} attains, its rates scaled by the nominal figures ({basis['source']})",
        "note": f"No row of this device was fitted or checked: its prices are as good as its likeness to {name}.",
        "spread": basis.get("spread", 1.0) * WIDENED,
        "sets": sets,
    }


def _plain(one: Table) -> list[tuple[str, float]]:
    return [(key, value) for key, value in one.items() if not isinstance(value, Mapping)]


def _nested(one: Table) -> dict[str, Any]:
    return {key: value for key, value in one.items() if isinstance(value, Mapping)}


def _ratio(own: Table, kin: Table, key: str) -> float:
    """The own nominal figure over the kin's; 1 where one of them is not known."""
    first, second = (table.get(key, {}).get("value") for table in (own, kin))
    return first / second if first and second else 1.0


def _peak_ratio(own: Table, kin: Table) -> float:
    """Own peak over the kin's, in fp32 where both have it (element-wise units go with it), else in the first shared."""
    mine, theirs = own.get("peak_gops", {}), kin["peak_gops"]
    for precision in ("fp32", *theirs):
        if precision in mine and precision in theirs:
            return _ratio(mine, theirs, precision)
    return 1.0
