"""Measures in a child process with limits: ONNX Runtime may crash on a stranger's model, or never come back."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import asdict, replace

import msgspec

from onnxlint.calibrate.sessions import OutOfMemory, RuntimeProblem
from onnxlint.describe import ReadModel
from onnxlint.device import Device
from onnxlint.isolated import ChildDied, Limits, call
from onnxlint.measure.compare import KernelTime, Measured, measure, runnable
from onnxlint.report import Totals
from onnxlint.text import printable

_LEAST_MIB, _MOST_FOR_ACTIVATIONS_MIB, _STACK_MIB = 512, 1024, 16
_MOST_MADE_UP_MIB = 512
_NODES_A_MIB, _MOST_FOR_NODES_MIB = 16, 1024
_BOUNDS = " (--timeout and --max-memory-mb set its bounds)"
_COPIES = 4
_UNBOUNDED_MIB = 1 << 24
_LEAST_S, _MOST_S, _S_PER_NODE = 20.0, 600.0, 0.02
_RUNS, _SLOW_MACS_PER_S, _SLOW_BYTES_PER_S = 12, 5e8, 5e8
"""The runs that are made of the slowest model, and what a slow core does with a model that it dislikes."""


class _Outcome(msgspec.Struct):
    """What the child sends: a measurement, or why there is none."""

    found: Measured | None
    problem: str = ""


def measure_apart(
    path: str,
    read: ReadModel,
    device: Device,
    held: Totals,
    *,
    threads: int,
    provider: str,
    seconds: float,
    timeout_s: float | None,
    memory_mb: int | None,
) -> Measured:
    """Measure the model at `path` in a child; raises RuntimeProblem where it can't be run, crashes or takes too long.

    Without bounds asked for it may have half a gigabyte, four times what the weights take, as much for activations and
    nodes as they may need up to a gigabyte each, and never more than three quarters of the machine. Half a gigabyte of
    absent weights is made up. It may take twenty seconds, and what the nodes and a dozen slow runs need up to ten
    minutes.
    """
    most_made_up = (memory_mb or _MOST_MADE_UP_MIB) << 20
    if memory_mb is None:
        is_cpu = provider == "CPUExecutionProvider"
        memory_mb = _default_mib(held, len(read.graph.nodes), threads) if is_cpu else _UNBOUNDED_MIB
    if timeout_s is None:
        timeout_s = _default_s(held, len(read.graph.nodes), seconds)

    def run() -> bytes:
        tempfile.tempdir = scratch  # where the parent cleans up, whatever becomes of us
        try:
            model, made_up = runnable(path, most_made_up)
            found = measure(model, read, device, threads=threads, provider=provider, seconds=seconds)
            outcome = _Outcome(_sendable(replace(found, made_up_weights=made_up)))
        except RuntimeProblem as error:
            outcome = _Outcome(None, printable(str(error), 400) + _BOUNDS * isinstance(error, OutOfMemory))
        return msgspec.msgpack.encode(outcome)

    own = Limits(timeout_s, memory_mb, math.inf)
    with tempfile.TemporaryDirectory(prefix="onnxlint") as scratch:
        try:
            outcome = msgspec.msgpack.decode(call(run, own), type=_Outcome)
        except ChildDied as died:
            raise RuntimeProblem(f"ONNX Runtime {died}{_BOUNDS}") from None
        except msgspec.MsgspecError:
            raise RuntimeProblem("ONNX Runtime gave no result that can be read") from None
    if outcome.found is None:
        raise RuntimeProblem(outcome.problem)
    return outcome.found


def _default_s(held: Totals, nodes: int, seconds: float) -> float:
    """By what the model holds, on a slow core."""
    run_s = held.macs / _SLOW_MACS_PER_S + held.memory_access_bytes / _SLOW_BYTES_PER_S
    return min(max(_MOST_S, 4 * seconds), _LEAST_S + 4 * seconds + _S_PER_NODE * nodes + _RUNS * run_s)


def _default_mib(held: Totals, nodes: int, threads: int) -> int:
    """By what the model holds: weights are read, packed and kept, activations (priced narrower) live in arenas."""
    weights = _COPIES * held.weight_bytes >> 20
    activations = min(_MOST_FOR_ACTIVATIONS_MIB, _COPIES * _COPIES * held.peak_activation_bytes >> 20)
    graph = min(_MOST_FOR_NODES_MIB, nodes // _NODES_A_MIB)
    return min(_LEAST_MIB + graph + weights + activations + _STACK_MIB * threads, _machine_mib() * 3 // 4)


def _machine_mib() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (AttributeError, ValueError, OSError):
        return _UNBOUNDED_MIB


def _sendable(found: Measured) -> Measured:
    """Names without what no encoding carries."""
    kernels = (
        KernelTime(**{**asdict(k), "node": printable(k.node), "label": printable(k.label)}) for k in found.kernels
    )
    return replace(found, kernels=tuple(kernels), notes=tuple(printable(note, 500) for note in found.notes))
