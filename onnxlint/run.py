"""What each command does: reads models and profiles, lints, writes the output."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from onnxlint import streams
from onnxlint.binding import MAX_DIM, BindingError, Bindings
from onnxlint.budgets import parse_budgets
from onnxlint.describe import ReadModel
from onnxlint.device import Device, DeviceError, load_device, profile_names
from onnxlint.digest import Digest
from onnxlint.discover import discover
from onnxlint.engine import lint_graph, read_model, report_on, unreadable
from onnxlint.gate import BUDGET_RULES
from onnxlint.isolated import Limits
from onnxlint.load import STDIN, LoadedModel, LoadError, load, load_stream
from onnxlint.output import progress
from onnxlint.output.json import to_json
from onnxlint.output.terminal import View, render
from onnxlint.registry import RuleError, find_rule, rules_in, rules_with, select
from onnxlint.report import Report
from onnxlint.rule import LoadedRule
from onnxlint.settings import Settings
from onnxlint.text import printable
from onnxlint.timelimit import TimeUp, within
from onnxlint.units import plural

_IMPORT_S = 30.0
"""For the rules of `onnxlint rule`, which has no option for it."""


def settings(
    *,
    shapes: Sequence[str] = (),
    dims: Sequence[str] = (),
    batch: int | None = None,
    timeout_s: float,
    memory_mb: int | None,
    max_latency: str | None = None,
    max_params: str | None = None,
    max_macs: str | None = None,
    max_memory: str | None = None,
    **options: Any,
) -> Settings:
    """Settings from the command line's words; raises BindingError and BudgetError for malformed ones."""
    bindings = Bindings(
        _bindings("--shape", "NAME=1x3x224x224", shapes, _dims),
        _bindings("--dim", "NAME=VALUE", dims, _dim),
        batch,
    )
    budgets = parse_budgets(max_latency, max_params, max_macs, max_memory)
    return Settings(bindings=bindings, limits=Limits(timeout_s, memory_mb), budgets=budgets, **options)


def _bindings(option: str, form: str, words: Sequence[str], read: Any) -> dict[str, Any]:
    bound: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.rpartition("=")
        if not separator or not name:
            raise BindingError(f"{option}: {printable(word)!r} is not {form}")
        size = read(f"{option} {name}", value)
        if bound.setdefault(name, size) != size:
            raise BindingError(f"{option} {printable(name)}: is given twice and differently")
    return bound


def _dims(option: str, value: str) -> tuple[int, ...]:
    return tuple(_dim(option, part) for part in value.lower().replace(",", "x").split("x"))


def _dim(option: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12 or not 0 < int(value) <= MAX_DIM:
        raise BindingError(f"{printable(option)}: {printable(value)!r} is no size (a number from 1 to {MAX_DIM})")
    return int(value)


def check(
    arguments: Sequence[str],
    device_names: Sequence[str],
    chosen: Settings,
    rule_folders: Sequence[Path],
    output_format: str,
    output_file: Path | None,
    view: View,
) -> int:
    """Lint every model on every device and write the reports; returns the exit code."""
    profiles = _profiles(device_names, chosen)
    known = _imported(lambda: rules_with(rule_folders), chosen.limits.timeout_s, "--rules", " (raise --timeout)")
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
            print(f"onnxlint: {printable(report.model.path)}: {report.error}", file=sys.stderr)  # noqa: T201
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
            loaded, model = _read(path, chosen)
    except TimeUp as error:
        return [unreadable(path, f"{error} (raise --timeout)")]
    except (LoadError, BindingError) as error:
        return [unreadable(path, str(error))]
    except Exception as error:
        return [_failed(path, error)]
    # started once no more children are forked for this model
    digest = Digest(loaded, chosen.limits.timeout_s) if with_digest else None
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


def _profiles(names: Sequence[str], chosen: Settings) -> list[Device]:
    """The devices, each once; raises DeviceError for a precision that one lacks."""
    profiles = {profile.name: profile for profile in map(load_device, names)}
    if chosen.precision is not None:
        for profile in profiles.values():
            profile.peak_ops_per_s(chosen.precision)
    return list(profiles.values())


def _read(path: str, chosen: Settings) -> tuple[LoadedModel, ReadModel]:
    if path == STDIN and sys.stdin is None:
        raise LoadError("standard input is closed")
    loaded = load_stream(sys.stdin.buffer, chosen.max_file_mb) if path == STDIN else load(path, chosen.max_file_mb)
    return loaded, read_model(loaded.proto, chosen, path, loaded.notes, loaded.problems, loaded)


def _rendered(reports: Sequence[Report], view: View, *, to_file: bool) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO() if to_file else sys.stdout, soft_wrap=False)
    with console.capture() as captured:
        for index, report in enumerate(report for report in reports if report.totals is not None):
            if index:
                console.print()
            render(report, console, view)
    # tables are padded to the width: no trailing blanks in what is piped or stored
    return "\n".join(line.rstrip() for line in captured.get().split("\n"))


