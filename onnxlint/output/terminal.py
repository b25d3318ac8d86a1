"""The report in the terminal: the verdict, the prices, what to fix first, where the time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxlint.finding import SEVERITIES
from onnxlint.output.first_screen import facts, hanging, notes, problems, title, verdict
from onnxlint.output.time_spent import where_the_time_goes
from onnxlint.report import Report, ReportedFinding, Totals
from onnxlint.text import printable, shortened
from onnxlint.units import equal_to, percent, plural, seconds, seconds_range

_SEVERITY_STYLE = {"error": "bold red", "warning": "bold yellow", "info": "bold blue"}
_SAFETY = {"exact": "same outputs", "close": "close outputs", "lossy": "needs retraining", "advice": "redesign"}
_MAX_WIDTH = 120
_ALL_OF_IT = 0.999
_BUDGETS = frozenset({"BUD001", "BUD002", "BUD003", "BUD004"})
_MAX_PLACES_SHOWN = 3
_MAX_PLACES_VERBOSE = 1000
_NAME, _NAME_VERBOSE, _BESIDE_NAME = 60, 200, 20


@dataclass(frozen=True, slots=True)
class View:
    """What of the report is shown; `min_impact` is a part of the latency, 0 to 1."""

    quiet: bool = False
    verbose: bool = False
    statistics: bool = False
    min_impact: float = 0.005


def width_of(console: Console) -> int:
    """The columns of a report: sentences across a very wide screen are hard to read."""
    return min(console.width, _MAX_WIDTH)


def render(report: Report, console: Console, view: View) -> None:
    """Print one report."""
    width = width_of(console)
    for part in _parts(report, view, width):
        console.print(part, width=width, highlight=False, markup=False, emoji=False)


def _parts(report: Report, view: View, width: int) -> Iterator[RenderableType]:
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
        told: set[str] = set()
        for number, finding in enumerate(findings, 1):
            if number > 1:
                yield Text()
            yield _finding(number, finding, report.totals, view, width, told)
            told.update(finding.details)
    if not view.quiet:
        yield from where_the_time_goes(report, report.totals, width)
        yield Text()
        yield _footer(report, view)


def _finding(
    number: int, finding: ReportedFinding, totals: Totals, view: View, width: int, told: Collection[str]
) -> Group:
    """One finding; details that an earlier one has told (what the same partitions cost) are left out."""
    places = f" ×{finding.places}" if finding.places > 1 else ""
    heading = Text.assemble(
        (f"{number:>2} ", "dim"),
        (finding.severity, _SEVERITY_STYLE[finding.severity]),
        (f" {finding.rule} {finding.name}{places}", "bold"),
    )
    details = [line for line in finding.details if line not in told]
    body: list[RenderableType] = [Text(printable(finding.message, 400))]
    body += [
        hanging("·", Text(printable(line, 400)), "dim")
        for line in (details if view.verbose else details[:_MAX_PLACES_SHOWN])
    ]
    suggestion = " ".join(finding.suggestion.split())
    if suggestion:
        body.append(hanging("→", Text(printable(suggestion, 800))))
    body += _fix(finding, suggestion)
    body.append(hanging("at", Text(_places(finding, view, width)), "dim"))
    return Group(*_headed(heading, _price(finding, totals), width), Padding(Group(*body), (0, 0, 0, 3)))


def _headed(heading: Text, price: Text, width: int) -> Iterator[RenderableType]:
    """The price at the right of the heading, or below it where both do not fit on a line."""
    if heading.cell_len + 1 + price.cell_len > width:
        yield heading
        heading = Text()
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    head.add_row(heading, price)
    yield head


def _price(finding: ReportedFinding, totals: Totals) -> Text:
    if finding.saving_s is not None and finding.saving_low_s is not None and finding.saving_high_s is not None:
        if finding.saving_s <= 0:
            return Text("saves nothing here", style="dim")
        share = f" {equal_to(finding.saving_s / totals.latency_s)}" if totals.latency_s else ""
        spread = seconds_range(finding.saving_low_s, finding.saving_high_s, finding.saving_s)
        return Text.assemble((f"saves {seconds(finding.saving_s)}", "bold"), f"{share} ({spread})")
    if finding.rule in _BUDGETS:
        return Text("over budget", style="bold")
    if finding.latency_s and totals.latency_s:
        return Text(f"{seconds(finding.latency_s)} at stake {equal_to(finding.latency_s / totals.latency_s)}")
    return Text("no price", style="dim")


def _fix(finding: ReportedFinding, suggestion: str) -> Iterator[RenderableType]:
    if finding.fix is None:
        return
    title, others = finding.fix.title, [one for one in finding.alternatives if one.saving_s and one.saving_s > 0][:2]
    is_told = not others and suggestion.lower().startswith(title.lower())
    yield hanging(
        "priced", Text(f"{'as advised' if is_told else printable(title)} ({_SAFETY[finding.fix.safety]})"), "green"
    )
    for other in others:
        words = f"{printable(other.title)} ({_SAFETY[other.safety]}): saves {seconds(other.saving_s or 0.0)}"
        yield hanging("    or", Text(words), "dim")


def _places(finding: ReportedFinding, view: View, width: int) -> str:
    shown = finding.nodes[: _MAX_PLACES_VERBOSE if view.verbose else _MAX_PLACES_SHOWN]
    limit = _NAME_VERBOSE if view.verbose else max(_NAME, width - _BESIDE_NAME)
    paths = [shortened(name, limit) for name in shown]
    # what tells them apart may have stood in the middle
    names = ", ".join(paths if len(set(paths)) == len(paths) else [printable(name, limit) for name in shown])
    more = len(finding.nodes) - len(shown)
    return f"{names}, … {more} more nodes" if more else names


def _statistics(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in report.findings:
        table.add_row(str(finding.places), finding.rule, finding.name, finding.severity)
    return table


def _footer(report: Report, view: View) -> Text:
    summary = report.summary
    listed = Counter(f.severity for f in report.findings if not f.hidden and not f.in_verdict)
    counted = [plural(listed[s], s) if s != "info" else f"{listed[s]} info" for s in SEVERITIES]
    them = "it" if summary.hidden == 1 else "them"
    hidden = f"; {summary.hidden} below {percent(view.min_impact)} hidden (-v shows {them})" if summary.hidden else ""
    first = next((f.rule for f in report.findings if not f.hidden and not f.in_verdict), None)
    explain = f"; `onnxlint rule {first}` explains" if first else ""
    if report.totals is not None:
        hidden = _together(report, report.totals) + hidden
    total = listed.total()
    if not total:
        return Text(f"No findings{hidden}.", style="bold" if summary.hidden else "bold green")
    return Text(f"{plural(total, 'finding')}: {', '.join(counted)}{hidden}{explain}.", style="bold")


def _together(report: Report, totals: Totals) -> str:
    """What the findings save together, and how much of it keeps the weights; findings overlap: it is not the sum."""
    savings = [f.saving_cumulative_s for f in report.findings if not f.hidden and f.saving_cumulative_s]
    without = report.summary.saving_without_retraining_s
    if len(savings) < 2 or without is None:
        return ""
    most = max(*savings, without)
    words = f"; together they save {seconds(most)} of {seconds(totals.latency_s)}"
    if without > _ALL_OF_IT * most:
        return f"{words} without retraining"
    return f"{words}, {seconds(without) if without else 'none'} of it without retraining"
