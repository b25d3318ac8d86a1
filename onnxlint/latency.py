"""The roofline: seconds for each kernel on a device, as the larger of computing and moving, plus the launch.

    compute = 2·padded MACs / (peak · efficiency of the class) + Σ other FLOPs / vector rate
    memory  = bytes / attainable bandwidth
    time    = overhead + max(compute, memory) + weights that must be streamed / their bandwidth

Every formula is evaluated for all parameter sets of the profile at once: the estimate is their mean, its range their
extremes widened by the profile's spread. What the device can't run is timed on its host, with the transfers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from onnxlint.device import Device
from onnxlint.device_runtime import SmallShapes
from onnxlint.device_types import INTEGER_CLASSES, KERNEL_CLASSES, Precision
from onnxlint.loads import CLASS_INDEX, Load
from onnxlint.variants import cost_of

Bound = Literal["compute", "memory", "overhead", "fallback", "free"]
BOUNDS: tuple[Bound, ...] = ("compute", "memory", "overhead", "fallback", "free")
Seconds = np.ndarray[Any, np.dtype[np.float64]]
_LARGE = SmallShapes()


class Machine:
    """A device at a precision with its parameter sets as arrays over the sets."""

    def __init__(self, device: Device, precision: Precision) -> None:
        self.device, self.precision = device, precision
        sets = device.attainable.sets
        peak = device.peak_ops_per_s(precision)
        integer_peak = device.peak_ops_per_s("int8") if "int8" in device.precisions else peak
        self.peaks = [integer_peak if name in INTEGER_CLASSES else peak for name in KERNEL_CLASSES]
        self.rate = np.array(
            [[own * s.efficiency(name) for s in sets] for name, own in zip(KERNEL_CLASSES, self.peaks, strict=True)]
        )
        self.vector_rate = np.array([s.vector_gops * 1e9 for s in sets])
        self.bandwidth = np.array([s.bandwidth_gb_per_s * 1e9 for s in sets])
        self.overhead = np.array([s.overhead_us * 1e-6 for s in sets])
        self.launch = np.array([[s.launch_us(name) * 1e-6 for s in sets] for name in KERNEL_CLASSES])
        self.cache_bandwidth = np.array([(s.cache_gb_per_s or s.bandwidth_gb_per_s) * 1e9 for s in sets])
        self.cache_bytes = np.array([(s.cache_kib or 0.0) * 1024 for s in sets])
        self.run = np.array([s.run_us * 1e-6 for s in sets])
        self.stream = np.array([(s.stream_gb_per_s or s.bandwidth_gb_per_s) * 1e9 for s in sets])
        self.switch = np.array([s.switch_us * 1e-6 for s in sets])
        self.view = np.array([s.view_us * 1e-6 for s in sets])
        self.conversion_cost = cost_of(device.move_cost, "LayoutConversion")
        self.halves = {
            side: np.array([[getattr(s.shape(c) or _LARGE, f"half_{side}") for s in sets] for c in KERNEL_CLASSES])
            for side in ("outputs", "depth", "positions")
        }
        self.has_halves = any(halves.any() for halves in self.halves.values())
        self.spread = device.attainable.spread
        self.fill = device.fill_elements.value if device.fill_elements is not None else None

    def times(self, loads: Sequence[Load]) -> tuple[Seconds, list[Bound]]:
        """Seconds (kernels × sets) and what bounds each kernel."""
        if not loads:
            return np.zeros((0, len(self.overhead))), []
        operations = np.array([load.operations * load.slowdown for load in loads])[:, None]
        vector = np.array([load.vector_operations for load in loads])[:, None]
        moved = np.array([load.moved_bytes for load in loads])[:, None]
        rate = self.rate[[load.class_index for load in loads]]
        if self.fill:
            filled = np.minimum(1.0, np.array([load.out_elements for load in loads]) / self.fill)[:, None]
            rate = rate * np.maximum(filled, 1e-3)
        vector_rate: Seconds = self.vector_rate
        if self.has_halves:
            small = self._small_shapes(loads)
            # element-wise arithmetic beside multiply-accumulates is not what a small shape slows down
            rate, vector_rate = rate / small, vector_rate / np.where(operations > 0, 1.0, small)
        compute = operations / rate + vector / vector_rate
        memory = self.memory_seconds(moved)
        launches = np.array([load.launches for load in loads])[:, None]
        launch = self.launch[[load.class_index for load in loads]] * launches
        seconds = launch + np.maximum(compute, memory) + self._conversions(loads) + self._streaming(loads)
        terms = np.stack([compute.mean(axis=1), memory.mean(axis=1), launch.mean(axis=1)])
        # the launch is the bound only where it takes longer than the larger of the two others
        return seconds, [BOUNDS[index] for index in terms.argmax(axis=0)]

    def memory_seconds(self, moved: Seconds) -> Seconds:
        """What moving so many bytes takes, from the cache where they fit in."""
        seconds: Seconds = moved / np.where(moved <= self.cache_bytes, self.cache_bandwidth, self.bandwidth)
        return seconds

    def _small_shapes(self, loads: Sequence[Load]) -> Seconds:
        """By what factor each kernel is slower than a large one of its class."""
        classes = [load.class_index for load in loads]
        factor = np.ones((len(loads), len(self.overhead)))
        for side, halves in self.halves.items():
            sizes = np.array([getattr(load, side) for load in loads])[:, None]
            factor *= 1 + halves[classes] / np.maximum(sizes, 1)
        return factor

    def _streaming(self, loads: Sequence[Load]) -> Seconds | float:
        """What loading weights takes that don't stay on the chip."""
        streamed = np.array([load.streamed_bytes for load in loads])[:, None]
        switches = np.array([load.switches for load in loads])[:, None]
        if not streamed.any():
            return 0.0
        seconds: Seconds = streamed / self.stream + switches * self.switch
        return seconds

    def _conversions(self, loads: Sequence[Load]) -> Seconds | float:
        """What changing the layout takes, in kernels of its own."""
        count = np.array([load.conversions for load in loads])[:, None]
        moved = np.array([load.converted_bytes for load in loads])[:, None]
        if not moved.any():
            return 0.0
        each = moved / np.maximum(count, 1)
        bandwidth = np.where(each <= self.cache_bytes, self.cache_bandwidth, self.bandwidth)
        seconds: Seconds = count * self.launch[CLASS_INDEX["vector"]] + moved * self.conversion_cost / bandwidth
        return seconds
