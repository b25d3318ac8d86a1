"""`onnxlint calibrate`: a progress bar on stderr, one line on stdout."""

from __future__ import annotations

import re
from pathlib import Path

from onnxlint import streams
from onnxlint.calibrate.runner import CalibrationError, Plan, calibrate, check
from onnxlint.device_runtime import Calibration
from onnxlint.text import printable

LEAST_BUDGET_S = 30.0


def run(
    provider: str, threads: int, name: str, output_file: Path | None, budget_s: float, force: bool, quiet: bool
) -> int:
    """Calibrate this machine; returns the exit code, raises CalibrationError, RuntimeProblem and OutputError."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    plan = Plan(output_file or Path(f"{name}.toml"), name, provider, threads, budget_s, force)
    check(plan)
    columns = (TextColumn("calibrating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # drawn by hand, once a benchmark: a thread that redraws would take time from what is measured
    console = Console(stderr=True)
    shown = Progress(*columns, TextColumn("{task.fields[now]}"), console=console, auto_refresh=False, disable=quiet)
    with shown as progress:
        task = progress.add_task("", total=None, now="")

        def advance(done: int, total: int, now: str) -> None:
            progress.update(task, completed=done, total=total, now=now)
            progress.refresh()

        calibration = calibrate(plan, advance)
    streams.write(summary(plan.output, calibration), None)
    return 0


def seconds_of(budget: str) -> float:
    """`180s`, `3m` or `180` as seconds; raises CalibrationError, for what is too short, too."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min)?", budget.strip())
    if found is None or not 0 < float(found[1]) < 1e5:
        raise CalibrationError(f"--budget {printable(budget)!r}: is no time (180s, 5m)")
    seconds = float(found[1]) * (60 if found[2] in ("m", "min") else 1)
    if seconds < LEAST_BUDGET_S:
        raise CalibrationError(
            f"--budget {printable(budget)!r}: one benchmark of each kind takes longer "
            f"(give {LEAST_BUDGET_S:g}s or more)"
        )
    return seconds


def summary(output: Path, calibration: Calibration) -> str:
    """What was written, and how far it can be trusted."""
    error = calibration.held_out_error if calibration.held_out_error is not None else calibration.fit_error
    lines = [
        f"{printable(str(output))}: {calibration.machine}, {calibration.runtime}, {calibration.provider}, "
        f"{calibration.threads} {'thread' if calibration.threads == 1 else 'threads'}",
        f"median error {100 * error:.1f} % on {calibration.held_out} networks, each left out of what is fitted "
        f"({100 * calibration.fit_error:.1f} % on {calibration.benchmarks} benchmarks)",
    ]
    if calibration.left_out:
        all_of_them = calibration.benchmarks + calibration.held_out + calibration.left_out
        lines.append(
            f"{calibration.left_out} of {all_of_them} benchmarks were not run (give a longer --budget, "
            "or the provider lacks their operators)"
        )
    if calibration.noisy:
        lines.append(
            f"noisy run: paired times spread by {100 * calibration.spread:.0f} % "
            "(calibrate again when the machine is idle)"
        )
    return "\n".join(lines) + "\n"
