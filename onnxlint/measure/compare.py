"""One model on this machine: what the profile predicts beside what ONNX Runtime takes, whole and per kernel."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx

from onnxlint.analysis import Analysis
from onnxlint.calibrate.clock import NOISY_SPREAD, Paired, Stopwatch, measure_pairs, reference_workload
from onnxlint.calibrate.sessions import Workload, noise_feeds, open_session, problem_of
from onnxlint.describe import ReadModel
from onnxlint.device import Device
from onnxlint.measure.join import Join, tagged
from onnxlint.measure.weights import fill_absent
from onnxlint.target import target_for

_EVENT = "_kernel_time"
_PROFILED_SECONDS, _LEAST_RUNS, _MOST_RUNS = 1.5, 5, 50
_MOST_EVENTS = 200_000
"""Of one profile, which is held in memory: a graph of very many nodes runs less often."""


class _Event(msgspec.Struct):
    """What the runtime's profile says of one thing that it did; `dur` is in microseconds."""

    name: str
    cat: str = ""
    dur: float = 0.0


@dataclass(frozen=True, slots=True)
class KernelTime:
    """One kernel: its nodes by operator, where it is, what was predicted and what was measured (seconds)."""

    kernel: int
    node: str
    label: str
    predicted_s: float
    measured_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's predicted and measured time on one device, with its kernels in execution order."""

    device: str
    threads: int
    provider: str
    predicted_s: float
    low_s: float
    high_s: float
    measured_s: float
    standard_error: float
    spread: float
    noisy: bool
    made_up_weights: int
    kernels: tuple[KernelTime, ...]
    unjoined_s: float
    notes: tuple[str, ...]


def runnable(path: str, most_made_up: int) -> tuple[onnx.ModelProto, int]:
    """The model with its weights, those that are absent made up, and how many those are; raises RuntimeProblem.

    At most so many bytes are made up.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise problem_of("can't be read", error) from None
    return tagged(model), fill_absent(model, Path(path).parent, most_bytes=most_made_up)


def measure(
    model: onnx.ModelProto, read: ReadModel, device: Device, *, threads: int, provider: str, seconds: float = 3.0
) -> Measured:
    """Predict and measure; raises RuntimeProblem where ONNX Runtime can't run the model."""
    analysis = Analysis(read.graph, target_for(device, None, read.bound.batch_factor))
    shapes = {name: tuple(known.dims) for name, known in read.bound.types.items() if known.is_known}
    paired = _paired(model, shapes, threads, provider, seconds)
    recorded = device.calibration.reference_ms * 1e-3 if device.calibration is not None else paired.reference_s
    measured = paired.seconds(recorded)
    by_node, optimized = profiled(model, shapes, threads, provider)
    share = measured / max(sum(by_node.values()), 1e-12)
    found, rest = Join(analysis, optimized).by_kernel({name: amount * share for name, amount in by_node.items()})
    middle, low, high = analysis.spread(analysis.total)
    kernels = [
        KernelTime(
            index, kernel.nodes[-1].key, kernel.label, float(analysis.times[index].mean()), found.get(index, 0.0)
        )
        for index, kernel in enumerate(analysis.kernels)
    ]
    return Measured(
        device=device.name,
        threads=threads,
        provider=provider,
        predicted_s=middle,
        low_s=low,
        high_s=high,
        measured_s=measured,
        standard_error=paired.standard_error,
        spread=paired.spread,
        noisy=paired.spread > NOISY_SPREAD,
        made_up_weights=0,
        kernels=tuple(kernels),
        unjoined_s=sum(rest.values()),
        notes=tuple(_notes(device, threads, provider, read)),
    )


def _notes(device: Device, threads: int, provider: str, read: ReadModel) -> list[str]:
    notes = list(read.incomplete)
    if device.calibration is None:
        notes.append(f"{device.name} was not calibrated on this machine: its prediction is for another one")
    elif (device.calibration.threads, device.calibration.provider) != (threads, provider):
        calibrated = device.calibration
        notes.append(f"{device.name} was calibrated with {calibrated.provider} and {calibrated.threads} threads")
    return notes


def _paired(
    model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], threads: int, provider: str, seconds: float
) -> Paired:
    session = open_session(model, threads=threads, provider=provider)
    watch = Stopwatch(cpu=threads == 1 and provider == "CPUExecutionProvider")
    workload = Workload(session, noise_feeds(session, shapes))
    return measure_pairs(workload, reference_workload(threads, provider), seconds=seconds, watch=watch)


def profiled(
    model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], threads: int, provider: str
) -> tuple[dict[str, float], Sequence[onnx.NodeProto]]:
    """Median seconds of each node that ONNX Runtime runs, by name, and the graph that it runs."""
    with tempfile.TemporaryDirectory(prefix="onnxlint") as folder:
        path = Path(folder) / "optimized.onnx"
        prefix = str(Path(folder) / "profile")
        session = open_session(
            model, threads=threads, provider=provider, profile_prefix=prefix, optimized_path=str(path)
        )
        workload = Workload(session, noise_feeds(session, shapes))
        most = max(_LEAST_RUNS, min(_MOST_RUNS, _MOST_EVENTS // max(1, len(model.graph.node))))
        start, runs = time.perf_counter(), 0
        while runs < _LEAST_RUNS or (time.perf_counter() - start < _PROFILED_SECONDS and runs < most):
            workload()
            runs += 1
        events = msgspec.json.decode(Path(session.end_profiling()).read_bytes(), type=list[_Event])
        try:
            nodes: Sequence[onnx.NodeProto] = onnx.load(str(path), load_external_data=False).graph.node
        except Exception:  # a graph beyond protobuf's 2 GB: what only it tells of stays unjoined
            nodes = ()
    return _by_node(events), nodes


def _by_node(events: Sequence[_Event]) -> dict[str, float]:
    times: dict[str, list[float]] = {}
    for event in events:
        if event.cat == "Node" and event.name.endswith(_EVENT):
            times.setdefault(event.name.removesuffix(_EVENT), []).append(event.dur * 1e-6)
    return {name: float(np.median(found)) for name, found in times.items()}
