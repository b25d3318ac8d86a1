"""The report in the terminal: the verdict, the prices, what to fix first, where the time goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxlint.output.units import count, percent, plural, seconds, seconds_range, size
from onnxlint.report import Layer, Report, ReportedFinding, Totals
from onnxlint.text import printable

_SEVERITY_STYLE = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}
_BOUND_STYLE = {"compute": "green", "memory": "magenta", "overhead": "yellow", "fallback": "red"}
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
_MAX_WIDTH = 120
_MAX_PLACES_SHOWN = 3
_TOP_KERNELS = 5


@dataclass(frozen=True, slots=True)
class View:
    """What of the report is shown."""

    quiet: bool = False
    verbose: bool = False
    statistics: bool = False
    min_impact: float = 0.005


def render(report: Report, console: Console, view: View) -> None:
    """Print one report."""
    width = min(console.width, _MAX_WIDTH)
    for part in _parts(report, view):
        console.print(part, width=width, highlight=False, markup=False, emoji=False)


def _parts(report: Report, view: View) -> Iterator[RenderableType]:
    if report.totals is None or report.verdict is None or report.device is None:
        return
    if not view.quiet:
        yield _title(report)
        yield from _verdict(report)
        yield Text()
        yield _facts(report, report.totals)
        yield from _notes(report, view)
    findings = [finding for finding in report.findings if view.verbose or not finding.hidden]
    if findings:
        yield Text()
    if view.statistics:
        yield _statistics(report)
    else:
        for number, finding in enumerate(findings, 1):
            yield from _finding(number, finding, report.totals, view)
    if not view.quiet:
        yield from _where_the_time_goes(report, report.totals)
        yield Text()
        yield _footer(report, view)


def _title(report: Report) -> Text:
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


def _verdict(report: Report) -> Iterator[Text]:
    verdict = report.verdict
    assert verdict is not None
    mark, style = _VERDICT[verdict.runs]
    words = {
        "native": "runs whole on the device",
        "partitioned": f"splits into {verdict.partitions} parts: what the device can't run goes to its host and back",
        "unconvertible": "can't be converted: the device has no host for what it can't run",
        "unknown": "may run whole: no public list says whether the device has all its operators",
    }
    yield Text.assemble((f"{mark} {words[verdict.runs]}", style))
    for reason in verdict.reasons[:3]:
        yield Text(f"  · {printable(reason)}", style="dim")
    if len(verdict.reasons) > 3:
        yield Text(f"  · {len(verdict.reasons) - 3} more reasons", style="dim")
    for problem in report.incomplete:
        yield Text(f"! incomplete: {printable(problem)}", style="bold red")


def _facts(report: Report, totals: Totals) -> Table:
    device = report.device
    assert device is not None
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    spread = seconds_range(totals.latency_low_s, totals.latency_high_s)
    grid.add_row(
        "Latency",
        Text(seconds(totals.latency_s), style="bold"),
        f"{spread} ({device.trust}); most of it {_BOUND_MEANS[totals.bound]}",
    )
    peak = f" of {device.peak_gops / 1e3:g} TOPS" if device.peak_gops else ""
    grid.add_row(
        "Throughput",
        f"{totals.throughput_fps:.3g} FPS",
        f"{percent(totals.utilisation)}{peak} used, {totals.required_bandwidth_gb_per_s:.2g} GB/s of memory traffic",
    )
    grid.add_row(
        "Memory",
        f"{size(totals.weight_bytes)} stored",
        f"weights; {size(totals.peak_activation_bytes)} of activations alive at once",
    )
    grid.add_row("Params", count(totals.params), f"{count(totals.learnable_params)} of them learnable")
    grid.add_row("MACCs", count(totals.macs), f"multiply-accumulates; {count(totals.flops)}FLOPs in all")
    per_byte = totals.flops / totals.memory_access_bytes if totals.memory_access_bytes else 0.0
    grid.add_row(
        "MAC", size(totals.memory_access_bytes), f"memory access for one pass; {per_byte:.3g} operations a byte"
    )
    return grid


def _notes(report: Report, view: View) -> Iterator[Text]:
    model = report.model
    if model.assumed:
        yield Text(f"  assumed: {', '.join(model.assumed)} (bind them with --dim, --shape or --batch)", style="yellow")
    if model.unknown_operators:
        names = ", ".join(f"{printable(op)} ×{n}" for op, n in model.unknown_operators.items())
        share = percent(model.unknown_node_share)
        yield Text(f"  cost unknown, not in the totals: {names} ({share} of the nodes)", style="yellow")
    if model.unresolved:
        names = ", ".join(printable(name, 40) for name in model.unresolved[:3])
        more = f" and {len(model.unresolved) - 3} more" if len(model.unresolved) > 3 else ""
        yield Text(f"  shape unknown: {names}{more}", style="yellow")
    for note in model.notes:
        yield Text(f"  note: {printable(note)}", style="dim")
    if view.verbose and report.device is not None and report.device.note:
        yield Text(f"  device: {printable(report.device.note, 400)}", style="dim")


def _finding(number: int, finding: ReportedFinding, totals: Totals, view: View) -> Iterator[RenderableType]:
    places = f" ×{finding.places}" if finding.places > 1 else ""
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    title = Text.assemble(
        (f"{number:>2} ", "dim"),
        (finding.severity, _SEVERITY_STYLE[finding.severity]),
        (f" {finding.rule} {finding.name}{places}", "bold"),
    )
    head.add_row(title, _price(finding, totals))
    body = [Text(printable(finding.message, 400))]
    body += [Text(printable(line, 400), style="dim") for line in finding.details[: None if view.verbose else 3]]
    if finding.suggestion:
        lines = finding.suggestion.split("\n")[:3]
        body += [
            Text.assemble(("→ " if index == 0 else "  ", "green"), printable(line, 400))
            for index, line in enumerate(lines)
        ]
    if finding.fix is not None:
        body.append(_fix(finding))
    body.append(Text(f"at {_places(finding, view)}", style="dim", overflow="fold"))
    yield Group(head, Padding(Group(*body), (0, 0, 0, 3)))


def _price(finding: ReportedFinding, totals: Totals) -> Text:
    if finding.saving_s is not None and finding.saving_low_s is not None and finding.saving_high_s is not None:
        if finding.saving_s <= 0:
            return Text("saves nothing here", style="dim")
        share = percent(finding.saving_s / totals.latency_s) if totals.latency_s else ""
        spread = seconds_range(finding.saving_low_s, finding.saving_high_s)
        return Text.assemble((f"saves {seconds(finding.saving_s)}", "bold"), f" = {share} ({spread})")
    if finding.latency_s and totals.latency_s:
        return Text(f"{seconds(finding.latency_s)} at stake = {percent(finding.latency_s / totals.latency_s)}")
    return Text("no price", style="dim")


def _fix(finding: ReportedFinding) -> Text:
    fix = finding.fix
    assert fix is not None
    words = {"exact": "same outputs", "close": "close outputs", "lossy": "needs retraining", "advice": "redesign"}
    line = Text.assemble(("priced: ", "dim"), f"{printable(fix.title)} ", (f"[{words[fix.safety]}]", "dim"))
    for other in finding.alternatives[:2]:
        if other.saving_s is None:
            continue
        gain = f"saves {seconds(other.saving_s)}" if other.saving_s > 0 else f"costs {seconds(-other.saving_s)}"
        line.append(f"\n   or: {printable(other.title)} [{words[other.safety]}], {gain}", style="dim")
    return line


def _places(finding: ReportedFinding, view: View) -> str:
    shown = finding.nodes if view.verbose else finding.nodes[:_MAX_PLACES_SHOWN]
    names = ", ".join(printable(name, 60) for name in shown)
    more = len(finding.nodes) - len(shown)
    return f"{names}, … {more} more nodes" if more else names


def _statistics(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in report.findings:
        table.add_row(str(finding.places), finding.rule, finding.name, finding.severity)
    return table


def _where_the_time_goes(report: Report, totals: Totals) -> Iterator[RenderableType]:
    if not totals.latency_s:
        return
    by_op: dict[str, float] = {}
    mains = [layer for layer in report.layers if layer.latency_s]
    for layer in mains:
        name = "on the host" if layer.on_host else layer.kernel_ops.split("+")[0]
        by_op[name] = by_op.get(name, 0.0) + layer.latency_s
    yield Text()
    yield Text("Where the time goes", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    ranked = sorted(by_op.items(), key=lambda entry: -entry[1])
    for name, spent in ranked[:_TOP_KERNELS]:
        share = spent / totals.latency_s
        table.add_row(f"  {printable(name, 30)}", seconds(spent), percent(share), Text("█" * round(share * 30), "cyan"))
    yield table
    yield Text("Dearest kernels", style="bold")
    yield _dearest(sorted(mains, key=lambda layer: -layer.latency_s)[:_TOP_KERNELS], totals)


def _dearest(layers: Sequence[Layer], totals: Totals) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for layer in layers:
        table.add_row(
            f"  {printable(layer.name or layer.node, 60)} ({printable(layer.kernel_ops, 40)})",
            f"{count(layer.macs)}MACCs" if layer.macs else size(layer.read_bytes + layer.written_bytes),
            seconds(layer.latency_s),
            percent(layer.latency_s / totals.latency_s),
            Text(layer.bound, _BOUND_STYLE.get(layer.bound, "")),
        )
    return table


def _footer(report: Report, view: View) -> Text:
    summary = report.summary
    counted = [plural(getattr(summary, s), s) if s != "info" else f"{summary.info} info" for s in _SEVERITY_STYLE]
    hidden = f"; {summary.hidden} below {percent(view.min_impact)} hidden (-v shows them)" if summary.hidden else ""
    first = next((f.rule for f in report.findings if not f.hidden), None)
    explain = f"; `onnxlint rule {first}` explains" if first else ""
    total = summary.error + summary.warning + summary.info
    if not total and not summary.hidden:
        return Text("No findings.", style="bold green")
    return Text(f"{plural(total, 'finding')}: {', '.join(counted)}{hidden}{explain}.", style="bold")
