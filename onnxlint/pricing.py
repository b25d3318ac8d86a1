"""What each finding is worth: the graph priced with and without the change, in the order to mend them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from onnxlint.analysis import Analysis
from onnxlint.finding import SAFETIES, SEVERITIES, Finding, Fix, Insert, Remove, Severity
from onnxlint.latency import Seconds
from onnxlint.report import Alternative, FixInfo, ReportedFinding
from onnxlint.rule import Context, LoadedRule
from onnxlint.settings import Settings
from onnxlint.tensor import UnknownShape
from onnxlint.timelimit import TimeUp, is_up
from onnxlint.whatif import EditError, saving, tried

MAX_FINDINGS = 1000
"""Findings of one rule: a fault that repeats is one finding with many places."""

WARNING_SHARE = 0.02
"""A warning that saves less than this part of the latency, at the low end of its range, is an info."""

KEEPING_OUTPUTS_IS_WORTH = 0.5
"""A fix that keeps the outputs stands first if it saves at least this part of what the best lossy one saves."""


def priced_findings(context: Context, rules: Sequence[LoadedRule], settings: Settings) -> Priced:
    """All findings by price, what they save without retraining, and the rules that failed."""
    analysis = context.analysis
    priced: list[_Priced] = []
    problems: list[str] = []
    for index, rule in enumerate(rules):
        setting = analysis.target.device.rules.get(rule.code)
        if setting is not None and setting.silent:
            continue
        override = setting.severity if setting is not None else None
        before = len(priced)
        try:
            found = islice(rule.check(context), MAX_FINDINGS + 1)
            priced.extend(_price(analysis, rule, _checked(finding), override) for finding in found)
            if len(priced) - before > MAX_FINDINGS:
                del priced[before + MAX_FINDINGS :]
                problems.append(f"rule {rule.code} has more than {MAX_FINDINGS} findings: the others are left out")
        except (Exception, SystemExit) as error:  # a rule of a stranger's pack must not take the others down
            problems.append(f"rule {rule.code} failed ({type(error).__name__}: {error})")
        except TimeUp as error:
            is_up()
            late = len(rules) - index - 1
            rest = f" and {late} rules after it were" if late else " was"
            problems.append(f"it {error}: rule {rule.code}{rest} not run to the end (raise --timeout)")
            break
    priced.sort(key=_Priced.order)
    least_s = settings.min_impact * float(analysis.total.mean())
    cumulative: Sequence[float | None] = [None] * len(priced)
    without_retraining = None
    try:
        cumulative = _cumulative(analysis, [one.best for one in priced])
        without_retraining = _without_retraining(analysis, priced, cumulative, least_s)
    except TimeUp as error:
        is_up()
        problems.append(f"it {error}: what the fixes save together was not found out (raise --timeout)")
    reported = [_reported(analysis, one, more, least_s) for one, more in zip(priced, cumulative, strict=True)]
    return Priced(reported, without_retraining, problems)


@dataclass(frozen=True, slots=True)
class Priced:
    """The findings by price; seconds that the changes which keep the outputs save together, None if not found out."""

    findings: list[ReportedFinding]
    without_retraining_s: float | None
    problems: list[str]


@dataclass(frozen=True, slots=True)
class _Change:
    """A fix and the seconds that it saves alone, per parameter set."""

    fix: Fix
    saved: Seconds

    @property
    def saved_s(self) -> float:
        return float(self.saved.mean())

    @property
    def keeps_outputs(self) -> bool:
        return self.fix.safety in ("exact", "close")


@dataclass(frozen=True, slots=True)
class _Priced:
    rule: LoadedRule
    finding: Finding
    severity: Severity
    at_stake_s: float
    changes: tuple[_Change, ...]

    @property
    def best(self) -> _Change | None:
        return self.changes[0] if self.changes else None

    def is_hidden(self, least_s: float) -> bool:
        """Below the least impact; errors and what a rule calls a warning are always shown."""
        is_small = self.best is not None and self.best.saved_s < least_s
        return is_small and self.severity != "error" and self.finding.severity != "warning"

    def order(self) -> tuple[float, float, str]:
        """By what it saves (an error that can't be priced: by all that is at stake), then by stake and code."""
        if self.best is None:
            weight = self.at_stake_s if self.severity == "error" else 0.0
        else:
            weight = max(self.best.saved_s, 0.0)
        return (-weight, -self.at_stake_s, self.rule.code)


def _checked(finding: object) -> Finding:
    """A finding whose fields can be shown; raises TypeError for anything else."""
    if not isinstance(finding, Finding):
        raise TypeError(f"yields a {type(finding).__name__}, no Finding")
    texts = (
        finding.message,
        finding.suggestion,
        *finding.nodes,
        *finding.details,
        *(fix.title for fix in finding.fixes),
    )
    is_known = finding.severity in (None, *SEVERITIES) and all(fix.safety in SAFETIES for fix in finding.fixes)
    if not is_known or not all(isinstance(text, str) for text in texts):
        raise TypeError("yields a finding with a field that is none")
    return finding


def _price(analysis: Analysis, rule: LoadedRule, finding: Finding, override: Severity | None) -> _Priced:
    if finding.at_stake_s is None:
        kernel_of = analysis.kernel_of
        at_stake = float(analysis.seconds([kernel_of[key] for key in finding.nodes if key in kernel_of]).mean())
    else:
        at_stake = finding.at_stake_s
    changes: list[_Change] = []
    for fix in finding.fixes:
        try:
            changes.append(_Change(fix, saving(analysis, fix.edits)))
        except (EditError, UnknownShape):
            continue
    changes = _ranked(changes)
    severity = override or finding.severity or rule.rule.severity
    if severity == "warning" and finding.severity is None and override is None:
        low = analysis.spread(changes[0].saved)[1] if changes else at_stake
        if low < WARNING_SHARE * float(analysis.total.mean()):
            severity = "info"
    return _Priced(rule, finding, severity, at_stake, tuple(changes))


def _ranked(changes: list[_Change]) -> list[_Change]:
    """By what they save, but a change that keeps the outputs before a dearer one that needs retraining."""
    most = max((change.saved_s for change in changes), default=0.0)

    def key(change: _Change) -> tuple[bool, float]:
        return not (change.keeps_outputs and change.saved_s > KEEPING_OUTPUTS_IS_WORTH * most), -change.saved_s

    return sorted(changes, key=key)


def _without_retraining(
    analysis: Analysis, priced: Sequence[_Priced], cumulative: Sequence[float | None], least_s: float
) -> float:
    """What the best change of each finding shown that keeps the outputs saves, all of them together."""
    shown = [(one, saved) for one, saved in zip(priced, cumulative, strict=True) if not one.is_hidden(least_s)]
    kept = [next((change for change in one.changes if change.keeps_outputs), None) for one, _ in shown]
    if all(change is one.best for change, (one, _) in zip(kept, shown, strict=True)):
        together: Sequence[float | None] = [saved for _, saved in shown]
    else:
        together = _cumulative(analysis, kept)
    return max((saved for saved in together if saved is not None), default=0.0)


def _cumulative(analysis: Analysis, changes: Sequence[_Change | None]) -> list[float | None]:
    """What each fix saves after all those before it; those that don't fit together any more add nothing."""
    before = analysis
    # what the first one leaves is found out once another one has to be priced on top of it
    first: Fix | None = None
    # a node is called by its first output: one that an earlier fix made may have the name of the one it replaced
    made: set[str] = set()
    saved = 0.0
    column: list[float | None] = []
    for change in changes:
        if change is None:
            column.append(None)
            continue
        if change.saved_s > 0:
            if any(isinstance(edit, Remove) and edit.node in made for edit in change.fix.edits):
                column.append(saved)
                continue
            if before is analysis and first is None:
                first, gain = change.fix, change.saved_s
            else:
                if first is not None and before is analysis:
                    before = tried(analysis, first.edits)
                try:
                    after = tried(before, change.fix.edits)
                except (EditError, UnknownShape):
                    column.append(saved)
                    continue
                gain = float((before.total - after.total).mean())
                before = after if gain > 0 else before
            if gain > 0:
                saved += gain
                made.update(edit.outputs[0] for edit in change.fix.edits if isinstance(edit, Insert))
        column.append(saved)
    return column


def _reported(analysis: Analysis, one: _Priced, cumulative: float | None, least_s: float) -> ReportedFinding:
    middle = low = high = None
    best = one.best
    if best is not None:
        middle, low, high = analysis.spread(best.saved)
        # the spread widens a difference by a factor; more than everything is never saved
        high = min(high, analysis.spread(analysis.total)[2])
    finding = one.finding
    return ReportedFinding(
        rule=one.rule.code,
        name=one.rule.name,
        severity=one.severity,
        message=finding.message,
        suggestion=finding.suggestion,
        node=finding.nodes[0] if finding.nodes else "",
        nodes=finding.nodes,
        places=finding.places,
        hidden=one.is_hidden(least_s),
        latency_s=one.at_stake_s,
        saving_s=middle,
        saving_low_s=low,
        saving_high_s=high,
        saving_cumulative_s=cumulative,
        fix=FixInfo(best.fix.title, best.fix.safety) if best is not None else None,
        alternatives=tuple(Alternative(other.fix.title, other.fix.safety, other.saved_s) for other in one.changes[1:]),
        details=finding.details,
        in_verdict=finding.in_verdict,
        fingerprint=_fingerprint(one.rule.code, finding),
    )


def _fingerprint(code: str, finding: Finding) -> str:
    text = "\0".join((code, *sorted(finding.nodes)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
