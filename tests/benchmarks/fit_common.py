"""What the fitting scripts share: published rows, the engine evaluated for many parameter sets at once, TOML blocks.

A published row is one network on one device: milliseconds for one image (batch 1) with what was run and who says so.
Every fit goes through the package's own kernels and roofline, so that what is fitted is what is later predicted.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

import msgspec  # noqa: E402
import numpy as np  # noqa: E402
from fit_networks import VARIANTS  # noqa: E402
from zoo import build  # noqa: E402

from onnxlint.analysis import Analysis, target_for  # noqa: E402
from onnxlint.describe import ReadModel  # noqa: E402
from onnxlint.device import Device, ParameterSet, Precision, load_device  # noqa: E402
from onnxlint.engine import read_model  # noqa: E402
from onnxlint.latency import Load, Machine  # noqa: E402
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
    found: list[Row] = []
    for name in names:
        with (FOLDER / f"published_{name}.csv").open(encoding="utf-8", newline="") as file:
            records = csv.DictReader(file)
            found.extend(Row(**{**record, "latency_ms": float(record["latency_ms"])}) for record in records)  # type: ignore[arg-type]
    return found


@cache
def model(network: str) -> ReadModel:
    """A network of the zoo, or one of this folder's variants, read and with shapes."""
    proto = VARIANTS[network]() if network in VARIANTS else build(network)
    return read_model(proto, Settings())


def replaced(chosen: ParameterSet, **changes: float) -> ParameterSet:
    """A copy of a set with other figures, rounded as the profile writes them."""
    return msgspec.structs.replace(chosen, **{name: float(f"{value:.3g}") for name, value in changes.items()})


def figures(chosen: ParameterSet) -> dict[str, float]:
    """The figures that a set states, by name."""
    return {name: value for name, value in msgspec.structs.asdict(chosen).items() if value is not None}


@cache
def device(name: str) -> Device:
    return load_device(str(PROFILES / f"{name}.toml"))


# Efficiencies of convolutions are drawn as ratios to `conv`; the launch of element-wise kernels as one to a launch.
RATIOS = {
    "conv3x3_to_conv": "conv3x3",
    "pointwise_to_conv": "pointwise",
    "depthwise_to_conv": "depthwise",
    "grouped_to_conv": "grouped",
}
PLAIN = ("conv", "gemm", "attention", "vector_gops", "bandwidth_gb_per_s", "overhead_us")


@dataclass(frozen=True)
class Parameters:
    """Candidate parameter sets: figure (a name of PLAIN, RATIOS or `vector_overhead_ratio`) → one value per set."""

    figures: dict[str, Array]

    def __len__(self) -> int:
        return len(self.figures["conv"])

    def take(self, chosen: Sequence[int] | np.ndarray[Any, np.dtype[Any]]) -> Parameters:
        """The candidates at these positions (or under this mask)."""
        return Parameters({name: values[chosen] for name, values in self.figures.items()})

    def logs(self, names: Sequence[str]) -> Array:
        """Natural logarithms of these figures, candidates × names."""
        return np.log(np.stack([self.figures[name] for name in names], axis=1))

    def sets(self) -> list[ParameterSet]:
        """As the profile writes them, three significant digits."""
        return [self._set({name: float(values[i]) for name, values in self.figures.items()}) for i in range(len(self))]

    @staticmethod
    def _set(drawn: Mapping[str, float]) -> ParameterSet:
        written = {name: drawn[name] for name in PLAIN if name in drawn}
        written |= {to: drawn["conv"] * drawn[name] for name, to in RATIOS.items() if name in drawn}
        if "vector_overhead_ratio" in drawn:
            written["vector_overhead_us"] = drawn["overhead_us"] * drawn["vector_overhead_ratio"]
        return ParameterSet(**{name: float(f"{value:.3g}") for name, value in written.items()})


def sample(prior: Mapping[str, tuple[float, float]], count: int, rng: np.random.Generator) -> Parameters:
    """Candidates drawn log-uniformly from the box `prior`: figure → (lowest, highest)."""
    return Parameters(
        {name: np.exp(rng.uniform(np.log(low), np.log(high), count)) for name, (low, high) in prior.items()}
    )


@dataclass(frozen=True)
class Engine:
    """One network on one device as loads; `seconds` prices it for many parameter sets."""

    device: Device
    precision: Precision
    loads: tuple[Load, ...]
    fixed_s: float

    def machine(self, sets: Sequence[ParameterSet]) -> Machine:
        """The device with these parameter sets instead of its own."""
        attainable = msgspec.structs.replace(self.device.attainable, sets=list(sets))
        return Machine(msgspec.structs.replace(self.device, attainable=attainable), self.precision)

    def seconds(self, sets: Sequence[ParameterSet], machine: Machine | None = None) -> Array:
        """Seconds of the whole network, one per set."""
        times: Array = self.kernel_seconds(sets, machine).sum(axis=0) + self.fixed_s
        return times

    def kernel_seconds(self, sets: Sequence[ParameterSet], machine: Machine | None = None) -> Array:
        """Seconds of each kernel that runs on the device, kernels × sets; `machine`: that of the sets, if at hand."""
        times: Array = (machine or self.machine(sets)).times(self.loads)[0]
        return times


@cache
def engine(device_name: str, network: str, precision: Precision) -> Engine:
    """The loads that the package finds; what runs on the host keeps the time that the host's profile gives it."""
    profile = device(device_name)
    analysis = Analysis(model(network).graph, target_for(profile, precision))
    return Engine(profile, precision, tuple(analysis.device_loads()), analysis.host_seconds)


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
    lines = [f"{name} = {value!r}" for name, value in figures(chosen).items()]
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
