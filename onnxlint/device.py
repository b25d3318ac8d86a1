"""A device profile: one TOML file of figures, each with its source, and the strict loader that reads it.

Field names carry their units. An unknown key, a wrong type, an absent source or a figure out of range is a
DeviceError of one line. The words of the file are explained in the docstrings here.
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
from onnxlint.device_kin import completed
from onnxlint.device_operators import Condition, Operators, RuntimeKernels
from onnxlint.device_runtime import (
    INTEGER_CLASSES,
    KERNEL_CLASSES,
    BlockedLayout,
    Calibration,
    Count,
    DirectIntegers,
    FusedGroup,
    KernelClass,
    NonNegative,
    Positive,
    SmallShapes,
    Text,
)
from onnxlint.filebytes import open_regular, read_at
from onnxlint.text import printable

__all__ = [
    "INTEGER_CLASSES",
    "KERNEL_CLASSES",
    "Condition",
    "Device",
    "DeviceError",
    "Fusion",
    "KernelClass",
    "Operators",
    "ParameterSet",
    "load_device",
]

PROFILE_PACKAGE = "onnxlint.device_profiles"
MAX_PROFILE_BYTES = 1 << 20
_RUNTIMES = ("onnxruntime-cpu",)
MAX_SPREAD = 10.0

Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8", "int4")
PRECISION_BITS: dict[str, int] = {"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8, "int4": 4}
_LIKE: dict[KernelClass, KernelClass] = {
    "integer_lowered": "integer",
    "integer_gemm": "integer",
    "integer_batched": "integer_gemm",
}
Trust = Literal["datasheet", "derived", "fitted", "calibrated", "assumed"]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Figure(_Strict, frozen=True, kw_only=True):
    """One number with where it comes from; `value` is left out where nobody published it, and `source` says so."""

    value: Positive | None = None
    trust: Trust
    source: Text


class Alignment(_Strict, frozen=True, kw_only=True):
    """Channel multiples of the multiply-accumulate array, per group.

    `internal`: the machine pads by itself and the padding costs; `cliff`: unaligned channels run `cliff_factor`
    slower. `pointwise_input_floor`: the least input channels that a 1×1 convolution is computed with. `copies`: a dense
    convolution's unaligned input or output is padded by a copy. `group_multiple`, where it is stated: a grouped
    convolution is not padded, but runs `cliff_factor` slower if its channels per group are no multiple of this.
    `shared_groups`: narrow groups fill a tile of the array together, as one dense convolution whose weights are zero
    outside the groups.
    """

    input_channels: Count = 1
    output_channels: Count = 1
    pointwise_input_floor: Count = 1
    mode: Literal["internal", "cliff"] = "internal"
    cliff_factor: Positive = 1.0
    copies: bool = False
    group_multiple: Count | None = None
    shared_groups: bool = False
    trust: Trust
    source: Text


class ParameterSet(_Strict, frozen=True, kw_only=True):
    """One set of attainable figures: per kernel class the fraction of the peak, then bandwidth and launch overhead.

    `conv3x3` are dense 3×3 convolutions of stride 1, which Winograd's algorithm serves: it spends fewer multiplications
    than the MACs counted here, so the fraction may exceed 1. `integer…` are products of 8-bit integers in a
    model that runs in a wider precision otherwise, as fractions of the int8 peak: convolutions, depthwise ones, those
    whose windows are copied out first (`integer_lowered`), products with a constant factor (`integer_gemm`) and with a
    computed one (`integer_batched`). `vector_gops` is the rate
    of element-wise arithmetic in 10⁹ operations a second, `vector_overhead_us` the launch of a kernel that has no other
    arithmetic. A class that is left out runs at `conv` (convolutions, `integer`), at `depthwise` (`integer_depthwise`),
    at `integer` (the other integer products) or at `gemm` (attention, recurrent), a launch at `overhead_us`.

    What a calibration adds: `cache_gb_per_s` is the bandwidth of a kernel whose traffic is at most `cache_kib`,
    `view_us` what a view costs that moves nothing, `run_us` what a run costs before its first kernel, `shapes` how
    classes lose speed on small shapes. On a device with a weight memory, `stream_gb_per_s` is how fast weights that it
    can't keep arrive, `switch_us` what a kernel of a network adds that doesn't fit (see WeightMemory).
    """

    conv: Positive
    conv3x3: Positive | None = None
    pointwise: Positive | None = None
    depthwise: Positive | None = None
    grouped: Positive | None = None
    lowered: Positive | None = None
    gemm: Positive
    attention: Positive | None = None
    recurrent: Positive | None = None
    integer: Positive | None = None
    integer_depthwise: Positive | None = None
    integer_lowered: Positive | None = None
    integer_gemm: Positive | None = None
    integer_batched: Positive | None = None
    vector_gops: Positive
    bandwidth_gb_per_s: Positive
    overhead_us: NonNegative
    vector_overhead_us: NonNegative | None = None
    cache_gb_per_s: Positive | None = None
    cache_kib: Positive | None = None
    view_us: NonNegative = 0.0
    run_us: NonNegative = 0.0
    stream_gb_per_s: Positive | None = None
    switch_us: NonNegative = 0.0
    shapes: dict[KernelClass, SmallShapes] = {}

    def efficiency(self, kernel_class: KernelClass) -> float:
        """The attainable fraction of the peak for a class of kernels."""
        if kernel_class == "vector":
            return 1.0
        own: float | None = getattr(self, kernel_class)
        if own is not None:
            return own
        if kernel_class == "integer_depthwise":
            return self.efficiency("depthwise")
        if kernel_class in _LIKE:
            return self.efficiency(_LIKE[kernel_class])
        return self.gemm if kernel_class in ("attention", "recurrent") else self.conv

    def launch_us(self, kernel_class: KernelClass) -> float:
        """Microseconds from one kernel of a class to the next beside computing and moving."""
        own = self.vector_overhead_us if kernel_class == "vector" else None
        shape = self.shape(kernel_class)
        if shape is not None:
            own = shape.overhead_us
        return self.overhead_us if own is None else own

    def shape(self, kernel_class: KernelClass) -> SmallShapes | None:
        """How the class loses speed on small shapes, or the class that it runs like; None where nothing is known."""
        found = self.shapes.get(kernel_class)
        return self.shape(_LIKE[kernel_class]) if found is None and kernel_class in _LIKE else found


class Attainable(_Strict, frozen=True, kw_only=True):
    """What the device attains in practice: every parameter set that agrees with what was published.

    The estimate's middle is the mean over `sets`, its range their extremes, widened by `spread` on either
    side. `fitted_on` is the number of published rows behind it (0: none).
    """

    trust: Trust
    source: Text
    note: str = ""
    fitted_on: Annotated[int, msgspec.Meta(ge=0)] = 0
    spread: Annotated[float, msgspec.Meta(ge=1, le=MAX_SPREAD)] = 1.0
    sets: Annotated[list[ParameterSet], msgspec.Meta(min_length=1, max_length=256)]


class WeightMemory(_Strict, frozen=True, kw_only=True):
    """Memory that keeps weights on the chip from one run to the next: up to `kib` of them move no more.

    What is beyond is loaded at every run, once for a batch: the weights that are left over (`reload = "rest"`), or all
    of them, because a network that doesn't fit is cut into contexts that replace each other (`reload = "all"`). The
    latter happens too where there are more than `kernels` kernels, if that is stated. Each kernel takes `kernel_kib`
    of the memory for its buffers.
    """

    kib: Positive
    kernel_kib: NonNegative = 0.0
    kernels: Positive | None = None
    reload: Literal["rest", "all"]
    trust: Trust
    source: Text

    def room_bytes(self, kernels: int) -> float:
        """Bytes of weights that it keeps beside the buffers of so many kernels."""
        return max(0.0, self.kib - self.kernel_kib * kernels) * 1024


class Transfer(_Strict, frozen=True, kw_only=True):
    """The price of leaving the device: bytes over `bandwidth_gb_per_s` per tensor, `sync_us` per hand-over."""

    bandwidth_gb_per_s: Positive
    sync_us: NonNegative
    trust: Trust
    source: Text


class Fusion(_Strict, frozen=True, kw_only=True):
    """What the device's compiler runs as one kernel.

    `epilogue`: operators taken into the convolution or Gemm before them. `residual_add`: an Add of two computed tensors
    is taken in too (by `residual_anchors` alone, where they are named). `chains`: element-wise operators that follow
    each other are one kernel. `attention`: so is softmax(q·k)·v, whose scores are not moved. `free`: operators that
    move nothing (views). `free_unchanged`: operators that are left out where their result has their input's shape;
    `free_before`: where all readers of their result are of the operators named, which take strides; `channels_last`:
    images are kept so, and a Transpose of theirs to that order or from it is a view. `drops_no_ops`: every operator
    that hands its input on unchanged is left out (a Slice of everything, a Cast to the same type, ×1), or those named
    alone (of Slice then only one without an end); not given where nobody published it. `by_operator`: an epilogue of
    its own for one operator; behind one of `closing` nothing else is taken in, one of `constant_operand` is taken in
    with a constant alone (an Add also as the one residual), and the result of one of `second_pass` is gone over once
    more, in a kernel of its own (also of a convolution with a bias: frameworks add it, or run the BatchNorm that
    exports fold into it, by itself). The weights of one of `weights_again` are brought into the runtime's layout at
    every run (`move_cost`: WeightLayout, WeightLayout.window beyond 1×1). `groups`: structures of operators that are
    one kernel. `blocked`: the layout that convolutions run in.

    `integer_forms`: the operators that run on integers between a DequantizeLinear and a QuantizeLinear; what is not
    among them runs on floats, with the two as passes of their own (not given: everything between them runs on
    integers). The result of one of `integer_to_float` need not be quantized again.
    """

    epilogue: list[str] = []
    residual_add: bool = False
    chains: bool = False
    attention: bool = False
    free: list[str] = []
    free_unchanged: list[str] = []
    free_before: dict[str, list[str]] = {}
    channels_last: bool = False
    drops_no_ops: bool | list[str] | None = None
    residual_anchors: list[str] | None = None
    by_operator: dict[str, list[str]] = {}
    closing: list[str] = []
    constant_operand: list[str] = []
    second_pass: list[str] = []
    weights_again: list[str] = []
    groups: list[FusedGroup] = []
    blocked: BlockedLayout | None = None
    integer_forms: list[str] | None = None
    integer_to_float: list[str] = []
    integer_direct: DirectIntegers | None = None
    source: Text


class RuleSetting(_Strict, frozen=True, kw_only=True):
    """What the profile says of a rule: `silent`, or another severity; never without a reason and its source."""

    silent: bool = False
    severity: Literal["error", "warning", "info"] | None = None
    reason: Text
    source: Text


class Toolchain(_Strict, frozen=True, kw_only=True):
    """What the vendor's converter reads and does; `quantizes` says who makes the integer model.

    `onnx`: it reads ONNX, of the `opsets` from the first to the last number where they are known; else `path` says
    how a model gets there.
    """

    quantizes: Literal["toolchain", "model"]
    reads: Text
    onnx: bool = True
    opsets: Annotated[list[Count], msgspec.Meta(min_length=2, max_length=2)] | None = None
    path: str = ""
    source: Text


class QuantizedForms(_Strict, frozen=True, kw_only=True):
    """The quantized models that the toolchain takes: element types, none for one that takes float models alone.

    `symmetric_…` speaks of signed types: their zero point must be 0. Activations have one scale a tensor; weights may
    have one a channel where `per_channel_weights` says so.
    """

    activations: list[str] = []
    weights: list[str] = []
    symmetric_activations: bool = False
    symmetric_weights: bool = False
    per_channel_weights: bool = True
    source: Text


class SkipsZeros(_Strict, frozen=True, kw_only=True):
    """Zeros among the weights that the hardware does not multiply by: wherever they lie, or two in each four."""

    form: Literal["none", "any", "2:4"]
    source: Text


class Device(_Strict, frozen=True, kw_only=True):
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
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(profile_names())}"
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
