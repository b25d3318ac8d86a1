"""What the user asked for, as data: which rules, what is shown, what fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from onnxlint.binding import Bindings
from onnxlint.budgets import NO_BUDGETS, Budgets
from onnxlint.device_types import Precision
from onnxlint.isolated import Limits
from onnxlint.load import DEFAULT_MAX_FILE_MB
from onnxlint.weights import Mode

FailOn = Literal["error", "warning", "info", "never"]
DEFAULT_MIN_IMPACT = 0.005


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one lint; `min_impact` is a part of the latency, 0 to 1."""

    precision: Precision | None = None
    bindings: Bindings = field(default_factory=Bindings)
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_impact: float = DEFAULT_MIN_IMPACT
    fail_on: FailOn = "warning"
    limits: Limits = field(default_factory=Limits)
    max_file_mb: int = DEFAULT_MAX_FILE_MB
    budgets: Budgets = NO_BUDGETS
    weights: Mode = "auto"
