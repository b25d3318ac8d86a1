"""`onnxlint measure`: reads the model and the profile, measures, and writes a table or JSON."""

from __future__ import annotations

import dataclasses
import io
import shutil
from pathlib import Path

import msgspec

from onnxlint import streams
from onnxlint.analysis import Analysis
from onnxlint.calibrate.sessions import RuntimeProblem, provider_named
from onnxlint.describe import totals
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.load import LoadError, load
from onnxlint.measure.apart import measure_apart
from onnxlint.measure.compare import KernelTime, Measured
from onnxlint.measure.scatter import scatter
from onnxlint.output.json import harmless
from onnxlint.reading import reading
from onnxlint.settings import Settings
from onnxlint.target import target_for
from onnxlint.text import printable

READING_S = 60.0
_SHOWN = 20


def run(
    path: str,
    device_name: str,
    chosen: Settings,
    *,
    threads: int | None,
    provider: str | None,
    seconds: float,
    timeout_s: float | None,
    top: int | None,
    output_format: str,
    output_file: Path | None,
) -> int:
    """Write predicted beside measured; returns the exit code (1: what was read is incomplete).

    Raises LoadError with the path in front.
    """
    device = load_device(device_name)
    streams.check_output(output_file, [path])
    own = device.calibration
    chosen_provider = provider_named(provider or (own.provider if own is not None else "CPU"))
    with reading(path, chosen.limits.timeout_s):
        loaded = load(path, chosen.max_file_mb)
        read = read_model(loaded.proto, chosen, path, loaded.notes, loaded.problems)
        held = totals(Analysis(read.graph, target_for(device)))
    try:
        found = measure_apart(
            path,
            read,
            device,
            held,
            threads=threads or (own.threads if own is not None else 1),
            provider=chosen_provider,
            seconds=seconds,
            timeout_s=timeout_s,
            memory_mb=chosen.limits.memory_mb,
        )
    except RuntimeProblem as error:
        raise LoadError(f"{printable(path)}: {error}") from None
    if output_format == "json":
        text = as_json(path, found)
    elif output_format == "plot":
        text = f"{as_table(path, found, 0)}\n{scatter(found.kernels, shutil.get_terminal_size().columns)}"
    else:
        text = as_table(path, found, _SHOWN if top is None else top)
    streams.write(text, output_file)
    return 1 if read.incomplete else 0


def worst_first(kernels: tuple[KernelTime, ...]) -> list[KernelTime]:
    """By the time that the prediction is off."""
    return sorted(kernels, key=lambda kernel: -abs(kernel.predicted_s - kernel.measured_s))


def as_json(path: str, found: Measured) -> str:
    """All of it, kernels worst first; times in seconds."""
    record = {
        "schema_version": 1,
        "model": path.encode("utf-8", "backslashreplace").decode(),
        **{field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "kernels"},
        "ratio": found.predicted_s / found.measured_s,
        "kernels": [dataclasses.asdict(kernel) for kernel in worst_first(found.kernels)],
    }
    return harmless(msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n")


def as_table(path: str, found: Measured, top: int) -> str:
    """The totals, what must be said of them, and so many of the worst kernels."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=io.StringIO(), width=110, highlight=False)
    ms = 1e3
    console.print(
        Text(
            f"{printable(path)} on {found.device} ({found.provider}, threads: {found.threads})\n"
            f"predicted {found.predicted_s * ms:.3f} ms ({found.low_s * ms:.3f} to {found.high_s * ms:.3f}), "
            f"measured {found.measured_s * ms:.3f} ms ± {100 * found.standard_error:.1f} %: "
            f"{100 * (found.predicted_s / found.measured_s - 1):+.1f} %"
        )
    )
    for line in remarks(found):
        console.print(Text(f"note: {line}"))
    table = Table(show_header=top > 0, box=None, pad_edge=False)
    for title in ("kernel", "operators", "predicted ms", "measured ms", "off by ms"):
        table.add_column(title, justify="right" if title.endswith("ms") else "left", no_wrap=True)
    for kernel in worst_first(found.kernels)[:top]:
        off = kernel.predicted_s - kernel.measured_s
        table.add_row(
            Text(printable(kernel.node)[-44:]),
            Text(printable(kernel.label)[:24]),
            f"{kernel.predicted_s * ms:.4f}",
            f"{kernel.measured_s * ms:.4f}",
            f"{off * ms:+.4f}",
        )
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def remarks(found: Measured) -> list[str]:
    """What must be known to read the figures."""
    lines = list(found.notes)
    if found.made_up_weights:
        lines.append(f"{found.made_up_weights} absent weights were filled with seeded noise")
    if found.noisy:
        lines.append(f"noisy run: paired times spread by {100 * found.spread:.0f} %")
    if found.unjoined_s > 0.01 * found.measured_s:
        lines.append(f"{100 * found.unjoined_s / found.measured_s:.0f} % of the time belongs to no kernel of ours")
    return lines
