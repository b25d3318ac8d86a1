"""What a rule reports: one place (or one fault in many places), and the changes that would help, as data."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from onnxlint.tensor import TensorType

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
Safety = Literal["exact", "close", "lossy", "advice"]
SAFETIES: tuple[Safety, ...] = ("exact", "close", "lossy", "advice")


class Remove(msgspec.Struct, frozen=True):
    """Take the node of that key out of the graph."""

    node: str


class Insert(msgspec.Struct, frozen=True):
    """Add a node; `outputs` are new values or those of a removed node."""

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[tuple[str, Any], ...] = ()
    domain: str = ""


class Reconnect(msgspec.Struct, frozen=True):
    """Let everything that reads `value`, the graph's outputs included, read `to` instead."""

    value: str
    to: str


class Declare(msgspec.Struct, frozen=True):
    """State the type of a new value, or another type for an old one; `is_weight` for a new stored tensor."""

    value: str
    type: TensorType
    is_weight: bool = False


class Reorder(msgspec.Struct, frozen=True):
    """Run the nodes of these keys in this order, as far as data flow allows it; what is not named stands before."""

    nodes: tuple[str, ...]


Edit = Remove | Insert | Reconnect | Declare | Reorder


class Fix(msgspec.Struct, frozen=True):
    """One way to mend a finding. `exact` keeps the outputs up to rounding, `close` within a stated tolerance.

    `lossy` needs retraining, `advice` is another architecture: both are priced, never applied.
    """

    title: str
    safety: Safety
    edits: tuple[Edit, ...]


class Finding(msgspec.Struct, frozen=True):
    """One fault as a rule states it, unpriced.

    `nodes` are the keys of all nodes at fault, `places` how often the fault occurs, `fixes` the alternatives that
    the engine prices. `severity` overrides the rule's own where the place decides it (and is then final). `in_verdict`:
    it is told in the verdict instead of among the findings. `at_stake_s`: the seconds at stake, where they are not
    those of the nodes' kernels.
    """

    message: str
    suggestion: str
    nodes: tuple[str, ...]
    places: int = 1
    fixes: tuple[Fix, ...] = ()
    severity: Severity | None = None
    details: tuple[str, ...] = ()
    in_verdict: bool = False
    at_stake_s: float | None = None
