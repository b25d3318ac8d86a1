"""What a deployer asks first: does it run, how fast, how much memory, what does it cost."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxlint.device_types import PRECISION_BITS
from onnxlint.output.profile_table import formula_text
from onnxlint.report import Report, Totals
from onnxlint.text import printable
from onnxlint.units import count, operations, percent, plural, rate, seconds, seconds_range, size

_SMALLER = 0.9
_BOUND_MEANS = {
    "compute": "computing",
    "memory": "moving data",
    "overhead": "launch overhead",
    "fallback": "falling back to the host",
    "free": "nothing",
}
_VERDICT = {
    "native": ("✓", "bold green"),
    "partitioned": ("✗", "bold red"),
    "unconvertible": ("✗", "bold red"),
    "unknown": ("?", "bold yellow"),
}


def title(report: Report) -> Text:
    """The model, the device, cores, precision and batch."""
    device = report.device
    assert device is not None
    cores = "" if device.cores == 1 else f", {device.cores} cores"
    batch = "" if report.model.batch in (None, 1) else f", batch {report.model.batch}"
    return Text.assemble(
        (printable(report.model.path), "bold"),
        " on ",
        (device.name, "bold"),
        f" ({printable(device.chip)}{cores}), {device.precision}{batch}",
    )


def verdict(report: Report) -> Iterator[RenderableType]:
    """Whether it runs whole, and why not."""
    found = report.verdict
    assert found is not None
    mark, style = _VERDICT[found.runs]
    words = {
        "native": "runs whole on the device",
        "partitioned": f"splits into {found.partitions} parts: what the device can't run goes to its host and back",
        "unconvertible": "can't be converted: the device has no host for what it can't run",
        "unknown": "may run whole: no public list says whether the device has all its operators",
    }
    yield hanging(mark, Text(words[found.runs]), style)
    for reason in found.reasons[:3]:
        yield hanging("  ·", Text(printable(reason, 300)), "dim")
    if len(found.reasons) > 3:
        yield hanging("  ·", Text(f"{plural(len(found.reasons) - 3, 'more reason')}"), "dim")
    if found.toolchain:
        yield hanging("  →", Text(printable(found.toolchain, 400)))


def problems(report: Report) -> Iterator[RenderableType]:
    """What could not be analysed."""
    for problem in report.incomplete:
        yield hanging("!", Text(f"incomplete: {printable(problem, 400)}"), "bold red")


def hanging(mark: str, text: Text, style: str = "") -> Table:
    """A line whose continuation stands under its text, not under its mark."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, style=style)
    grid.add_column(style=style, overflow="fold")
    grid.add_row(mark, text)
    return grid


def facts(report: Report, totals: Totals) -> Table:
    """Latency with its range and trust, throughput, memory, and the counts."""
    device = report.device
    assert device is not None
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    spread = seconds_range(totals.latency_low_s, totals.latency_high_s, totals.latency_s)
    grid.add_row(
        "Latency",
        Text(seconds(totals.latency_s), style="bold"),
        f"{spread} ({device.trust}); most of it {_BOUND_MEANS[totals.bound]}",
    )
    peak = f" of {operations(device.peak_gops * 1e9)}" if device.peak_gops else ""
    grid.add_row(
        "Throughput",
        f"{rate(totals.throughput_fps)} FPS",
        f"{_used(totals.utilisation, peak)}, {rate(totals.required_bandwidth_gb_per_s)} GB/s of memory traffic",
    )
    grid.add_row(
        "Memory",
        f"{size(totals.weight_bytes)} stored",
        f"weights{_executed(totals, device.precision)}; {size(totals.peak_activation_bytes)} of activations alive at "
        f"once{_room(device.memory_mib)}",
    )
    learnable = "all" if totals.learnable_params == totals.params else f"{count(totals.learnable_params)} of them"
    grid.add_row("Params", count(totals.params), f"{learnable} learnable")
    grid.add_row("MACCs", count(totals.macs), f"multiply-accumulates; {count(totals.flops)} FLOPs in all")
    per_byte = totals.flops / totals.memory_access_bytes if totals.memory_access_bytes else 0.0
    grid.add_row(
        "MAC", size(totals.memory_access_bytes), f"memory access for one pass; {rate(per_byte)} operations a byte"
    )
    return grid


def _used(utilisation: float, peak: str) -> str:
    if utilisation > 1:
        return f"more than the peak{peak}: fast 3x3 convolutions need fewer multiplications"
    return f"{percent(utilisation)}{peak} used"


def _executed(totals: Totals, precision: str) -> str:
    """What the weights take at the executed precision, where they are stored in a wider one."""
    executed = totals.params * PRECISION_BITS[precision] // 8
    return f", {size(executed)} as {precision}" if executed < _SMALLER * totals.weight_bytes else ""


def _room(memory_mib: float | None) -> str:
    return f", of {size(memory_mib * 2**20)}" if memory_mib else ""


def notes(report: Report, *, verbose: bool) -> Iterator[RenderableType]:
    """What was assumed, what stayed unknown."""
    model = report.model
    if model.assumed:
        bound = ", ".join(printable(name, 40) for name in model.assumed)
        yield hanging("assumed", Text(f"{bound} (bind them with --dim, --shape or --batch)"), "yellow")
    formula = next((found for found in model.formulas if found.metric == "macs"), None)
    if formula is not None:
        yield hanging("formula", Text(formula_text(formula)), "dim")
    if model.unknown_operators:
        names = ", ".join(f"{printable(op)} ×{n}" for op, n in model.unknown_operators.items())
        share = percent(model.unknown_node_share)
        multiply = f"; {percent(model.macs_coverage)} of the products known" if model.macs_coverage < 1 else ""
        yield hanging("unknown cost", Text(f"{names}: {share} of the nodes, not in the totals{multiply}"), "yellow")
    if model.unresolved:
        names = ", ".join(printable(name, 40) for name in model.unresolved[:3])
        more = f" and {len(model.unresolved) - 3} more" if len(model.unresolved) > 3 else ""
        yield hanging("unknown shape", Text(f"{names}{more}"), "yellow")
    for note in model.notes:
        yield hanging("note", Text(printable(note, 400)), "dim")
    if verbose and report.device is not None and report.device.note:
        yield hanging("device", Text(printable(" ".join(report.device.note.split()), 800)), "dim")
