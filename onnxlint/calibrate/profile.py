"""Writes what was learnt as a profile: one TOML file that a person can read and the strict loader accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from onnxlint.calibrate.fit import Problem, Sample
from onnxlint.calibrate.fusions import fusion, fusion_table
from onnxlint.calibrate.machine import second_level_kib
from onnxlint.calibrate.partial import Circumstances
from onnxlint.device import Device
from onnxlint.device_attainable import MAX_SPREAD, Attainable, ParameterSet
from onnxlint.device_operators import Operators
from onnxlint.device_runtime import Calibration
from onnxlint.device_tables import Alignment, Figure, Toolchain, WeightMemory
from onnxlint.device_types import INTEGER_CLASSES, Precision

_START = ParameterSet(
    conv=0.9,
    pointwise=0.9,
    depthwise=0.4,
    grouped=0.6,
    lowered=0.5,
    gemm=0.9,
    recurrent=0.3,
    integer=0.8,
    integer_depthwise=0.1,
    integer_lowered=0.3,
    integer_gemm=0.5,
    integer_batched=0.2,
    vector_gops=20.0,
    bandwidth_gb_per_s=12.0,
    stream_gb_per_s=12.0,
    overhead_us=3.0,
    vector_overhead_us=3.0,
    view_us=0.5,
    run_us=30.0,
)
_VECTOR_SHARE = 0.2
_EPILOGUE_COST = 0.05
_LEAST_SPREAD = 1.05


def starting_device(
    name: str, where: Circumstances, block: int, peak_gops: float, integer_peak_gops: float | None = None
) -> Device:
    """A device of this machine before anything is fitted; the peaks are the best rates that a benchmark attained.

    `integer_peak_gops`: that of products of bytes, None where none could be run.
    """
    threads = f"{where.threads} {'thread' if where.threads == 1 else 'threads'}"
    source = f"{where.runtime}, {where.provider}, {threads}"
    peaks: dict[Precision, Figure] = {
        precision: Figure(value=rate, trust="calibrated", source=f"best rate of a benchmark; {source}")
        for precision, rate in _rates(peak_gops, integer_peak_gops)
    }
    start = msgspec.structs.replace(_START, vector_gops=max(1.0, _VECTOR_SHARE * peak_gops))
    memory = None
    if where.provider == "CPUExecutionProvider":
        memory = WeightMemory(
            kib=float(second_level_kib() * where.threads),
            reload="rest",
            trust="assumed",
            source=f"second-level caches of {threads}: weights beyond them come anew at each run",
        )
    else:
        start = msgspec.structs.replace(start, stream_gb_per_s=None)
    if integer_peak_gops is None:
        start = msgspec.structs.replace(start, **dict.fromkeys(INTEGER_CLASSES))
    return Device(
        name=name,
        chip=where.machine,
        kind="cpu" if where.provider == "CPUExecutionProvider" else "gpu",
        cores=where.threads,
        cores_note=f"{threads} within an operator",
        native_precision="fp32",
        peak_gops=peaks,
        bandwidth_gb_per_s=Figure(value=start.bandwidth_gb_per_s, trust="calibrated", source=source),
        weight_memory=memory,
        alignment=Alignment(output_channels=block, trust="calibrated", source="the block of the runtime's layout"),
        attainable=Attainable(trust="calibrated", source=source, sets=[start]),
        fusion=fusion(block),
        toolchain=Toolchain(quantizes="model", reads="ONNX through ONNX Runtime", source=source),
        operators=Operators(
            default="supported",
            runtime="onnxruntime-cpu" if where.provider == "CPUExecutionProvider" else None,
            source="ONNX Runtime runs what it loads",
        ),
        epilogue_cost=_EPILOGUE_COST,
    )


def _rates(peak_gops: float, integer_peak_gops: float | None) -> Iterator[tuple[Precision, float]]:
    yield "fp32", peak_gops
    if integer_peak_gops is not None:
        yield "int8", integer_peak_gops


def best_rate_gops(samples: Sequence[Sample], macs: Mapping[str, int]) -> float:
    """The highest rate of multiply-accumulates, in 10⁹ operations a second, that any sample ran at."""
    return max((2 * macs[s.name] / s.seconds / 1e9 for s in samples if macs.get(s.name)), default=1.0)


def errors(samples: Sequence[Sample], device: Device) -> list[float]:
    """Predicted over measured, less one, for each sample."""
    if not samples:
        return []
    found: list[float] = (np.exp(Problem(samples, device).errors(device.attainable.sets)[:, 0]) - 1).tolist()
    return found


def to_toml(device: Device, calibration: Calibration, held_out: Mapping[str, float]) -> str:
    """The profile's text."""
    parameters = device.attainable.sets[0]
    plain = {n: v for n, v in msgspec.structs.asdict(parameters).items() if n != "shapes" and v is not None}
    percent = 100 * (calibration.held_out_error or calibration.fit_error)
    spread = min(MAX_SPREAD, max(_LEAST_SPREAD, 1 + 2 * percent / 100))
    note = (
        f"median error {percent:.1f} % on {calibration.held_out} networks, each left out of what is fitted: "
        + ", ".join(f"{name} {100 * error:+.0f} %" for name, error in held_out.items())
    )
    noise = (
        " The machine was busy meanwhile (a noisy run): calibrate again when it is idle." if calibration.noisy else ""
    )
    lines = [
        f"# written by: onnxlint calibrate ({calibration.date})",
        *_table("", name=device.name, chip=device.chip, kind=device.kind, cores=device.cores),
        *_table(
            "", cores_note=device.cores_note, native_precision=device.native_precision, epilogue_cost=_EPILOGUE_COST
        ),
        *_table("calibration", **msgspec.structs.asdict(calibration)),
    ]
    for precision, peak in device.peak_gops.items():
        lines += _table(f"peak_gops.{precision}", value=peak.value, trust="calibrated", source=peak.source)
    bandwidth = device.bandwidth_gb_per_s
    lines += _table(
        "bandwidth_gb_per_s", value=parameters.bandwidth_gb_per_s, trust="calibrated", source=bandwidth.source
    )
    if device.weight_memory is not None:
        lines += _table("weight_memory", **msgspec.structs.asdict(device.weight_memory))
    lines += _table("alignment", **msgspec.structs.asdict(device.alignment))
    source = f"{calibration.benchmarks} micro-benchmarks, each a ratio to a reference run beside it; {bandwidth.source}"
    lines += _table("attainable", trust="calibrated", source=source, note=note + "." + noise, spread=spread)
    lines += _table("[attainable.sets]", **plain)
    for name, shape in parameters.shapes.items():
        lines += _table(f"attainable.sets.shapes.{name}", **msgspec.structs.asdict(shape))
    lines += _table("vector_cost", **device.vector_cost)
    lines += _table("move_cost", **device.move_cost)
    lines += _table("short_runs", **device.short_runs)
    lines += [fusion_table(device.alignment.output_channels).strip(), ""]
    lines += _table("toolchain", **msgspec.structs.asdict(device.toolchain))
    operators = device.operators
    lines += _table("operators", default=operators.default, runtime=operators.runtime, source=operators.source)
    return "\n".join(lines)


def _table(title: str, **values: object) -> list[str]:
    """The lines of one table, a title in brackets of its own being a list's; numbers keep three significant digits."""
    lines = [f"[{title}]"] if title else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None]
    return [*lines, ""]


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(f"{value:.3g}"))
    if isinstance(value, int):
        return str(value)
    return msgspec.json.encode(str(value)).decode()
