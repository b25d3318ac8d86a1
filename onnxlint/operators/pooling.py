"""Pooling and resampling: FLOPs per output element, no MACs."""

from __future__ import annotations

import math

from onnxlint.operators.elementwise import POW, SQRT
from onnxlint.operators.registry import CONTRIB, NCHWC, NHWC, Call, CostFunction, Work, costs
from onnxlint.tensor import UnknownShape


def _kernel(call: Call) -> int:
    kernel = call.attr("kernel_shape")
    if not kernel:
        raise UnknownShape
    return math.prod(kernel)


@costs("MaxPool", "AveragePool")
@costs("MaxPool", "AveragePool", domain=NHWC)
@costs("MaxPool", "AveragePool", domain=NCHWC)
@costs("NhwcMaxPool", "MaxpoolWithMask", "QLinearAveragePool", domain=CONTRIB)
@costs("QLinearAveragePool", domain=NHWC)
def pool(call: Call) -> Work:
    """The kernel's size per output element."""
    return Work(other_flops=call.out_size() * _kernel(call))


def _norm_flops(call: Call) -> int:
    return {1: 2, 2: 2}.get(call.number("p", 2), POW + 1)


@costs("LpPool")
@costs("LpPool", domain=NHWC)
def lp_pool(call: Call) -> Work:
    """A power and a sum per element of the kernel, a root per output element."""
    root = {1: 0, 2: SQRT}.get(call.number("p", 2), POW)
    return Work(other_flops=call.out_size() * (_kernel(call) * _norm_flops(call) + root))


@costs("GlobalMaxPool", "GlobalAveragePool")
@costs("GlobalMaxPool", "GlobalAveragePool", domain=NHWC)
@costs("GlobalMaxPool", "GlobalAveragePool", domain=NCHWC)
@costs("QLinearGlobalAveragePool", domain=CONTRIB)
def global_pool(call: Call) -> Work:
    """One FLOP per input element."""
    return Work(other_flops=call.size(0))


@costs("GlobalLpPool")
@costs("GlobalLpPool", domain=NHWC)
def global_lp_pool(call: Call) -> Work:
    """A power and a sum per input element."""
    return Work(other_flops=call.size(0) * _norm_flops(call))


def weighted_sum(taps: int) -> int:
    """FLOPs of a sum of `taps` products; a single tap is a copy."""
    return 2 * taps - 1 if taps > 1 else 0


@costs("Resize", "Upsample")
@costs("Resize", domain=NHWC)
@costs("Upsample", domain=NCHWC)
def resize(call: Call) -> Work:
    """Per output element the weighted sum of 2 (linear) or 4 (cubic) input elements per dim that is resized.

    With antialias, the window grows with the reduction. Nearest copies. Scales, sizes and regions are not moved.
    """
    reads = dict.fromkeys(range(1, len(call.inputs)), 0)
    mode = call.text("mode", "nearest")
    dims, out = call.dims(0), call.out_dims()
    if mode == "nearest":
        return Work(reads={0: call.touched(0, call.out_size()), **reads})
    wide = 4 if mode == "cubic" else 2
    taps = 1
    for before, after in zip(dims, out, strict=True):
        if before != after:
            taps *= wide * (max(-(-before // after), 1) if call.number("antialias") else 1)
    return Work(other_flops=math.prod(out) * weighted_sum(taps), reads=reads)


@costs("GridSample")
@costs("GridSample", domain=CONTRIB)
@costs("GridSample", domain=NHWC)
def grid_sample(call: Call) -> Work:
    """Grid (N, *out, d): 2^d samples (4^d if cubic) per output element, two FLOPs to place each coordinate."""
    mode = call.text("mode", "linear")
    per_dim = {"nearest": 1, "cubic": 4, "bicubic": 4}.get(mode, 2)
    taps = per_dim ** _spatial(call.dims(1)[-1])
    return Work(
        other_flops=call.out_size() * weighted_sum(taps) + 2 * call.size(1),
        reads={0: call.touched(0, call.out_size() * taps)},
    )


def _spatial(dims: int) -> int:
    if not 0 <= dims <= 8:
        raise ValueError("a grid has at most a few coordinates")
    return dims


@costs("AffineGrid")
def affine_grid(call: Call) -> Work:
    """theta (N, d, d+1), output (N, *size, d): d products and d sums per coordinate."""
    return Work(other_flops=2 * call.out_size() * call.out_dims()[-1], reads={1: 0})


@costs("RoiAlign")
def roi_align(call: Call) -> Work:
    """Per output element sampling_ratio² bilinear samples (7 FLOPs) and their mean.

    An adaptive ratio (0) depends on the regions; it counts as 2, the choice of the common detectors.
    """
    ratio = call.number("sampling_ratio") or 2
    samples = call.out_size() * ratio * ratio
    return Work(other_flops=samples * (weighted_sum(4) + 1), reads={0: call.touched(0, 4 * samples)})


@costs("CropAndResize", domain=CONTRIB)
def crop_and_resize(call: Call) -> Work:
    """One bilinear sample per output element."""
    taps = 1 if call.text("mode") == "nearest" else 4
    reads = {0: call.touched(0, taps * call.out_size()), 3: 0}
    return Work(other_flops=call.out_size() * weighted_sum(taps), reads=reads)


@costs("MaxRoiPool")
def max_roi_pool(call: Call) -> Work:
    """X (N, C, H, W), output (regions, C, h, w): at most one comparison per region and element of the map."""
    regions, channels = call.out_dims()[:2]
    return Work(other_flops=regions * channels * math.prod(call.dims(0)[2:]))


@costs("Col2Im")
def col2im(call: Call) -> Work:
    """Each input element is added to its place."""
    return Work(other_flops=call.size(0), reads={1: 0, 2: 0})


def channel_window(per_tap: int, rest: int) -> CostFunction:
    """So many FLOPs per neighbour of a window of `size` channels, and per element."""
    return lambda call: Work(other_flops=call.size(0) * (per_tap * call.number("size", 1) + rest))


# square and add per neighbour; scale, bias, power and product per element
costs("LRN")(channel_window(2, POW + 3))
costs("LRN", domain=NHWC)(channel_window(2, POW + 3))
