"""Fits a profile to benchmark times, class by class: the median relative error is what is made small.

What is fitted goes through the package's own kernels and roofline, so that it is what is later predicted. The search is
the cross-entropy method: many candidates at once, seeded, no gradients, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import onnx

from onnxlint.analysis import Analysis
from onnxlint.device import Device
from onnxlint.device_attainable import ParameterSet
from onnxlint.device_runtime import SmallShapes
from onnxlint.engine import read_model
from onnxlint.graph import Graph
from onnxlint.latency import Machine
from onnxlint.loads import Load
from onnxlint.settings import Settings
from onnxlint.target import target_for

Array = np.ndarray[Any, np.dtype[np.float64]]
_CANDIDATES, _ELITE, _ROUNDS = 64, 10, 28
_SOFT = 0.02
_LEAST = 1e-3
_KEPT_BYTES = 256
_SCANS, _FINEST = 6, 0.04


@dataclass(frozen=True)
class Sample:
    """One benchmark as the package sees it, and the seconds that it took."""

    name: str
    family: str
    graph: Graph
    seconds: float


def loads_of(sample: Sample, device: Device) -> tuple[list[Load], int]:
    """The loads of a sample's kernels on a device, and the number of its views."""
    analysis = Analysis(sample.graph, target_for(device))
    return analysis.device_loads(), sum(kernel.is_free for kernel in analysis.kernels)


class Problem:
    """Samples on one device whose parameter sets are looked for; its cost tables stay as they are."""

    def __init__(self, samples: Sequence[Sample], device: Device) -> None:
        self.samples, self.device = samples, device
        found = [loads_of(sample, device) for sample in samples]
        self.loads = [load for loads, _ in found for load in loads]
        self.views = np.array([views for _, views in found])[:, None]
        self.owner = np.repeat(np.arange(len(found)), [len(loads) for loads, _ in found])
        self.seconds = np.array([sample.seconds for sample in samples])

    def predict(self, sets: Sequence[ParameterSet]) -> Array:
        """Seconds, samples × sets."""
        attainable = msgspec.structs.replace(self.device.attainable, sets=list(sets))
        machine = Machine(msgspec.structs.replace(self.device, attainable=attainable), self.device.native_precision)
        times = machine.times(self.loads)[0]
        total = np.zeros((len(self.samples), len(sets)))
        np.add.at(total, self.owner, times)
        summed: Array = total + self.views * machine.view + machine.run
        return summed

    def errors(self, sets: Sequence[ParameterSet]) -> Array:
        """Natural logarithms of predicted over measured, samples × sets."""
        errors: Array = np.log(self.predict(sets) / self.seconds[:, None])
        return errors


def loss(errors: Array) -> Array:
    """The mean absolute error, smooth at zero: an outlier weighs no more than its size."""
    found: Array = np.sqrt(errors**2 + _SOFT**2).mean(axis=0)
    return found


def changed(chosen: ParameterSet, values: Mapping[str, float]) -> ParameterSet:
    """A copy with other figures; `conv.half_depth` names one of the class's small-shape figures."""
    own = {name: value for name, value in values.items() if "." not in name}
    shapes: dict[Any, SmallShapes] = dict(chosen.shapes)
    for name, value in values.items():
        kernel_class, _, figure = name.partition(".")
        if figure:
            old = shapes.get(kernel_class, SmallShapes())
            shapes[kernel_class] = msgspec.structs.replace(old, **{figure: value if value > _LEAST else 0.0})
    return msgspec.structs.replace(chosen, shapes=shapes, **own)


def search(problem: Problem, start: ParameterSet, guesses: Mapping[str, float], seed: int = 0) -> ParameterSet:
    """The set that fits best, the figures named in `guesses` free, the others as in `start`.

    Figures are drawn around their guesses on a logarithmic scale, and again around the best of them.
    """
    names = list(guesses)
    rng = np.random.default_rng(seed)
    middle = np.log([max(guess, 2 * _LEAST) for guess in guesses.values()])
    width = np.full(len(names), 1.0)
    best, best_loss = changed(start, guesses), float("inf")
    for _ in range(_ROUNDS):
        drawn = middle + width * rng.standard_normal((_CANDIDATES, len(names)))
        drawn[0] = middle
        sets = [changed(start, dict(zip(names, map(float, np.exp(row)), strict=True))) for row in drawn]
        losses = loss(problem.errors(sets))
        order = np.argsort(losses)[:_ELITE]
        if losses[order[0]] < best_loss:
            best, best_loss = sets[order[0]], float(losses[order[0]])
        middle = drawn[order].mean(axis=0)
        width = np.maximum(drawn[order].std(axis=0) * 1.15, 1e-3)
    return best


def scan(samples: Sequence[Sample], device: Device, table: str, form: str, guess: float = 1.0) -> float:
    """The entry of a cost table (`vector_cost`, `move_cost`) for one form that fits these samples best.

    A grid on a logarithmic scale, made finer around the best of it, or moved on where that is one of its ends.
    """
    value, width = guess, 3.0
    for _ in range(_SCANS):
        candidates = value * np.exp(np.linspace(-width, width, 13))
        losses = [
            float(loss(Problem(samples, with_cost(device, table, form, float(c))).errors(device.attainable.sets))[0])
            for c in candidates
        ]
        best = int(np.argmin(losses))
        value = float(candidates[best])
        if 0 < best < len(candidates) - 1:
            width /= 4
        if width < _FINEST:
            break
    return value


def with_cost(device: Device, table: str, form: str, value: float) -> Device:
    """The device with another entry in one of its cost tables."""
    return msgspec.structs.replace(device, **{table: {**getattr(device, table), form: value}})


def graph_of(model: onnx.ModelProto) -> Graph:
    """The benchmark's graph as the package reads it: without its weights, which are left where they are."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for tensor in bare.graph.initializer:
        if len(tensor.raw_data) > _KEPT_BYTES:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    return read_model(bare, Settings()).graph
