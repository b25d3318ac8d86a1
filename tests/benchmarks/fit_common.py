"""What the fitting scripts share: published rows, the engine evaluated for many parameter sets at once, TOML blocks.

A published row is one network on one device: milliseconds for one image (batch 1) with what was run and who says so.
Every fit goes through the package's own kernels and roofline, so that what is fitted is what is later predicted.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

from fit_networks import VARIANTS  # noqa: E402
from zoo import build  # noqa: E402

from onnxlint.analysis import Analysis, target_for  # noqa: E402
from onnxlint.device import KERNEL_CLASSES, Device, ParameterSet, Precision, load_device  # noqa: E402
from onnxlint.engine import ReadModel, read_model  # noqa: E402
from onnxlint.latency import Load, Machine, load_of  # noqa: E402
from onnxlint.settings import Settings  # noqa: E402

PROFILES = FOLDER.parent.parent / "device_profiles"
BEGIN, END = "# sets: written by tests/benchmarks/{script}", "# end of sets"
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Row:
    """A published time: milliseconds of `network` (batch 1) on `device`; `use` is fit, bound or check."""

    device: str
    network: str
    precision: Precision
    latency_ms: float
    use: str
    source: str
    notes: str


def rows(*names: str) -> list[Row]:
    """The rows of the published_*.csv of these names, in order."""
    found = []
    for name in names:
        with (FOLDER / f"published_{name}.csv").open(encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                found.append(Row(**{**record, "latency_ms": float(record["latency_ms"])}))  # type: ignore[arg-type]
    return found


@cache
def model(network: str) -> ReadModel:
    """A network of the zoo, or one of this folder's variants, read and with shapes."""
    proto = VARIANTS[network]() if network in VARIANTS else build(network)
    return read_model(proto, Settings())


@cache
def _device(name: str) -> Device:
    return load_device(str(PROFILES / f"{name}.toml"))


@dataclass(frozen=True)
class Parameters:
    """Candidate parameter sets, one array per figure; efficiencies as ratios to `conv` where the name says so."""

    conv: Array
    pointwise_to_conv: Array
    depthwise_to_conv: Array
    grouped_to_conv: Array
    gemm: Array
    vector_gops: Array
    bandwidth_gb_per_s: Array
    overhead_us: Array

    def __len__(self) -> int:
        return len(self.conv)

    def take(self, chosen: Sequence[int] | Array) -> Parameters:
        """The candidates at these positions (or under this mask)."""
        return Parameters(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def logs(self, names: Sequence[str]) -> Array:
        """Natural logarithms of these figures, candidates × names."""
        return np.log(np.stack([getattr(self, name) for name in names], axis=1))

    def sets(self) -> list[ParameterSet]:
        """As the profile writes them, three significant digits."""
        written = []
        for i in range(len(self)):
            conv = self.conv[i]
            written.append(
                ParameterSet(
                    conv=_round(conv),
                    pointwise=_round(conv * self.pointwise_to_conv[i]),
                    depthwise=_round(conv * self.depthwise_to_conv[i]),
                    grouped=_round(conv * self.grouped_to_conv[i]),
                    gemm=_round(self.gemm[i]),
                    vector_gops=_round(self.vector_gops[i]),
                    bandwidth_gb_per_s=_round(self.bandwidth_gb_per_s[i]),
                    overhead_us=_round(self.overhead_us[i]),
                )
            )
        return written


FIGURES = tuple(field.name for field in fields(Parameters))


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def sample(prior: Mapping[str, tuple[float, float]], count: int, rng: np.random.Generator) -> Parameters:
    """Candidates drawn log-uniformly from the box `prior`: figure → (lowest, highest)."""
    drawn = {name: np.exp(rng.uniform(np.log(low), np.log(high), count)) for name, (low, high) in prior.items()}
    return Parameters(**drawn)


@dataclass(frozen=True)
class Engine:
    """One network on one device as loads; `seconds` prices it for many parameter sets."""

    device: Device
    precision: Precision
    loads: tuple[Load, ...]
    fixed_s: float

    def seconds(self, sets: Sequence[ParameterSet]) -> Array:
        """Seconds of the whole network, one per set."""
        times: Array = self.kernel_seconds(sets).sum(axis=0) + self.fixed_s
        return times

    def kernel_seconds(self, sets: Sequence[ParameterSet]) -> Array:
        """Seconds of each kernel that runs on the device, kernels × sets."""
        attainable = msgspec.structs.replace(self.device.attainable, sets=list(sets))
        machine = Machine(msgspec.structs.replace(self.device, attainable=attainable), self.precision)
        times: Array = machine.times(self.loads)[0]
        return times


@cache
def engine(device_name: str, network: str, precision: Precision) -> Engine:
    """The loads that the package finds; what runs on the host keeps the time that the host's profile gives it."""
    device = _device(device_name)
    analysis = Analysis(model(network).graph, target_for(device, precision))
    loads = analysis.device_loads()
    return Engine(device, precision, tuple(loads), analysis.host_seconds)


def write_sets(device: str, script: str, sets: Sequence[ParameterSet]) -> None:
    """Replace the attainable sets of a profile, which stand between two marker lines, by these."""
    path = PROFILES / f"{device}.toml"
    text = path.read_text(encoding="utf-8")
    begin = BEGIN.format(script=script)
    if begin not in text or END not in text:
        raise SystemExit(f"{path.name}: no block between {begin!r} and {END!r}")
    before, rest = text.split(begin, 1)
    after = rest.split(END, 1)[1]
    block = "\n".join(_toml(chosen) for chosen in sets)
    path.write_text(f"{before}{begin}\n{block}{END}{after}", encoding="utf-8")


def _toml(chosen: ParameterSet) -> str:
    lines = [f"{name} = {value!r}" for name, value in msgspec.structs.asdict(chosen).items() if value is not None]
    return "\n".join(("[[attainable.sets]]", *lines, ""))


def spread_out(points: Array, count: int, first: Sequence[int]) -> list[int]:
    """Farthest-point selection: `first`, then again and again the point farthest from all chosen ones."""
    chosen = list(dict.fromkeys(first))
    distance = np.min([((points - points[i]) ** 2).sum(axis=1) for i in chosen], axis=0)
    while len(chosen) < min(count, len(points)):
        farthest = int(distance.argmax())
        chosen.append(farthest)
        distance = np.minimum(distance, ((points - points[farthest]) ** 2).sum(axis=1))
    return chosen
