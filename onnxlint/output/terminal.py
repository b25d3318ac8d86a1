"""The report in the terminal: the verdict, the prices, what to fix first, where the time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxlint.finding import SEVERITIES
from onnxlint.output.first_screen import facts, hanging, notes, problems, title, verdict
from onnxlint.report import Layer, Report, ReportedFinding, Totals
from onnxlint.text import printable
from onnxlint.units import count, percent, plural, seconds, seconds_range, size

_SEVERITY_STYLE = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}
_BOUND_STYLE = {"compute": "green", "memory": "magenta", "overhead": "yellow", "fallback": "red"}
_SAFETY = {"exact": "same outputs", "close": "close outputs", "lossy": "needs retraining", "advice": "redesign"}
_MAX_WIDTH = 120
_MAX_PLACES_SHOWN = 3
_MAX_PLACES_VERBOSE = 1000
_TOP_KERNELS = 5


@dataclass(frozen=True, slots=True)
class View:
    """What of the report is shown; `min_impact` is a part of the latency, 0 to 1."""

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
    findings = [one for one in report.findings if not one.in_verdict and (view.verbose or not one.hidden)]
    if not view.quiet:
        yield title(report)
        yield from verdict(report)
        yield from problems(report)
        yield Text()
        yield facts(report, report.totals)
        yield from notes(report, verbose=view.verbose)
    elif findings or report.incomplete:
        yield title(report)
        yield from problems(report)
    if findings:
        yield Text()
    if view.statistics:
        yield _statistics(report)
    else:
        for number, finding in enumerate(findings, 1):
            if number > 1:
                yield Text()
            yield from _finding(number, finding, report.totals, view)
    if not view.quiet:
        yield from _where_the_time_goes(report, report.totals)
        yield Text()
        yield _footer(report, view)


def _finding(number: int, finding: ReportedFinding, totals: Totals, view: View) -> Iterator[RenderableType]:
    places = f" ×{finding.places}" if finding.places > 1 else ""
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    heading = Text.assemble(
        (f"{number:>2} ", "dim"),
        (finding.severity, _SEVERITY_STYLE[finding.severity]),
        (f" {finding.rule} {finding.name}{places}", "bold"),
    )
    head.add_row(heading, _price(finding, totals))
    body: list[RenderableType] = [Text(printable(finding.message, 400))]
    details = finding.details if view.verbose else finding.details[:_MAX_PLACES_SHOWN]
    body += [hanging("·", Text(printable(line, 400)), "dim") for line in details]
    if finding.suggestion:
        body.append(hanging("→", Text(printable(" ".join(finding.suggestion.split()), 800))))
    body += _fix(finding)
    body.append(hanging("at", Text(_places(finding, view)), "dim"))
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


def _fix(finding: ReportedFinding) -> Iterator[RenderableType]:
    if finding.fix is None:
        return
    yield hanging("priced", Text(f"{printable(finding.fix.title)} ({_SAFETY[finding.fix.safety]})"), "green")
    for other in [one for one in finding.alternatives if one.saving_s is not None and one.saving_s > 0][:2]:
        words = f"{printable(other.title)} ({_SAFETY[other.safety]}): saves {seconds(other.saving_s or 0.0)}"
        yield hanging("    or", Text(words), "dim")


def _places(finding: ReportedFinding, view: View) -> str:
    shown = finding.nodes[: _MAX_PLACES_VERBOSE if view.verbose else _MAX_PLACES_SHOWN]
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
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for layer in layers:
        table.add_row(
            f"  {printable(layer.name or layer.node, 60)} ({printable(layer.kernel_ops, 40)})",
            f"{count(layer.macs)} MACCs" if layer.macs else size(layer.read_bytes + layer.written_bytes),
            seconds(layer.latency_s),
            percent(layer.latency_s / totals.latency_s),
            Text(layer.bound, _BOUND_STYLE.get(layer.bound, "")),
        )
    return table


def _footer(report: Report, view: View) -> Text:
    summary = report.summary
    listed = Counter(f.severity for f in report.findings if not f.hidden and not f.in_verdict)
    counted = [plural(listed[s], s) if s != "info" else f"{listed[s]} info" for s in SEVERITIES]
    them = "it" if summary.hidden == 1 else "them"
    hidden = f"; {summary.hidden} below {percent(view.min_impact)} hidden (-v shows {them})" if summary.hidden else ""
    first = next((f.rule for f in report.findings if not f.hidden and not f.in_verdict), None)
    explain = f"; `onnxlint rule {first}` explains" if first else ""
    savings = [f.saving_cumulative_s for f in report.findings if not f.hidden and f.saving_cumulative_s]
    if len(savings) > 1 and report.totals is not None:
        # findings overlap: what they save together is less than the sum
        together = f"; together they save {seconds(max(savings))} of {seconds(report.totals.latency_s)}"
        hidden = together + hidden
    total = listed.total()
    if not total:
        return Text(f"No findings{hidden}.", style="bold" if summary.hidden else "bold green")
    return Text(f"{plural(total, 'finding')}: {', '.join(counted)}{hidden}{explain}.", style="bold")
