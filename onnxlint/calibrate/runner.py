"""The calibration: time every benchmark, fit, set right and test on whole networks, write the profile."""

from __future__ import annotations

import datetime
import gc
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx

from onnxlint import streams
from onnxlint.calibrate import networks
from onnxlint.calibrate.benchmarks import INTEGER, Benchmark, benchmarks
from onnxlint.calibrate.clock import NOISY_SPREAD, Paired, Stopwatch, measure_pairs, reference_workload
from onnxlint.calibrate.fit import Sample, graph_of
from onnxlint.calibrate.learn import in_networks, learn, slowed
from onnxlint.calibrate.machine import layout_block, processor_name, runtime_name
from onnxlint.calibrate.partial import Circumstances, PartialResults
from onnxlint.calibrate.profile import best_rate_gops, errors, starting_device, to_toml
from onnxlint.calibrate.sessions import RuntimeProblem, Workload, noise_feeds, open_session, provider_named
from onnxlint.costs import CostModel
from onnxlint.device import parse_device
from onnxlint.device_runtime import Calibration
from onnxlint.graph import Graph
from onnxlint.text import printable

NETWORK = "network"
_LEAST_SECONDS, _MOST_SECONDS, _MOST_FOR_A_NETWORK = 0.02, 1.0, 2.0
_TARGET_ERROR = 0.0025
_LONG_RATIO = 0.2
_WARM_UP_RUNS = 20
_FOR_PAIRS = 0.6
"""Of the time that is left: building, sessions and the least pairs of long benchmarks take the rest."""
_GOLDEN = 0.6180339887
_FOR_ANOTHER_KIND_S = 0.2
"""Kept for the first of each kind that is to come."""
Advance = Callable[[int, int, str], None]


class CalibrationError(streams.Refusal):
    """The calibration can't be done as asked; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a calibration; `budget_s` is for measuring, fitting takes half a minute more."""

    output: Path
    name: str = "mybox"
    provider: str = "CPU"
    threads: int = 1
    budget_s: float = 180.0
    force: bool = False


def calibrate(plan: Plan, advance: Advance | None = None, chosen: Sequence[Benchmark] | None = None) -> Calibration:
    """Measure, fit and write the profile; raises CalibrationError, RuntimeProblem and OutputError.

    `advance` is told how many benchmarks of how many are done, and which is next; `chosen`: these instead of all.
    """
    provider = check(plan)
    whole = [Benchmark(name, NETWORK, build) for name, build in networks.networks()]
    work = among(in_turns(benchmarks() if chosen is None else chosen), whole)
    where = Circumstances(processor_name(), runtime_name(), provider, plan.threads, len(work))
    partial = PartialResults(plan.output, where)
    graphs = _Timing(plan, provider, partial).run(work, advance or (lambda done, total, name: None))
    text, calibration = fitted(plan, where, work, graphs, partial.found)
    parse_device(text.encode(), plan.output.name)
    streams.write(text, plan.output)
    partial.discard()
    return calibration


def kind_of(name: str) -> str:
    """A benchmark's name without its sizes."""
    return re.sub(r"(_[\dx]+)+$", "", name)


def in_turns(benchmarks: Iterable[Benchmark]) -> list[Benchmark]:
    """Every kind evenly among the others, and its sizes out of order: what a budget cuts off, all kinds lack alike."""
    kinds: dict[str, list[Benchmark]] = {}
    for benchmark in benchmarks:
        kinds.setdefault(kind_of(benchmark.name), []).append(benchmark)
    places: list[tuple[float, Benchmark]] = []
    for found in kinds.values():
        mixed = sorted(range(len(found)), key=lambda index: index * _GOLDEN % 1)
        places += [((turn + 0.5) / len(found), found[index]) for turn, index in enumerate(mixed)]
    return [benchmark for _, benchmark in sorted(places, key=lambda place: place[0])]


def among(benchmarks: Sequence[Benchmark], whole: Sequence[Benchmark]) -> list[Benchmark]:
    """The networks evenly among the benchmarks: what slows the machine down for a while meets both alike."""
    places = [(index + 0.5) / len(benchmarks) for index in range(len(benchmarks))]
    places += [(index + 0.5) / len(whole) for index in range(len(whole))]
    both = [*benchmarks, *whole]
    return [both[index] for index in sorted(range(len(both)), key=places.__getitem__)]


def check(plan: Plan) -> str:
    """The provider's full name; raises CalibrationError, RuntimeProblem or OutputError for what can't be done."""
    streams.check_output(plan.output, [])
    if plan.output.exists() and not plan.output.is_file():
        raise CalibrationError(f"{plan.output}: is no regular file (give another --output-file)")
    if plan.output.exists() and not plan.force:
        raise CalibrationError(f"{plan.output}: exists already (give --force to replace it, or another --output-file)")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", plan.name):
        raise CalibrationError(f"--name {printable(plan.name)!r}: small letters, digits, dots and dashes only")
    return provider_named(plan.provider)


