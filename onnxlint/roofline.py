"""A device's roofline, and where each kernel of a model stands on it.

A kernel attains its FLOPs over its predicted seconds; its intensity is its FLOPs over the bytes that it moves. Times
are means over the profile's parameter sets, and so are the attainable roofs: their rates are those of the mean times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnxlint.analysis import Analysis
from onnxlint.device_types import KERNEL_CLASSES, KernelClass
from onnxlint.latency import Bound, Machine, Seconds

Reason = Literal["host", "unknown", "no arithmetic", "nothing moved", "view", "start"]
REASONS: tuple[Reason, ...] = ("host", "unknown", "no arithmetic", "nothing moved", "view", "start")


@dataclass(frozen=True, slots=True)
class Point:
    """One kernel: `roof_gops` is what its arithmetic could attain on the device, its values where they are now.

    `roof_share` is the part of that which it attains: padded channels, small shapes, launches and conversions of the
    layout take the rest.
    """

    kernel: int
    node: str
    name: str
    ops: str
    kernel_class: KernelClass
    flops: int
    bytes: int
    intensity: float
    attained_gops: float
    roof_gops: float
    roof_share: float
    bound: Bound
    latency_s: float
    share: float


@dataclass(frozen=True, slots=True)
class ClassRoof:
    """The flat roof of a class of kernels (`nominal_gops` null for element-wise arithmetic, which has no such peak).

    `ridge` is the intensity from which on its kernels wait for arithmetic instead of memory; kernels and seconds are
    those of the points.
    """

    kernel_class: KernelClass
    nominal_gops: float | None
    attainable_gops: float
    ridge: float
    kernels: int
    latency_s: float
    share: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Kernels that have no place on the roofline, and what they take."""

    reason: Reason
    kernels: int
    latency_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """The roof and the points under it, in execution order; bandwidths are null where nobody published them.

    `ridge` is the nominal one, of the attainable bandwidth where no other is known.
    """

    precision: str
    parameter_sets: int
    peak_gops: float
    bandwidth_gb_per_s: float | None
    attainable_bandwidth_gb_per_s: float
    cache_gb_per_s: float | None
    ridge: float
    classes: tuple[ClassRoof, ...]
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]


def roofline_of(analysis: Analysis) -> Roofline:
    """The roofline of the analysed device with the kernels of the analysed graph."""
    target = analysis.target
    machine, device = target.machine, target.device
    start = float(machine.run.mean()) if analysis.kernels else 0.0
    seconds = analysis.times.mean(axis=1)
    seconds[:1] -= start
    total = float(seconds.sum()) + start
    points: list[Point] = []
    out: dict[Reason, list[float]] = {"start": [start]} if start else {}
    for index in range(len(analysis.kernels)):
        spent = float(seconds[index])
        found = _point(analysis, index, spent, total)
        if isinstance(found, Point):
            points.append(found)
        else:
            out.setdefault(found, []).append(spent)
    attainable = _rate(machine.bandwidth)
    nominal = device.bandwidth_gb_per_s.value
    peak = device.peak_ops_per_s(target.precision)
    has_cache = bool((machine.cache_bytes > 0).all())
    return Roofline(
        precision=target.precision,
        parameter_sets=len(machine.overhead),
        peak_gops=peak / 1e9,
        bandwidth_gb_per_s=nominal,
        attainable_bandwidth_gb_per_s=attainable / 1e9,
        cache_gb_per_s=_rate(machine.cache_bandwidth) / 1e9 if has_cache else None,
        ridge=peak / (nominal * 1e9 if nominal is not None else attainable),
        classes=_classes(points, machine, attainable, total),
        points=tuple(points),
        left_out=tuple(_left_out(reason, out[reason], total) for reason in REASONS if reason in out),
    )


def _point(analysis: Analysis, index: int, spent: float, total: float) -> Point | Reason:
    """The kernel's place, or why it has none."""
    kernel, cost, load = analysis.kernels[index], analysis.kernel_costs[index], analysis.load(index)
    if kernel.on_host:
        return "host"
    if kernel.is_free or load is None:
        return "view"
    if not all(map(analysis.costs.is_known, kernel.nodes)):
        return "unknown"
    if not cost.flops or spent <= 0:
        return "no arithmetic"
    moved = cost.memory_access_bytes
    if not moved:
        return "nothing moved"
    machine = analysis.target.machine
    computing = 2.0 * cost.macs / machine.rate[load.class_index] + load.vector_operations / machine.vector_rate
    moving = machine.memory_seconds(np.array([load.moved_bytes]))
    least = max(float(computing.mean()), float(moving.mean()))
    first = kernel.nodes[0]
    return Point(
        kernel=index,
        node=kernel.main.key,
        name=first.name or first.key,
        ops=kernel.label,
        kernel_class=KERNEL_CLASSES[load.class_index],
        flops=cost.flops,
        bytes=moved,
        intensity=cost.flops / moved,
        attained_gops=cost.flops / spent / 1e9,
        roof_gops=cost.flops / least / 1e9,
        roof_share=least / spent,
        bound=analysis.bounds[index],
        latency_s=spent,
        share=spent / total,
    )


def _classes(points: Iterable[Point], machine: Machine, bandwidth: float, total: float) -> tuple[ClassRoof, ...]:
    """The roofs of the classes that the points are of, by time."""
    times: dict[KernelClass, list[float]] = {}
    for point in points:
        times.setdefault(point.kernel_class, []).append(point.latency_s)
    roofs = []
    for name, spent in times.items():
        index, is_vector = KERNEL_CLASSES.index(name), name == "vector"
        rate = _rate(machine.vector_rate if is_vector else machine.rate[index])
        roofs.append(
            ClassRoof(
                kernel_class=name,
                nominal_gops=None if is_vector else machine.peaks[index] / 1e9,
                attainable_gops=rate / 1e9,
                ridge=rate / bandwidth,
                kernels=len(spent),
                latency_s=sum(spent),
                share=sum(spent) / total,
            )
        )
    return tuple(sorted(roofs, key=lambda roof: -roof.latency_s))


def _left_out(reason: Reason, spent: list[float], total: float) -> LeftOut:
    return LeftOut(reason, 0 if reason == "start" else len(spent), sum(spent), sum(spent) / total if total else 0.0)


def _rate(rates: Seconds) -> float:
    """The rate of the mean time over the parameter sets: their harmonic mean."""
    return float(1 / (1 / rates).mean())
