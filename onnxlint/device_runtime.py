"""What a runtime adds to a device's profile, as data: the groups it fuses, its blocked layout, a calibration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from onnxlint.device_types import Count, NonNegative, Positive, Strict, Text


class SmallShapes(Strict, frozen=True, kw_only=True):
    """How a class of kernels loses speed on small shapes: the sizes at which it runs at half its rate.

    `half_outputs`: output channels (columns of a product) per group; `half_depth`: elements summed up for one output;
    `half_positions`: output pixels (rows of a product). The rate is divided by (1 + half/size) for each; 0: no loss.
    `overhead_us`: the class's own launch.
    """

    half_outputs: NonNegative = 0.0
    half_depth: NonNegative = 0.0
    half_positions: NonNegative = 0.0
    overhead_us: NonNegative | None = None


class FusedGroup(Strict, frozen=True, kw_only=True):
    """Operators, in execution order, that the runtime runs as one kernel when they compute one value of one input.

    `rank`: only for values of so many dims.
    """

    name: Text
    ops: Annotated[list[str], msgspec.Meta(min_length=2, max_length=32)]
    rank: Count | None = None


class BlockedLayout(Strict, frozen=True, kw_only=True):
    """A layout in blocks of channels that the runtime's convolutions need, and what converting to and from it takes.

    `anchors` always want it, `followers` keep it where all their inputs have it. A dense convolution takes it if its
    input channels are a multiple of `input_multiple` (or fewer than `block`: those it reads as they are), a grouped
    one if its channels per group are one of `block`, a depthwise one by `input_multiple`. What can't runs as class
    `lowered`, a convolution lowered to matrix products. `transposes`: converting also brings channels last or second: a
    Transpose that does so where a value leaves or enters the layout is none.
    """

    block: Count
    input_multiple: Count = 1
    anchors: list[str]
    followers: list[str] = []
    transposes: bool = False
    source: Text


class DirectIntegers(Strict, frozen=True, kw_only=True):
    """Which convolutions of integers the runtime computes from where their input lies.

    Dense ones whose input channels are a multiple of `input_multiple` and whose output channels are at least
    `least_outputs`, and depthwise ones. What can't has its windows copied out first (class `integer_lowered`).
    """

    input_multiple: Count = 1
    least_outputs: Count = 1
    source: Text


class Calibration(Strict, frozen=True, kw_only=True):
    """Where and how a calibrated profile was measured.

    `reference_ms` is what the reference workload took, to which every time is a ratio; `spread` the median deviation
    of the paired ratios; `fit_error` the median error on the benchmarks themselves, of which `left_out` were not run:
    the budget was spent, or the provider lacks their operators. `in_networks` is how much longer kernels take in whole
    networks, which all figures of the profile include; `held_out_error` the median error on
    `held_out` networks, each with the factor that the others give.
    """

    machine: Text
    runtime: Text
    provider: Text
    threads: Count
    date: Text
    reference_ms: Positive
    spread: NonNegative
    noisy: bool
    benchmarks: Count
    left_out: Annotated[int, msgspec.Meta(ge=0)] = 0
    fit_error: NonNegative
    in_networks: Positive = 1.0
    held_out: Annotated[int, msgspec.Meta(ge=0)] = 0
    held_out_error: NonNegative | None = None
