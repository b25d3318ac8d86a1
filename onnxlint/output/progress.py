"""How far reading the weights has come: a bar on stderr, for a person who has waited two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from onnxlint.weights import WeightValues

PATIENCE_S = 2.0


@contextmanager
def shown(weights: WeightValues) -> Iterator[None]:
    """Show the reading of `weights` while the block runs, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("weights"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task("weights", total=None)
    start, is_shown = time.monotonic(), False

    def told(done: int, total: int) -> None:
        nonlocal is_shown
        progress.update(task, completed=done, total=total)
        if not is_shown and time.monotonic() - start > PATIENCE_S:
            progress.start()
            is_shown = True

    weights.told = told
    try:
        yield
    finally:
        weights.told = None
        progress.stop()
