"""The words and numbers that a profile's tables are written in."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PRECISION_BITS: dict[str, int] = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8, "int4": 4}
Trust = Literal["datasheet", "derived", "fitted", "calibrated", "assumed"]
KernelClass = Literal[
    "conv",
    "conv3x3",
    "pointwise",
    "depthwise",
    "grouped",
    "lowered",
    "gemm",
    "attention",
    "recurrent",
    "integer",
    "integer_depthwise",
    "integer_lowered",
    "integer_gemm",
    "integer_batched",
    "vector",
]
KERNEL_CLASSES: tuple[KernelClass, ...] = get_args(KernelClass)
INTEGER_CLASSES: tuple[KernelClass, ...] = tuple(name for name in KERNEL_CLASSES if name.startswith("integer"))
"""Products of 8-bit integers in a model that is executed in a wider precision otherwise."""
Positive = Annotated[float, msgspec.Meta(gt=0, lt=1e12)]
NonNegative = Annotated[float, msgspec.Meta(ge=0, lt=1e12)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a profile: an unknown key in it is an error."""
