"""How far a calibrated profile is off on networks that it was not calibrated on.

    onnxlint calibrate --threads 1 --output-file box.toml
    python tests/benchmarks/accuracy.py box.toml --measured box.jsonl --exports FOLDER...

Every network is measured twice, in two passes with all others between them: the second pass, held against the first, is
the ceiling that the noise sets. Measured ratios to the reference workload are kept in `--measured` (one line of JSON a
network and pass), so that an interrupted run goes on and another profile can be tested on the same measurements. The
floor is FLOPs alone: one rate, fitted to the very networks that it is tested on.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from accuracy_networks import bare, names, runnable

from onnxlint.analysis import Analysis
from onnxlint.calibrate.clock import Stopwatch, measure_pairs, reference_workload
from onnxlint.calibrate.sessions import Workload, noise_feeds, open_session
from onnxlint.cost import Cost
from onnxlint.describe import ReadModel
from onnxlint.device import Device, load_device
from onnxlint.engine import read_model
from onnxlint.measure.compare import profiled
from onnxlint.measure.join import Join
from onnxlint.settings import Settings
from onnxlint.target import target_for

TOP = 10
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Row:
    """One network: predicted and measured seconds, measured again, FLOPs, and of the dearest kernels how many agree."""

    name: str
    predicted: float
    measured: float
    again: float | None
    flops: float
    named: float | None


def measure(device: Device, folders: Sequence[Path], path: Path, seconds: float, passes: int) -> None:
    """Add what is missing to the file of measurements."""
    assert device.calibration is not None
    threads = device.calibration.threads
    done = {(record["name"], record["pass"]) for record in records(path)}
    reference, watch = reference_workload(threads), Stopwatch(cpu=threads == 1)
    for number in range(passes):
        for name in names(folders):
            if (name, number) in done:
                continue
            model, read = runnable(name, folders), read_model(bare(name, folders), Settings())
            shapes = {key: tuple(known.dims) for key, known in read.bound.types.items()}
            session = open_session(model, threads=threads)
            paired = measure_pairs(
                Workload(session, noise_feeds(session, shapes)), reference, seconds=seconds, watch=watch
            )
            record: dict[str, Any] = {"name": name, "pass": number, "ratio": paired.ratio}
            record |= {"standard_error": paired.standard_error, "spread": paired.spread}
            del session
            if number == 0:
                by_node, optimized = profiled(model, shapes, threads, "CPUExecutionProvider")
                analysis = Analysis(read.graph, target_for(device))
                found, _ = Join(analysis, optimized).by_kernel(by_node)
                record["kernels"] = {analysis.kernels[i].main.key: amount for i, amount in found.items()}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(f"{name}: pass {number}, ratio {paired.ratio:.3f} ± {paired.standard_error:.1%}", file=sys.stderr)
            gc.collect()


def records(path: Path) -> list[dict[str, Any]]:
    """The measurements on file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def rows(device: Device, reads: Mapping[str, ReadModel], measured: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The networks predicted beside their measurements."""
    assert device.calibration is not None
    reference_s = device.calibration.reference_ms * 1e-3
    again = {record["name"]: record["ratio"] * reference_s for record in measured if record["pass"] == 1}
    found = []
    for record in measured:
        if record["pass"] == 0 and record["name"] in reads:
            name = record["name"]
            analysis = Analysis(reads[name].graph, target_for(device))
            flops = float(sum(analysis.kernel_costs, Cost()).flops)
            named = dearest_named(analysis, record.get("kernels"))
            seconds = record["ratio"] * reference_s
            found.append(Row(name, float(analysis.total.mean()), seconds, again.get(name), flops, named))
    return found


def dearest_named(analysis: Analysis, measured: Mapping[str, float] | None) -> float | None:
    """The share of the ten dearest kernels by prediction that are among the ten dearest as measured.

    A kernel counts as named, too, that takes as long as the tenth within 5 %: which of equals comes tenth is chance.
    """
    if not measured:
        return None
    predicted = analysis.times.mean(axis=1)
    times = [measured.get(kernel.main.key, 0.0) for kernel in analysis.kernels]
    count = min(TOP, len(times))
    least = sorted(times)[-count] * 0.95
    chosen = np.argsort(predicted)[-count:]
    return float(np.mean([times[i] >= least for i in chosen]))


def ranks(values: Array) -> Array:
    """The place of each value in the order of all."""
    order: Array = np.argsort(np.argsort(values)).astype(float)
    return order


def summary(title: str, predicted: Array, measured: Array) -> str:
    """One line of the table: shares within 10 and 20 %, the median error, Spearman's correlation."""
    error = np.abs(predicted / measured - 1)
    spearman = np.corrcoef(ranks(predicted), ranks(measured))[0, 1]
    within = [f"{np.mean(error <= bound):.1%}" for bound in (0.1, 0.2)]
    return f"| {title} | {len(error)} | {within[0]} | {within[1]} | {np.median(error):.1%} | {spearman:.4f} |"


def report(found: Sequence[Row], worst: int) -> None:
    """Print the table and the worst networks."""
    predicted, measured, flops = (np.array([getattr(r, n) for r in found]) for n in ("predicted", "measured", "flops"))
    print("| | networks | within 10 % | within 20 % | median error | Spearman |\n| --- | --- | --- | --- | --- | --- |")
    print(summary("this profile", predicted, measured))
    seconds_per_flop = float(np.median((measured / np.maximum(flops, 1))[flops > 0]))
    print(summary("floor: FLOPs alone", flops * seconds_per_flop, measured))
    both = [row for row in found if row.again is not None]
    if both:
        again = np.array([row.again for row in both], dtype=float)
        print(summary("ceiling: measured again", again, np.array([row.measured for row in both])))
    named = [row.named for row in found if row.named is not None]
    if named:
        enough = float(np.mean(np.array(named) >= 0.8))
        print(f"\nten dearest kernels named right: {np.mean(named):.1%} (at least 8 of 10: {enough:.1%} of networks)")
    for row in sorted(found, key=lambda r: -abs(np.log(r.predicted / r.measured)))[:worst]:
        print(
            f"  {row.name:44} predicted {1e3 * row.predicted:9.3f} ms, measured {1e3 * row.measured:9.3f} ms, "
            f"{row.predicted / row.measured:.2f}"
        )


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("profile", help="a profile written by onnxlint calibrate")
    parser.add_argument(
        "--measured", type=Path, required=True, help="file of measurements, continued where it is there"
    )
    parser.add_argument("--exports", type=Path, nargs="*", default=[], help="folders of further *.onnx")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for measuring each network")
    parser.add_argument("--passes", type=int, default=2, help="1: no noise ceiling; 0: measure nothing more")
    parser.add_argument("--worst", type=int, default=15, help="show so many of the worst")
    arguments = parser.parse_args()
    device = load_device(arguments.profile)
    measure(device, arguments.exports, arguments.measured, arguments.seconds, arguments.passes)
    measured = records(arguments.measured)
    known = {record["name"] for record in measured}
    reads = {n: read_model(bare(n, arguments.exports), Settings()) for n in names(arguments.exports) if n in known}
    incomplete = [name for name, read in reads.items() if read.incomplete]
    report(rows(device, reads, measured), arguments.worst)
    if incomplete:
        print(f"not fully known, counted all the same: {', '.join(incomplete)}")


if __name__ == "__main__":
    main()
