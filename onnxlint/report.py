"""Everything about one model on one device, in the shape of JSON version 1; every output is made from this."""

from __future__ import annotations

from typing import Literal

import msgspec

from onnxlint.finding import Safety, Severity

SCHEMA_VERSION = 1
Runs = Literal["native", "partitioned", "unconvertible", "unknown"]


class Tool(msgspec.Struct, frozen=True):
    """The program that made the report."""

    name: str
    version: str


class ValueInfo(msgspec.Struct, frozen=True):
    """An input or output: its name, element type and dims (null where unknown)."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The model as read: what it is, what was assumed of it, what stayed unknown.

    `macs_coverage` is the known part of the nodes that multiply (convolutions, products, attention, recurrences).
    `formulas` is filled on the command line where dims were assumed.
    """

    path: str
    sha256: str | None = None
    ir_version: int = 0
    opsets: dict[str, int] = {}
    inputs: tuple[ValueInfo, ...] = ()
    outputs: tuple[ValueInfo, ...] = ()
    nodes: int = 0
    compute_nodes: int = 0
    batch: int | None = None
    assumed: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    unknown_operators: dict[str, int] = {}
    unknown_node_share: float = 0.0
    macs_coverage: float = 1.0
    formulas: tuple[FormulaInfo, ...] = ()
    notes: tuple[str, ...] = ()


class FormulaTerm(msgspec.Struct, frozen=True, kw_only=True):
    """One summand: `exact` is the coefficient as an integer or a fraction, `powers` those of the free dims."""

    coefficient: float
    exact: str
    powers: dict[str, int] = {}


class FormulaInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A total (`macs`, `flops`, `memory_access_bytes`) as a polynomial in the dims that the model leaves free.

    It holds where each dim of `multiple_of` is such a multiple, and with the dims of `held` at these sizes.
    """

    metric: str
    terms: tuple[FormulaTerm, ...]
    multiple_of: dict[str, int] = {}
    held: dict[str, int] = {}


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The device as priced: which chip, how many cores, what is executed and how far to trust it."""

    name: str
    chip: str
    precision: str
    trust: str
    cores: int = 1
    peak_gops: float | None = None
    memory_mib: float | None = None
    note: str = ""
    source: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """Whether the device runs the model whole; `partitions` counts the stretches on device and host.

    `toolchain` says what has to be done before the vendor's converter reads the model; empty where nothing has.
    """

    runs: Runs
    partitions: int
    reasons: tuple[str, ...]
    toolchain: str = ""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the model, for the whole batch; seconds with their range."""

    params: int
    learnable_params: int
    macs: int
    flops: int
    weight_bytes: int
    memory_access_bytes: int
    peak_activation_bytes: int
    latency_s: float
    latency_low_s: float
    latency_high_s: float
    interval_s: float
    throughput_fps: float
    utilisation: float
    required_bandwidth_gb_per_s: float
    bound: str


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One run-time node. Bytes, seconds and bound are its kernel's, given at the kernel's first node (0 at others).

    `alone_bytes` is what the node would move as a kernel of its own (only where asked for, else 0); `is_known` is false
    where the node, or one in its bodies, has no known cost.
    """

    node: str
    name: str
    op: str
    kernel: int
    kernel_ops: str
    macs: int
    flops: int
    params: int
    read_bytes: int
    written_bytes: int
    latency_s: float
    bound: str
    on_host: bool
    output: str
    alone_bytes: int = 0
    is_known: bool = True


class FixInfo(msgspec.Struct, frozen=True):
    """The change that was priced: its title, how far it keeps the outputs, whether it was applied."""

    title: str
    safety: Safety
    applied: bool = False


class Alternative(msgspec.Struct, frozen=True):
    """Another change for the same finding, with its own saving."""

    title: str
    safety: Safety
    saving_s: float | None


class ReportedFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A priced finding. `latency_s` is what is at stake; `saving_s` null where the change can't be priced."""

    rule: str
    name: str
    severity: Severity
    message: str
    suggestion: str
    node: str
    nodes: tuple[str, ...]
    places: int
    hidden: bool
    latency_s: float
    saving_s: float | None
    saving_low_s: float | None
    saving_high_s: float | None
    saving_cumulative_s: float | None
    fix: FixInfo | None
    alternatives: tuple[Alternative, ...] = ()
    details: tuple[str, ...] = ()
    suppressed: str | None = None
    fingerprint: str = ""
    in_verdict: bool = False


class Summary(msgspec.Struct, frozen=True):
    """Findings by severity; hidden ones are below `--min-impact` and counted only there.

    `saving_without_retraining_s` is what the changes that keep the outputs save together; null where it was not found.
    """

    error: int = 0
    warning: int = 0
    info: int = 0
    suppressed: int = 0
    hidden: int = 0
    fixable: int = 0
    saving_without_retraining_s: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """JSON version 1: fields are added, never changed. `error` says why a model could not be read."""

    schema_version: int = SCHEMA_VERSION
    tool: Tool
    model: ModelInfo
    device: DeviceInfo | None
    verdict: Verdict | None
    totals: Totals | None
    layers: tuple[Layer, ...] = ()
    findings: tuple[ReportedFinding, ...] = ()
    summary: Summary = Summary()
    incomplete: tuple[str, ...] = ()
    error: str | None = None
    exit_code: int = 0
