"""Time that a device spends without computing or moving: launches, and the part of the machine that is not filled."""

from __future__ import annotations

from collections.abc import Sequence

from onnxlint.analysis import Analysis
from onnxlint.device_types import KERNEL_CLASSES


def idle_seconds(analysis: Analysis, kernels: Sequence[int]) -> float:
    """The seconds of `kernels`, given by position, that are launches or an unfilled machine; the mean of all sets."""
    machine, idle = analysis.target.machine, 0.0
    launches = machine.launch.mean(axis=1).tolist()
    for index, whole in zip(kernels, analysis.times[list(kernels)].mean(axis=1).tolist(), strict=True):
        kernel = analysis.kernels[index]
        known = analysis.graph.type_of(kernel.nodes[-1].outputs[0])
        launch = min(whole, launches[KERNEL_CLASSES.index(kernel.kernel_class)])
        idle += launch
        if machine.fill and known.is_known and analysis.bounds[index] == "compute":
            idle += (whole - launch) * max(0.0, 1 - known.elements / machine.fill)
    return idle
