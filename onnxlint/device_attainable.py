"""What a device attains in practice, as fractions of its nominal figures and rates of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec

from onnxlint.device_runtime import SmallShapes
from onnxlint.device_types import KernelClass, NonNegative, Positive, Strict, Text, Trust

MAX_SPREAD = 10.0
_LIKE: dict[KernelClass, KernelClass] = {
    "integer_lowered": "integer",
    "integer_gemm": "integer",
    "integer_batched": "integer_gemm",
}


class ParameterSet(Strict, frozen=True, kw_only=True):
    """One set of attainable figures: per kernel class the fraction of the peak, then bandwidth and launch overhead.

    `conv3x3` are dense 3×3 convolutions of stride 1, which Winograd's algorithm serves: it spends fewer multiplications
    than the MACs counted here, so the fraction may exceed 1. `integer…` are products of 8-bit integers in a
    model that runs in a wider precision otherwise, as fractions of the int8 peak: convolutions, depthwise ones, those
    whose windows are copied out first (`integer_lowered`), products with a constant factor (`integer_gemm`) and with a
    computed one (`integer_batched`). `vector_gops` is the rate
    of element-wise arithmetic in 10⁹ operations a second, `vector_overhead_us` the launch of a kernel that has no other
    arithmetic. A class that is left out runs at `conv` (convolutions, `integer`), at `depthwise` (`integer_depthwise`),
    at `integer` (the other integer products) or at `gemm` (attention, recurrent), a launch at `overhead_us`.

    What a calibration adds: `cache_gb_per_s` is the bandwidth of a kernel whose traffic is at most `cache_kib`,
    `view_us` what a view costs that moves nothing, `run_us` what a run costs before its first kernel, `shapes` how
    classes lose speed on small shapes. On a device with a weight memory, `stream_gb_per_s` is how fast weights that it
    can't keep arrive, `switch_us` what a kernel of a network adds that doesn't fit (see WeightMemory).
    """

    conv: Positive
    conv3x3: Positive | None = None
    pointwise: Positive | None = None
    depthwise: Positive | None = None
    grouped: Positive | None = None
    lowered: Positive | None = None
    gemm: Positive
    attention: Positive | None = None
    recurrent: Positive | None = None
    integer: Positive | None = None
    integer_depthwise: Positive | None = None
    integer_lowered: Positive | None = None
    integer_gemm: Positive | None = None
    integer_batched: Positive | None = None
    vector_gops: Positive
    bandwidth_gb_per_s: Positive
    overhead_us: NonNegative
    vector_overhead_us: NonNegative | None = None
    cache_gb_per_s: Positive | None = None
    cache_kib: Positive | None = None
    view_us: NonNegative = 0.0
    run_us: NonNegative = 0.0
    stream_gb_per_s: Positive | None = None
    switch_us: NonNegative = 0.0
    shapes: dict[KernelClass, SmallShapes] = {}

    def efficiency(self, kernel_class: KernelClass) -> float:
        """The attainable fraction of the peak for a class of kernels."""
        if kernel_class == "vector":
            return 1.0
        own: float | None = getattr(self, kernel_class)
        if own is not None:
            return own
        if kernel_class == "integer_depthwise":
            return self.efficiency("depthwise")
        if kernel_class in _LIKE:
            return self.efficiency(_LIKE[kernel_class])
        return self.gemm if kernel_class in ("attention", "recurrent") else self.conv

    def launch_us(self, kernel_class: KernelClass) -> float:
        """Microseconds from one kernel of a class to the next beside computing and moving."""
        own = self.vector_overhead_us if kernel_class == "vector" else None
        shape = self.shape(kernel_class)
        if shape is not None:
            own = shape.overhead_us
        return self.overhead_us if own is None else own

    def shape(self, kernel_class: KernelClass) -> SmallShapes | None:
        """How the class loses speed on small shapes, or the class that it runs like; None where nothing is known."""
        found = self.shapes.get(kernel_class)
        return self.shape(_LIKE[kernel_class]) if found is None and kernel_class in _LIKE else found


class Attainable(Strict, frozen=True, kw_only=True):
    """What the device attains in practice: every parameter set that agrees with what was published.

    The estimate's middle is the mean over `sets`, its range their extremes, widened by `spread` on either
    side. `fitted_on` is the number of published rows behind it (0: none).
    """

    trust: Trust
    source: Text
    note: str = ""
    fitted_on: Annotated[int, msgspec.Meta(ge=0)] = 0
    spread: Annotated[float, msgspec.Meta(ge=1, le=MAX_SPREAD)] = 1.0
    sets: Annotated[list[ParameterSet], msgspec.Meta(min_length=1, max_length=256)]
