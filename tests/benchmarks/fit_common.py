"""What the fitting scripts share: published rows, the engine evaluated for many parameter sets at once, TOML blocks.

A published row is one network on one device: milliseconds for one batch with what was run and who says so. `measured`
is "latency" or, for a pipelined device or several threads, "interval": the time from one result to the next; `family`
is given where the network's name does not tell it (timm's: the file that defines it). A network
is one of the zoo, a variant of this folder, or `timm:NAME`, read from a folder of exports (export_timm.py).
Every fit goes through the package's own kernels and roofline, so that what is fitted is what is later predicted.
"""

from __future__ import annotations

import csv
import os
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
import onnx  # noqa: E402
from export_timm import PREFIX, file_of  # noqa: E402
from fit_networks import VARIANTS  # noqa: E402
from zoo import build  # noqa: E402

from onnxlint.analysis import Analysis  # noqa: E402
from onnxlint.describe import ReadModel  # noqa: E402
from onnxlint.device import Device, load_device  # noqa: E402
from onnxlint.device_attainable import ParameterSet  # noqa: E402
from onnxlint.device_runtime import SmallShapes  # noqa: E402
from onnxlint.device_types import (  # noqa: E402
    KERNEL_CLASSES,
    KernelClass,
    Precision,
)
from onnxlint.engine import read_model  # noqa: E402
from onnxlint.latency import Machine  # noqa: E402
from onnxlint.loads import Load  # noqa: E402
from onnxlint.settings import Settings  # noqa: E402
from onnxlint.target import target_for  # noqa: E402

EXPORTS = Path(os.environ.get("ONNXLINT_TIMM_EXPORTS", FOLDER / "timm"))
PROFILES = FOLDER.parent.parent / "device_profiles"
BEGIN, END = "# sets: written by tests/benchmarks/{script}", "# end of sets"
Array = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Row:
    """A published time: milliseconds of a batch of `network` on `device`; `use` is fit, bound or check."""

    device: str
    network: str
    precision: Precision
    latency_ms: float
    use: str
    source: str
    notes: str
    batch: int = 1
    measured: str = "latency"
    family: str = ""


