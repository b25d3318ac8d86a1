"""`onnxlint check`: lints every model on every device and writes the reports."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from onnxlint import streams
from onnxlint.binding import BindingError
from onnxlint.device import Device, DeviceError
from onnxlint.digest import Digest
from onnxlint.discover import discover
from onnxlint.engine import lint_graph, unreadable
from onnxlint.load import LoadedModel, LoadError
from onnxlint.output import progress
from onnxlint.output.json import to_json
from onnxlint.output.overview import overview
from onnxlint.output.screen import screen
from onnxlint.output.terminal import View, render, width_of
from onnxlint.reading import did_you_mean
from onnxlint.registry import imported, rules_with, select
from onnxlint.report import Report
from onnxlint.rule import LoadedRule
from onnxlint.run.models import devices_of, read
from onnxlint.settings import Settings
from onnxlint.text import printable
from onnxlint.timelimit import TimeUp, within

_DIGEST_PART = 8
"""Of the time that a model may take, its SHA-256 gets one part in so many."""


def lint_models(
    arguments: Sequence[str],
    device_names: Sequence[str],
    chosen: Settings,
    rule_folders: Sequence[Path],
    output_format: str,
    output_file: Path | None,
    view: View,
) -> int:
    """Lint every model on every device and write the reports; returns the exit code.

    Raises DeviceError, RuleError and OutputError; a model that can't be read is a report with an error.
    """
    profiles = devices_of(device_names, chosen)
    known = imported(lambda: rules_with(rule_folders), chosen.limits.timeout_s, "--rules", " (raise --timeout)")
    rules = select(known, chosen.select, chosen.extend_select, chosen.ignore)
    found = discover(arguments)
    streams.check_output(output_file, found.files)
    reports = [unreadable(path, reason) for path, reason in found.missing]
    for index, path in enumerate(found.files):
        if index:
            gc.collect()
            gc.freeze()  # what is kept, the reports so far among it, is not searched again after every model
        reports += _reports(path, profiles, rules, chosen, with_digest=output_format == "json")
    gc.unfreeze()
    for report in reports:
        if report.error is not None:
            said = f"{report.error}{did_you_mean(report.model.path, report.error)}"
            print(f"onnxlint: {printable(report.model.path)}: {said}", file=sys.stderr)  # noqa: T201
    if found.passed_by is not None:
        print(f"onnxlint: {found.passed_by}", file=sys.stderr)  # noqa: T201
    if output_format == "json":
        content = to_json(reports, as_list=found.many or len(profiles) > 1)
    else:
        content = _rendered(reports, view, to_file=output_file is not None)
    streams.write(content, output_file)
    return max((report.exit_code for report in reports), default=2)


def _reports(
    path: str, profiles: Sequence[Device], rules: Sequence[LoadedRule], chosen: Settings, *, with_digest: bool
) -> list[Report]:
    """One model's reports, device by device; one with an error where it can't be read."""
    try:
        with within(chosen.limits.timeout_s):
            loaded, model = read(path, chosen)
    except TimeUp as error:
        return [unreadable(path, f"{error} (raise --timeout)")]
    except (LoadError, BindingError) as error:
        return [unreadable(path, str(error))]
    except Exception as error:
        return [_failed(path, error)]
    # started once no more children are forked for this model
    digest = Digest(loaded, chosen.limits.timeout_s / _DIGEST_PART) if with_digest else None
    reports = []
    for profile in profiles:
        try:
            with progress.shown(model.weights), within(chosen.limits.timeout_s):
                report = lint_graph(model, profile, rules, chosen)
            report = _with_formulas(report, loaded, profile, chosen)
        except DeviceError:
            raise
        except TimeUp as error:
            report = unreadable(path, f"{error} on {profile.name} (raise --timeout)")
        except Exception as error:
            report = _failed(path, error)
        reports.append(report if digest is None else digest.added_to(report))
    model.weights.close()
    if digest is not None:
        digest.stop()
    return reports


def _with_formulas(report: Report, loaded: LoadedModel, device: Device, chosen: Settings) -> Report:
    """The report with the totals as formulas, where dims were assumed and a few more inferences are cheap."""
    if not report.model.assumed:
        return report
    from onnxlint.formula import MAX_NODES_INFERRED_IN_REPORT, with_formulas

    return with_formulas(report, loaded.proto, device, chosen, MAX_NODES_INFERRED_IN_REPORT)


def _failed(path: str, error: Exception) -> Report:
    """The report on a model that onnxlint itself failed on: the others are linted all the same."""
    if os.environ.get("ONNXLINT_DEBUG"):
        raise error
    what = printable(f"{type(error).__name__}: {error}")
    return unreadable(path, f"internal error: {what} (set ONNXLINT_DEBUG=1 for the traceback)")


def _rendered(reports: Sequence[Report], view: View, *, to_file: bool) -> str:
    written = io.StringIO()
    with screen(written if to_file else sys.stdout, written) as console:
        for index, report in enumerate(report for report in reports if report.totals is not None):
            if index:
                console.print()
            render(report, console, view)
        if len(reports) > 1 and not view.quiet:
            console.print()
            overview(reports, console, width_of(console))
    return written.getvalue()