class _Timing:
    """Times benchmarks one after the other until the budget is spent, and the first of each kind even then."""

    def __init__(self, plan: Plan, provider: str, partial: PartialResults) -> None:
        self.plan, self.provider, self.partial = plan, provider, partial
        self.reference = reference_workload(plan.threads, provider)
        self.watch = Stopwatch(cpu=plan.threads == 1 and provider == "CPUExecutionProvider")

    def run(self, work: Sequence[Benchmark], advance: Advance) -> dict[str, Graph]:
        """The graphs of the benchmarks that were run; their times are in the partial results."""
        for _ in range(_WARM_UP_RUNS):
            self.reference()
        graphs: dict[str, Graph] = {}
        left = self.plan.budget_s
        missing = sum(benchmark.name not in self.partial.found for benchmark in work)
        kinds = {kind_of(benchmark.name) for benchmark in work}
        for index, benchmark in enumerate(work):
            advance(index, len(work), benchmark.name)
            is_measured, kind = benchmark.name in self.partial.found, kind_of(benchmark.name)
            if not is_measured and kind not in kinds and left <= _FOR_ANOTHER_KIND_S * len(kinds):
                continue
            kinds.discard(kind)
            began = time.perf_counter()
            model = benchmark.build()
            graphs[benchmark.name] = graph_of(model)
            if is_measured:
                continue
            try:
                most = _MOST_FOR_A_NETWORK if benchmark.family == NETWORK else _MOST_SECONDS
                seconds = min(most, max(_LEAST_SECONDS, _FOR_PAIRS * left / max(1, missing)))
                self.partial.add(benchmark.name, self.timed(model, seconds))
            except RuntimeProblem:
                # this provider lacks the operator: what it would have taught stays as it is
                del graphs[benchmark.name]
            left -= time.perf_counter() - began
            missing -= 1
        advance(len(work), len(work), "fitting")
        return graphs

    def timed(self, model: onnx.ModelProto, seconds: float) -> Paired:
        session = open_session(model, threads=self.plan.threads, provider=self.provider)
        workload = Workload(session, noise_feeds(session, {}))
        found = measure_pairs(
            workload,
            self.reference,
            seconds=seconds,
            target_error=_TARGET_ERROR,
            watch=self.watch,
        )
        gc.collect(0)
        return found


def fitted(
    plan: Plan, where: Circumstances, work: Sequence[Benchmark], graphs: dict[str, Graph], found: dict[str, Paired]
) -> tuple[str, Calibration]:
    """The profile's text and its calibration record, from the times alone."""
    if not graphs:
        raise CalibrationError(f"{where.provider}: not one benchmark could be run")
    reference_s = float(np.quantile([paired.reference_s for paired in found.values()], 0.25))
    samples = [
        Sample(b.name, b.family, graphs[b.name], found[b.name].seconds(reference_s)) for b in work if b.name in graphs
    ]
    taught = [sample for sample in samples if sample.family != NETWORK]
    tested = [sample for sample in samples if sample.family == NETWORK]
    block = layout_block(where.provider)
    macs = {s.name: sum(CostModel(s.graph, "fp32").arithmetic(n)[0] for n in s.graph.compute_nodes) for s in samples}
    integer = [sample for sample in taught if sample.family == INTEGER]
    floats = [sample for sample in samples if sample.family != INTEGER]
    start = starting_device(
        plan.name, where, block, best_rate_gops(floats, macs), best_rate_gops(integer, macs) if integer else None
    )
    device = learn(taught, start)
    factor, held_out = in_networks(dict(zip((s.name for s in tested), errors(tested, device), strict=True)))
    fit_error = float(np.median(np.abs(errors(taught, device))))
    device = slowed(device, factor)
    long = [paired.spread for paired in found.values() if paired.ratio > _LONG_RATIO]
    spread = float(np.median(long)) if long else 0.0
    calibration = Calibration(
        machine=where.machine,
        runtime=where.runtime,
        provider=where.provider,
        threads=where.threads,
        date=datetime.date.today().isoformat(),
        reference_ms=1e3 * reference_s,
        spread=spread,
        noisy=spread > NOISY_SPREAD,
        benchmarks=len(taught),
        left_out=len(work) - len(samples),
        fit_error=fit_error,
        in_networks=factor,
        held_out=len(tested),
        held_out_error=float(np.median(np.abs(list(held_out.values())))) if held_out else None,
    )
    device = msgspec.structs.replace(device, calibration=calibration)
    return to_toml(device, calibration, held_out), calibration