def rows(*names: str) -> list[Row]:
    """The rows of the published_*.csv of these names, in order."""
    found: list[Row] = []
    for name in names:
        with (FOLDER / f"published_{name}.csv").open(encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                numbers = {"latency_ms": float(record["latency_ms"]), "batch": int(record.get("batch") or 1)}
                found.append(Row(**{**record, **numbers}))  # type: ignore[arg-type]
    return found


@cache
def model(network: str) -> ReadModel:
    """A network of the zoo, one of this folder's variants or an export of timm's, read and with shapes."""
    if network.startswith(PREFIX):
        path = EXPORTS / file_of(network)
        if not path.exists():
            raise SystemExit(f"{path}: no such export (python tests/benchmarks/export_timm.py {EXPORTS})")
        return read_model(onnx.load(str(path), load_external_data=False), Settings())
    return read_model(VARIANTS[network]() if network in VARIANTS else build(network), Settings())


# Families that a network is left out with, by the first of these words that its name contains.
FAMILY_WORDS = {
    "resnext": "resnet", "resnet": "resnet", "mobilenet_v1": "mobilenet v1", "mobilenet_v2": "mobilenet v2",
    "mobilenet_v3": "mobilenet v3", "mobilenetv3": "mobilenet v3", "mobilenetv4": "mobilenet v4",
    "mobilenetv1": "mobilenet v1", "mobileone": "mobileone", "shufflenet": "shufflenet", "efficientnet": "efficientnet",
    "inception": "inception", "googlenet": "inception", "vgg": "vgg", "densenet": "densenet",
    "squeezenet": "squeezenet",
    "regnet": "regnet", "efficientformer": "efficientformer", "efficientvit": "vit", "repvit": "repvit",
    "fastvit": "fastvit", "swin": "vit", "vit": "vit", "deit": "vit", "clip": "vit", "convnext": "convnext",
    "edgenext": "edgenext", "fasternet": "fasternet", "ghost": "ghostnet", "resmlp": "resmlp", "yolo": "yolo",
    "dncnn": "dense pixels", "espcn": "dense pixels", "g1_": "G1", "g2_": "G2", "g3_": "G3", "g4_": "G4",
}  # fmt: skip


def family(network: str) -> str:
    """The network's family; RepVGG, FCN and SSD of MobileNet are their own, YOLO's releases three of them."""
    name = network.removeprefix(PREFIX)
    for word, found in (
        ("repvgg", "repvgg"),
        ("ssd", "ssd"),
        ("fcn", "fcn"),
        ("yolo_v1", "yolo v10, 11"),
        ("yolo_v8", "yolo v8"),
    ):
        if word in name:
            return found
    return next((found for word, found in FAMILY_WORDS.items() if word in name), name)


OPTIONAL = ("view_us", "run_us", "switch_us")  # left out of a profile where they are nothing


@cache
def pooled(rows: tuple[tuple[str, str, Precision, int], ...]) -> tuple[list[Load], Indices]:
    """The different loads of these rows' engines, and where each row's kernels are among them, row after row."""
    places: dict[Load, int] = {}
    found = [places.setdefault(load, len(places)) for row in rows for load in engine(*row).loads]
    return list(places), np.array(found)


def replaced(chosen: ParameterSet, **changes: float) -> ParameterSet:
    """A copy of a set with other figures, rounded as the profile writes them."""
    return msgspec.structs.replace(chosen, **{name: float(f"{value:.3g}") for name, value in changes.items()})


def figures(chosen: ParameterSet) -> dict[str, float]:
    """The figures that a set states, by name, dotted where they are in a table of their own."""
    found: dict[str, float] = {}
    for name, value in msgspec.structs.asdict(chosen).items():
        if name == "shapes":
            for kind, shape in value.items():
                halves = {half: size for half, size in msgspec.structs.asdict(shape).items() if size}
                found |= {f"shapes.{kind}.{half}": size for half, size in halves.items()}
        elif value is not None and (value or name not in OPTIONAL):
            found[name] = value
    return found


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
PLAIN = (
    "conv",
    "gemm",
    "attention",
    "vector_gops",
    "bandwidth_gb_per_s",
    "overhead_us",
    "cache_gb_per_s",
    "cache_kib",
    "run_us",
    "stream_gb_per_s",
    "switch_us",
)


# Sizes at which dense and grouped convolutions run at half their rate, one figure for all of these classes;
# `CLASS.half_…` and `CLASS.overhead_us` are one class's own.
HALVES = ("half_outputs", "half_depth", "half_positions")
OWN = (*HALVES, "overhead_us")
SHAPED: tuple[KernelClass, ...] = ("conv", "conv3x3", "pointwise", "grouped")


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

    def sets(self, digits: int = 3) -> list[ParameterSet]:
        """As the profile writes them, three significant digits."""
        drawn = [{name: float(values[i]) for name, values in self.figures.items()} for i in range(len(self))]
        return [self._set(one, digits) for one in drawn]

    @staticmethod
    def _set(drawn: Mapping[str, float], digits: int) -> ParameterSet:
        written = {name: drawn[name] for name in PLAIN if name in drawn}
        written |= {to: drawn["conv"] * drawn[name] for name, to in RATIOS.items() if name in drawn}
        if "vector_overhead_ratio" in drawn:
            written["vector_overhead_us"] = drawn["overhead_us"] * drawn["vector_overhead_ratio"]
        figures: dict[str, Any] = {name: float(f"{value:.{digits}g}") for name, value in written.items()}
        halves = {name: float(f"{drawn[name]:.{digits}g}") for name in HALVES if name in drawn}
        shapes = {name: SmallShapes(**halves) for name in SHAPED} if halves else {}
        for kind in KERNEL_CLASSES:
            own = {h: float(f"{drawn[f'{kind}.{h}']:.{digits}g}") for h in OWN if f"{kind}.{h}" in drawn}
            if own:
                shapes[kind] = msgspec.structs.replace(shapes.get(kind, SmallShapes()), **own)
        return ParameterSet(**figures, shapes=shapes)


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
        return times + np.array([chosen.run_us * 1e-6 for chosen in sets])

    def kernel_seconds(self, sets: Sequence[ParameterSet], machine: Machine | None = None) -> Array:
        """Seconds of each kernel that runs on the device, kernels × sets; `machine`: that of the sets, if at hand."""
        times: Array = (machine or self.machine(sets)).times(self.loads)[0]
        return times


@cache
def engine(device_name: str, network: str, precision: Precision, batch: int = 1) -> Engine:
    """The loads that the package finds; what runs on the host keeps the time that the host's profile gives it."""
    profile = device(device_name)
    analysis = Analysis(model(network).graph, target_for(profile, precision, batch))
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