def profile(
    path: str,
    device_name: str,
    chosen: Settings,
    by: str,
    sort: str,
    top: int | None,
    depth: int | None,
    output_format: str,
    output_file: Path | None,
    *,
    on_roofline: bool = False,
) -> int:
    """Write one model's per-layer table, or its kernels on the roofline; returns the exit code.

    Raises LoadError with the path in front.
    """
    from onnxlint.analysis import Analysis, target_for
    from onnxlint.output import profile_table, roofline_plot
    from onnxlint.roofline import roofline_of

    (device,) = _profiles([device_name], chosen)
    streams.check_output(output_file, [path])
    from onnxlint.formula import with_formulas

    try:
        with within(chosen.limits.timeout_s):
            loaded, model = _read(path, chosen)
            analysis = Analysis(model.graph, target_for(device, chosen.precision, model.bound.batch_factor))
            report = report_on(model, analysis, [], chosen, bytes_alone=by == "node")
            report = with_formulas(report, loaded.proto, device, chosen)
    except (LoadError, BindingError) as error:
        raise LoadError(f"{printable(path)}: {error}") from None
    except TimeUp as error:
        raise LoadError(f"{printable(path)}: {error} (raise --timeout)") from None
    write: Callable[[TextIO], None]
    if on_roofline:
        write = partial(roofline_plot.write, report, roofline_of(analysis))
    else:
        write = partial(profile_table.write, report)
    write = partial(write, by=by, sort=sort, top=top, output_format=output_format, depth=depth)
    if output_file is None:
        write(sys.stdout)
    else:
        written = io.StringIO()
        write(written)
        streams.write(written.getvalue(), output_file)
    return 1 if report.incomplete else 0


def structure(path: str, device_name: str, chosen: Settings, output_format: str, output_file: Path | None) -> int:
    """Write the structures that are recognised in one model; returns the exit code, raises LoadError."""
    from onnxlint.analysis import Analysis, target_for
    from onnxlint.output import structure_table

    (device,) = _profiles([device_name], chosen)
    if output_format == "csv":
        raise streams.OutputError("--structure is written as a table or as json")
    streams.check_output(output_file, [path])
    written = io.StringIO()
    try:
        with within(chosen.limits.timeout_s):
            _, model = _read(path, chosen)
            analysis = Analysis(model.graph, target_for(device, chosen.precision, model.bound.batch_factor))
            structure_table.write(analysis, path, sys.stdout if output_file is None else written, output_format)
    except (LoadError, BindingError) as error:
        raise LoadError(f"{printable(path)}: {error}") from None
    except TimeUp as error:
        raise LoadError(f"{printable(path)}: {error} (raise --timeout)") from None
    if output_file is not None:
        streams.write(written.getvalue(), output_file)
    return 1 if model.incomplete or analysis.unknown_nodes else 0


def rule(code: str | None, folders: Sequence[Path]) -> None:
    """List the rules and budgets or print one's page; raises RuleError."""
    from onnxlint.output import rules_list

    rules = (*_imported(lambda: rules_with(folders), _IMPORT_S, "--rules"), *BUDGET_RULES)
    if code is None:
        rules_list.write_list(rules, sys.stdout)
    else:
        rules_list.write_page(find_rule(rules, code), sys.stdout)


def _imported(
    imported: Callable[[], Sequence[LoadedRule]], seconds: float, option: str, hint: str = ""
) -> Sequence[LoadedRule]:
    """The rules of files that are executed for it; raises RuleError where that takes too long."""
    try:
        with within(seconds):
            return imported()
    except TimeUp as error:
        raise RuleError(f"{option}: to import them {error}{hint}") from None


def new_rule(place: str) -> int:
    """Write a rule file to start from and say where it is; raises RuleError."""
    from onnxlint.new_rule import write_rule

    path, code = write_rule(place)
    name = printable(str(path))
    print(f"{name}: rule {code}; its examples pass: onnxlint rule --test {name}")  # noqa: T201
    return 0


def try_rules(path: Path, *, quiet: bool) -> int:
    """Run the examples of the rules at `path`; 1 if one fails, raises RuleError where there are none."""
    from onnxlint.rule_examples import outcomes

    rules = _imported(lambda: rules_in(path, "--test"), _IMPORT_S, "--test")
    found = [outcome for loaded in rules for outcome in outcomes(loaded)]
    failed = sum(outcome.problem is not None for outcome in found)
    for outcome in found:
        if outcome.problem is not None:
            print(f"FAIL {outcome.code} {outcome.example}: {printable(outcome.problem, 400)}")  # noqa: T201
        elif not quiet:
            print(f"ok   {outcome.code} {outcome.example}")  # noqa: T201
    verdict = f"{failed} of {len(found)} fail" if failed else f"all {len(found)} pass"
    print(f"{plural(len(rules), 'rule')}: {verdict}")  # noqa: T201
    return 1 if failed else 0


def device(name: str | None) -> None:
    """List the devices or print one's figures; raises DeviceError."""
    from onnxlint.output import devices

    if name is None:
        devices.write_list([load_device(known) for known in profile_names()], sys.stdout)
    else:
        devices.write_page(load_device(name), sys.stdout)
