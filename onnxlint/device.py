"""A device profile: one TOML file of figures, each with its source, and the strict loader that reads it.

Field names carry their units. An unknown key, a wrong type, an absent source or a figure out of range is a
DeviceError of one line. The words of the file are explained in the docstrings here and in
`device_tables`, `device_attainable`, `device_operators` and `device_runtime`.
"""

from __future__ import annotations

import os
import stat
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from onnxlint import toml
from onnxlint.device_attainable import Attainable
from onnxlint.device_kin import completed
from onnxlint.device_operators import Operators, RuntimeKernels
from onnxlint.device_runtime import Calibration
from onnxlint.device_tables import (
    Alignment,
    Figure,
    Fusion,
    QuantizedForms,
    RuleSetting,
    SkipsZeros,
    Toolchain,
    Transfer,
    WeightMemory,
)
from onnxlint.device_types import PRECISIONS, Count, NonNegative, Positive, Precision, Strict, Text
from onnxlint.filebytes import open_regular, read_at
from onnxlint.text import printable

PROFILE_PACKAGE = "onnxlint.device_profiles"
MAX_PROFILE_BYTES = 1 << 20
_RUNTIMES = ("onnxruntime-cpu",)


class Device(Strict, frozen=True, kw_only=True):
    """One device at one clock and core count, with its toolchain. Peaks count two operations a MAC.

    `inherits` names a built-in profile of the same class: what is not stated here is taken from it, attainable figures
    scaled by the nominal ones (see `device_kin`).
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
    chip: Text
    inherits: str | None = None
    kind: Literal["cpu", "gpu", "npu", "dsp", "generic"]
    aliases: list[str] = []
    notes: list[str] = []
    cores: Count = 1
    cores_note: str = ""
    native_precision: Precision
    pipelined: bool = False
    host: str | None = None
    peak_gops: dict[Precision, Figure]
    bandwidth_gb_per_s: Figure
    on_chip_kib: Figure | None = None
    weight_memory: WeightMemory | None = None
    memory_mib: Figure | None = None
    fill_elements: Figure | None = None
    alignment: Alignment
    attainable: Attainable
    transfer: Transfer | None = None
    fusion: Fusion
    toolchain: Toolchain
    quantized: QuantizedForms | None = None
    skips_zeros: SkipsZeros | None = None
    operators: Operators
    vector_cost: dict[str, Positive] = {}
    move_cost: dict[str, Positive] = {}
    short_runs: dict[str, NonNegative] = {}
    epilogue_cost: Positive = 1.0
    calibration: Calibration | None = None
    rules: dict[str, RuleSetting] = {}

    @property
    def trust(self) -> str:
        """`fitted on 2 rows`, `datasheet`, … as it is shown beside every millisecond."""
        basis = self.attainable
        return f"{basis.trust} on {basis.fitted_on} rows" if basis.fitted_on else basis.trust

    def peak_ops_per_s(self, precision: Precision) -> float:
        """Nominal operations a second at `precision`; raises DeviceError for one that the device lacks."""
        figure = self.peak_gops.get(precision)
        if figure is None or figure.value is None:
            raise DeviceError(f"{self.name} has no {precision} (it has {', '.join(self.precisions)})")
        return figure.value * 1e9

    @property
    def precisions(self) -> list[Precision]:
        """The precisions that the profile has a peak for."""
        return [p for p in PRECISIONS if p in self.peak_gops and self.peak_gops[p].value is not None]


class DeviceError(Exception):
    """A profile that does not exist, can't be read or lacks what was asked of it."""


@cache
def profile_names() -> tuple[str, ...]:
    """The names of all built-in profiles."""
    files = resources.files(PROFILE_PACKAGE).iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_device(name_or_path: str) -> Device:
    """The profile of that name or alias (any case), or the one in a TOML file; raises DeviceError."""
    if name_or_path.endswith(".toml") or os.sep in name_or_path:
        return _from_file(Path(name_or_path))
    wanted = name_or_path.lower()
    if wanted in profile_names():
        return _built_in(wanted)
    for name in profile_names():
        if wanted in (alias.lower() for alias in _built_in(name).aliases):
            return _built_in(name)
    import difflib

    known = [alias for name in profile_names() for alias in (name, *_built_in(name).aliases)]
    # of a short name half is much: `x4` may be `x3` or `x5`
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5 if len(wanted) < 4 else 0.6)
    near = near[:1] if len(wanted) > 3 else near
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(profile_names())}"
    raise DeviceError(f"unknown device {printable(name_or_path)!r} ({hint})")


@cache
def _built_in(name: str) -> Device:
    return parse_device(_source_of(name), f"{name}.toml")


def _source_of(name: str) -> bytes:
    return resources.files(PROFILE_PACKAGE).joinpath(f"{name}.toml").read_bytes()


def _from_file(path: Path) -> Device:
    said = f"device profile {printable(str(path))!r}"
    try:
        descriptor = open_regular(os.fspath(path))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DeviceError(f"{said}: no regular file")
            if status.st_size > MAX_PROFILE_BYTES:
                raise DeviceError(f"{said}: larger than {MAX_PROFILE_BYTES >> 20} MiB")
            return parse_device(read_at(descriptor, 0, status.st_size), str(path))
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise DeviceError(f"{said}: no such file") from None
    except (OSError, ValueError) as error:
        raise DeviceError(f"{said}: {printable(getattr(error, 'strerror', None) or str(error))}") from None


def parse_device(source: bytes, name: str) -> Device:
    """The profile written in `source`; raises DeviceError that names the key at fault."""
    try:
        table = toml.loads(source)
        kin = table.get("inherits")
        device = msgspec.convert(table if kin is None else _completed(table, kin, name), Device)
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise DeviceError(f"device profile {printable(name)!r}: {printable(str(error))}") from None
    if device.native_precision not in device.precisions:
        raise DeviceError(f"device profile {printable(name)!r}: no peak for its native precision")
    runtime = device.operators.runtime
    if runtime is None:
        return device
    if runtime not in _RUNTIMES:
        raise DeviceError(
            f"device profile {printable(name)!r}: no kernels of {printable(runtime)!r} are known "
            f"(known: {', '.join(_RUNTIMES)})"
        )
    return msgspec.structs.replace(device, operators=runtime_kernels(runtime).merged(device.operators))


@cache
def runtime_kernels(name: str) -> RuntimeKernels:
    """The list of a runtime's own kernels."""
    file = resources.files(PROFILE_PACKAGE).joinpath("operators", f"{name}.toml")
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), RuntimeKernels)


def _completed(table: dict[str, Any], kin: object, name: str) -> dict[str, Any]:
    """The profile with what it does not state taken from the built-in one that it names."""
    if not isinstance(kin, str) or kin not in profile_names():
        wanted = printable(repr(kin))
        raise DeviceError(f"device profile {printable(name)!r}: inherits {wanted}, which is no built-in profile")
    basis = tomllib.loads(_source_of(kin).decode())
    if "inherits" in basis:
        raise DeviceError(f"device profile {printable(name)!r}: {kin} inherits itself (name {basis['inherits']!r})")
    try:
        return completed(table, basis)
    except (AttributeError, TypeError):
        return table  # a figure of the wrong type, which is named when the table is read
