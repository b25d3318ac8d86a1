"""A network of the zoo and its published counts, which its builder is tested against.

Parameters count gamma and beta of every BatchNorm (build with `fold_batchnorm=False` to see them); a multiply-
accumulate is one multiplication with its addition, of convolutions and matrix products alone.  A count that a paper
rounds carries the rounding as tolerance; where a reference implementation gives the exact number (parameters by
summing its tensors, multiply-accumulates by counting its convolutions and matrix products), that number is kept with
tolerance zero, and the note says what the paper prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class Network:
    """A builder, its published counts, where they come from, and how far off they may be (a relative difference)."""

    build: Callable[..., onnx.ModelProto]
    params: int
    macs: int
    source: str
    params_tolerance: float = 0.0
    macs_tolerance: float = 0.0
    note: str = ""
