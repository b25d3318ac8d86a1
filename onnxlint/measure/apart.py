"""Measures in a child process with limits: ONNX Runtime may crash on a stranger's model, or never come back."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import asdict, replace

import msgspec

from onnxlint.analysis import Analysis, target_for
from onnxlint.calibrate.sessions import RuntimeProblem
from onnxlint.describe import ReadModel, totals
from onnxlint.device import Device
from onnxlint.isolated import ChildDied, Limits, call
from onnxlint.measure.compare import KernelTime, Measured, measure, runnable
from onnxlint.text import printable

_LEAST_MIB, _MOST_FOR_ACTIVATIONS_MIB, _STACK_MIB = 1024, 4096, 16
_COPIES = 4
_UNBOUNDED_MIB = 1 << 24


class _Outcome(msgspec.Struct):
    """What the child sends: a measurement, or why there is none."""

    found: Measured | None
    problem: str = ""


def measure_apart(
    path: str, read: ReadModel, device: Device, *, threads: int, provider: str, seconds: float, limits: Limits
) -> Measured:
    """Measure the model at `path` in a child; raises RuntimeProblem where it can't be run, crashes or takes too long.

    Without a bound asked for, the child may have a gigabyte, four times what the weights take, as much for activations
    as they may need up to 4 GiB, and never more than three quarters of the machine.
    """
    is_cpu = provider == "CPUExecutionProvider"
    memory_mb = limits.memory_mb or (_default_mib(read, device, threads) if is_cpu else _UNBOUNDED_MIB)

    def run() -> bytes:
        tempfile.tempdir = scratch  # where the parent cleans up, whatever becomes of us
        try:
            model, made_up = runnable(path)
            found = measure(model, read, device, threads=threads, provider=provider, seconds=seconds)
            outcome = _Outcome(_sendable(replace(found, made_up_weights=made_up)))
        except RuntimeProblem as error:
            outcome = _Outcome(None, printable(str(error), 400))
        return msgspec.msgpack.encode(outcome)

    own = Limits(limits.timeout_s, memory_mb, math.inf)
    with tempfile.TemporaryDirectory(prefix="onnxlint") as scratch:
        try:
            outcome = msgspec.msgpack.decode(call(run, own), type=_Outcome)
        except ChildDied as died:
            raise RuntimeProblem(f"ONNX Runtime {died} (--timeout and --max-memory-mb set its bounds)") from None
        except msgspec.MsgspecError:
            raise RuntimeProblem("ONNX Runtime gave no result that can be read") from None
    if outcome.found is None:
        raise RuntimeProblem(outcome.problem)
    return outcome.found


def _default_mib(read: ReadModel, device: Device, threads: int) -> int:
    """By what the model holds: weights are read, packed and kept, activations (priced narrower) live in arenas."""
    held = totals(Analysis(read.graph, target_for(device)))
    weights = _COPIES * held.weight_bytes >> 20
    activations = min(_MOST_FOR_ACTIVATIONS_MIB, _COPIES * _COPIES * held.peak_activation_bytes >> 20)
    return min(_LEAST_MIB + weights + activations + _STACK_MIB * threads, _machine_mib() * 3 // 4)


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
