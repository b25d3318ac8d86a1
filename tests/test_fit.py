"""The profiles against the published rows that they were fitted to, as the package predicts them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest
from zoo import NETWORKS, build

from onnxlint.analysis import Analysis
from onnxlint.describe import ReadModel
from onnxlint.device import load_device
from onnxlint.device_types import KERNEL_CLASSES
from onnxlint.engine import read_model
from onnxlint.settings import Settings
from onnxlint.target import target_for

BENCHMARKS = Path(__file__).resolve().parent / "benchmarks"
PICTURE = ["hi3519", "x3", "cv22"]


def published(name: str) -> list[dict[str, str]]:
    with (BENCHMARKS / f"published_{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def model(network: str) -> ReadModel:
    return read_model(build(network), Settings())


def analyze(device: str, network: str, precision: str | None = None) -> Analysis:
    return Analysis(model(network).graph, target_for(load_device(device), precision))  # type: ignore[arg-type]


@pytest.mark.parametrize("row", published("npu_picture"), ids=lambda row: f"{row['device']}-{row['network']}")
def test_the_two_fitted_rows_come_out(row: dict[str, str]) -> None:
    analysis = analyze(row["device"], row["network"])
    middle, low, high = (1e3 * seconds for seconds in analysis.spread(analysis.total))
    assert middle == pytest.approx(float(row["latency_ms"]), rel=0.05)
    assert low < float(row["latency_ms"]) < high
    assert high / low <= 1.5


@pytest.mark.parametrize("name", ["hi3519", "cv22"])
def test_two_rows_are_said_to_be_two(name: str) -> None:
    device = load_device(name)
    assert device.trust == "fitted on 2 rows"
    assert 12 <= len(device.attainable.sets) <= 24


@pytest.mark.parametrize("name", PICTURE)
def test_the_sets_disagree_on_what_the_rows_do_not_tell(name: str) -> None:
    sets = load_device(name).attainable.sets
    bandwidths = [chosen.bandwidth_gb_per_s for chosen in sets]
    launches = [chosen.overhead_us for chosen in sets]
    assert max(bandwidths) / min(bandwidths) > 1.5
    assert max(launches) / min(launches) > 4


def test_both_explanations_of_hi3519_are_spanned() -> None:
    """Fast depthwise behind a slow memory, and slow depthwise with a fast memory and slow launches."""
    sets = load_device("hi3519").attainable.sets
    ratios = [(chosen.efficiency("depthwise") / chosen.conv, chosen) for chosen in sets]
    assert any(ratio > 0.18 and chosen.bandwidth_gb_per_s < 5 for ratio, chosen in ratios)
    assert any(ratio < 0.05 and chosen.bandwidth_gb_per_s > 15 and chosen.overhead_us > 15 for ratio, chosen in ratios)
    assert max(ratio for ratio, _ in ratios) <= 0.2501


def test_depthwise_is_dear_on_hi3519_at_the_low_end() -> None:
    analysis = analyze("hi3519", "mobilenet_v2")
    machine = analysis.target.machine
    chosen = [i for i, kernel in enumerate(analysis.kernels) if kernel.kernel_class == "depthwise"]
    macs = sum(analysis.kernel_costs[i].macs for i in chosen)
    ideal = 2 * macs / machine.rate[KERNEL_CLASSES.index("conv")] + len(chosen) * machine.overhead
    share = (analysis.seconds(chosen) - ideal) / analysis.total
    assert share.min() >= 0.05


@pytest.mark.parametrize(
    ("table", "device", "most"),
    [
        ("ncnn", "cortex-a53", 0.15),
        ("ncnn", "cortex-a76", 0.2),
        ("ncnn", "snapdragon810", 0.15),
        ("mmdeploy", "t4", 0.2),
    ],
)
def test_median_error_on_fitted_rows_of_the_zoo(table: str, device: str, most: float) -> None:
    errors = []
    for row in published(table):
        if row["device"] == device and row["network"] in NETWORKS:
            analysis = analyze(device, row["network"], row["precision"])
            errors.append(abs(1e3 * analysis.total.mean() / float(row["latency_ms"]) - 1))
    assert len(errors) >= 3
    assert sorted(errors)[len(errors) // 2] <= most


def test_every_published_row_names_a_device_and_its_source() -> None:
    for path in sorted(BENCHMARKS.glob("published_*.csv")):
        for row in published(path.stem.removeprefix("published_")):
            load_device(row["device"])
            assert float(row["latency_ms"]) > 0
            assert row["source"]
            assert row["use"] in ("fit", "bound", "check")


def test_the_accuracy_table_speaks_of_the_profiles_as_they_are() -> None:
    with (BENCHMARKS / "accuracy_of_profiles.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) >= 10
    for line in lines:
        attainable = load_device(line["device"]).attainable
        assert attainable.trust == "fitted", line["device"]
        assert attainable.fitted_on == int(line["rows"]), line["device"]
        assert 0 < float(line["median_error_in_sample"]) < 1
        assert bool(line["spearman_left_out"]) == (int(line["rows"]) >= 20)
