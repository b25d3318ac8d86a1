"""What each command does: reads models and profiles, lints, writes the output."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from onnxlint.binding import MAX_DIM, BindingError, Bindings
from onnxlint.device import Device, load_device, profile_names
from onnxlint.discover import discover
from onnxlint.engine import ReadModel, lint_graph, read_model, unreadable
from onnxlint.isolated import Limits
from onnxlint.load import LoadError, load
from onnxlint.output.json import to_json
from onnxlint.output.terminal import View, render
from onnxlint.registry import find_rule, rules_with, select
from onnxlint.report import Report
from onnxlint.settings import Settings
from onnxlint.text import printable


def settings(
    *,
    shapes: Sequence[str] = (),
    dims: Sequence[str] = (),
    batch: int | None = None,
    timeout_s: float,
    memory_mb: int,
    **options: Any,
) -> Settings:
    """Settings from the command line's words; raises BindingError for a malformed `--shape` or `--dim`."""
    bindings = Bindings(
        {name: _dims(name, value) for name, value in map(_pair, shapes)},
        {name: _dim(f"--dim {name}", value) for name, value in map(_pair, dims)},
        batch,
    )
    return Settings(bindings=bindings, limits=Limits(timeout_s, memory_mb), **options)


def _pair(word: str) -> tuple[str, str]:
    name, separator, value = word.rpartition("=")
    if not separator or not name:
        raise BindingError(f"{printable(word)!r} is not NAME=VALUE")
    return name, value


def _dims(name: str, value: str) -> tuple[int, ...]:
    return tuple(_dim(f"--shape {name}", part) for part in value.replace(",", "x").split("x"))


def _dim(option: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value[:12]) <= MAX_DIM:
        raise BindingError(f"{printable(option)}: {printable(value)!r} is no size (a number from 1)")
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
    profiles = [load_device(name) for name in dict.fromkeys(device_names)]
    for profile in profiles:
        if chosen.precision is not None:
            profile.peak_ops_per_s(chosen.precision)
    rules = select(rules_with(rule_folders), chosen.select, chosen.extend_select, chosen.ignore)
    files, missing, many = discover(arguments)
    reports = [unreadable(path, reason) for path, reason in missing]
    for path in files:
        try:
            model = _read(path, chosen)
        except LoadError as error:
            reports.append(unreadable(path, str(error)))
            continue
        # started once no more children are forked
        digest = _Digest(path) if output_format == "json" else None
        for profile in profiles:
            report = lint_graph(model, profile, rules, chosen)
            reports.append(report if digest is None else digest.added_to(report))
    for report in reports:
        if report.error is not None:
            _complain(report.model.path, report.error)
    with _output(output_file) as stream:
        if output_format == "json":
            stream.write(to_json(reports, as_list=many or len(profiles) > 1))
        else:
            _render_all(reports, stream, view)
    return max((report.exit_code for report in reports), default=2)


def _read(path: str, chosen: Settings) -> ReadModel:
    loaded = load(path, chosen.max_file_mb)
    return read_model(loaded.proto, chosen, path, loaded.notes)


def _render_all(reports: Sequence[Report], stream: TextIO, view: View) -> None:
    from rich.console import Console

    console = Console(file=stream, soft_wrap=False)
    shown = [report for report in reports if report.totals is not None]
    for index, report in enumerate(shown):
        if index:
            console.print()
        render(report, console, view)


def profile(
    path: str,
    device_name: str,
    chosen: Settings,
    by: str,
    sort: str,
    top: int | None,
    output_format: str,
    output_file: Path | None,
) -> None:
    """Write one model's per-layer table; raises LoadError with the path in front."""
    from onnxlint.output import profile_table

    profile = load_device(device_name)
    try:
        model = _read(path, chosen)
    except LoadError as error:
        raise LoadError(f"{printable(path)}: {error}") from None
    report = lint_graph(model, profile, [], chosen)
    with _output(output_file) as stream:
        profile_table.write(report, stream, by=by, sort=sort, top=top, output_format=output_format)


def rule(code: str | None, folders: Sequence[Path]) -> None:
    """List the rules or print one's page; raises RuleError."""
    from onnxlint.output import rules_list

    rules = rules_with(folders)
    if code is None:
        rules_list.write_list(rules, sys.stdout)
    else:
        rules_list.write_page(find_rule(rules, code), sys.stdout)


def device(name: str | None) -> None:
    """List the devices or print one's figures; raises DeviceError."""
    from onnxlint.output import devices

    if name is None:
        devices.write_list([cast(Device, load_device(known)) for known in profile_names()], sys.stdout)
    else:
        devices.write_page(load_device(name), sys.stdout)


class _Digest:
    """The file's SHA-256, computed beside the lint: the weights are read for it, in pieces, by another thread."""

    def __init__(self, path: str) -> None:
        from concurrent.futures import ThreadPoolExecutor

        executor = ThreadPoolExecutor(max_workers=1)
        self._future = executor.submit(_sha256, path)
        executor.shutdown(wait=False)

    def added_to(self, report: Report) -> Report:
        import msgspec

        model = msgspec.structs.replace(report.model, sha256=self._future.result())
        return msgspec.structs.replace(report, model=model)


def _sha256(path: str) -> str | None:
    import hashlib

    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _complain(path: str, error: str) -> None:
    print(f"onnxlint: {printable(path)}: {error}", file=sys.stderr)  # noqa: T201


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    import tempfile

    # written beside its place and moved there: a reader sees the old file or the whole new one
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        try:
            yield cast(TextIO, file)
            file.flush()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
