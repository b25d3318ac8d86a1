"""The rows of the per-layer table: layers by node, kernel, operator or module, and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onnxlint.report import Layer, Report

SORTS = {"time": "latency_s", "macs": "macs", "params": "params", "bytes": "bytes"}


@dataclass(frozen=True, slots=True)
class ProfileView:
    """What is shown of a profile: rows `by` what, in which order, how many, modules how deep, and in which format."""

    by: str = "kernel"
    sort: str = "order"
    top: int | None = None
    depth: int | None = None
    output_format: str = "table"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; bytes and seconds are sums over its kernels, `intensity` is FLOPs per byte.

    `alone_bytes` is what the nodes would move as kernels of their own (by node only).
    """

    name: str
    op: str
    nodes: int
    output: str
    params: int
    macs: int
    flops: int
    bytes: int
    alone_bytes: int
    intensity: float | None
    latency_s: float
    share: float
    bound: str
    unknown: int


def rows_of(report: Report, by: str, sort: str, depth: int | None = None) -> list[Row]:
    """The report's layers as rows, in execution order or by a column, the largest first."""
    if by == "module" and not any(module_of(layer.name or layer.node) for layer in report.layers):
        by = "kernel"  # the names tell of no modules
    groups: dict[str, list[Layer]] = {}
    for layer in report.layers:
        groups.setdefault(_group(layer, by, depth), []).append(layer)
    total = report.totals.latency_s if report.totals is not None else 0.0
    rows = [_row(name, layers, by, total) for name, layers in groups.items()]
    if sort in SORTS:
        rows.sort(key=lambda row: -getattr(row, SORTS[sort]))
    return rows


def total_of(rows: Iterable[Row], name: str = "total") -> Row:
    """The sum of some rows."""
    rows = list(rows)
    flops, moved = sum(row.flops for row in rows), sum(row.bytes for row in rows)
    return Row(
        name=name,
        op="",
        nodes=sum(row.nodes for row in rows),
        output="",
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        flops=flops,
        bytes=moved,
        alone_bytes=sum(row.alone_bytes for row in rows),
        intensity=flops / moved if moved else None,
        latency_s=sum(row.latency_s for row in rows),
        share=sum(row.share for row in rows),
        bound="",
        unknown=sum(row.unknown for row in rows),
    )


def module_of(name: str, depth: int | None = None) -> str:
    """The module that an exported name belongs to, at most `depth` scopes deep; "" for what has no scope.

    A scope that repeats the one before it is folded: `/stage2/stage2.0/branch2/branch2.0/Conv` is `stage2.0/branch2.0`.
    """
    folded: list[str] = []
    for scope in name.strip("/").split("/")[:-1]:
        if folded and (scope.startswith(f"{folded[-1]}.") or scope == folded[-1]):
            folded[-1] = scope
        elif scope:
            folded.append(scope)
    return "/".join(folded[:depth])


def _bound(layers: Sequence[Layer]) -> str:
    """What bounds the kernels that begin here; `fused` where all run within a kernel that begins elsewhere."""
    bounds = {layer.bound for layer in layers if layer.latency_s}
    if bounds:
        return bounds.pop() if len(bounds) == 1 else "mixed"
    return "free" if all(layer.bound == "free" for layer in layers) else "fused"


def _group(layer: Layer, by: str, depth: int | None) -> str:
    if by == "node":
        return layer.node
    if by == "kernel":
        return str(layer.kernel)
    if by == "op":
        return layer.op
    return module_of(layer.name or layer.node, depth)


def _row(name: str, layers: Sequence[Layer], by: str, total_s: float) -> Row:
    first = layers[0]
    spent = sum(layer.latency_s for layer in layers)
    moved = sum(layer.read_bytes + layer.written_bytes for layer in layers)
    flops = sum(layer.flops for layer in layers)
    if by in ("node", "kernel"):
        name = first.name or first.node
    elif by == "module":
        name = name or "(no module)"
    return Row(
        name=name,
        op=first.op if by == "node" else first.kernel_ops if by == "kernel" else "",
        nodes=len(layers),
        output=layers[-1].output,
        params=sum(layer.params for layer in layers),
        macs=sum(layer.macs for layer in layers),
        flops=flops,
        bytes=moved,
        alone_bytes=sum(layer.alone_bytes for layer in layers),
        intensity=flops / moved if moved else None,
        latency_s=spent,
        share=spent / total_s if total_s else 0.0,
        bound=_bound(layers),
        unknown=sum(not layer.is_known for layer in layers),
    )
