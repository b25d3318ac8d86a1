"""ShuffleNetV2's experiments (arXiv 1807.11164, tables 1 to 4) predicted: the order at equal FLOPs.

The H100 and the H200 were timed here, at batch 64. The paper's rows are of batch 1, as the times of tables 1 and 2
imply: at 512 channels a batch of two would exceed the 1080 Ti's peak.
"""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fit_networks import VARIANTS

from onnxlint.analysis import Analysis
from onnxlint.costs import CostModel
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.graph import Graph
from onnxlint.settings import Settings
from onnxlint.target import target_for

FOLDER = Path(__file__).resolve().parent / "benchmarks"
DEVICES = ("gtx1080ti", "snapdragon810")
#: device → the table of its rows, and their batch
TABLES = {
    "gtx1080ti": ("shufflenetv2", 1),
    "snapdragon810": ("shufflenetv2", 1),
    "h100": ("pytorch_h100", 64),
    "h200": ("pytorch_h200", 64),
}
#: networks of equal FLOPs whose order comes out wrong, with why
EXCEPTIONS = {
    # in the paper itself four fragments in series outrun two at 512 channels (349 against 336 batches a second)
    ("gtx1080ti", "g3_4_series_512", "g3_2_parallel_512"),
    # 5.5 % fewer multiply-accumulates, and yet 5.9 % more time
    ("snapdragon810", "g1_64_64", "g1_44_88"),
    # Channels that are no multiple of 8 (90, 52, 180, 18, 181, 362, 45) are copied to aligned ones, which is priced as
    # one pass more of each tensor: 181 channels come out 0.8 times, 45 channels 1.3 times what was measured.
    ("h100", "g1_104_624", "g1_180_360"),
    ("h100", "g3_2_series_64", "g3_4_series_64"),
    ("h100", "g3_4_parallel_256", "g3_2_parallel_256"),
    ("h200", "g1_90_180", "g1_52_312"),
    ("h200", "g1_104_624", "g1_180_360"),
    ("h200", "g1_26_156", "g1_18_216"),
    ("h200", "g3_2_series_64", "g3_4_series_64"),
    ("h200", "g3_2_parallel_64", "g3_4_series_64"),
    ("h200", "g3_4_parallel_256", "g3_2_series_256"),
    ("h200", "g3_4_parallel_512", "g3_2_series_512"),
    ("h200", "g3_4_parallel_256", "g3_2_parallel_256"),
    ("h200", "g3_4_parallel_512", "g3_2_parallel_512"),
    # Two groups of 180 or 360 channels took 1.6 to 1.8 times as long as four of 128 or 256. 180 is a multiple of 4 but
    # not of 8, which is priced as aligned; why 360 is slow was not found.
    ("h100", "g2_4_512", "g2_2_360"),
    ("h200", "g2_4_512", "g2_2_360"),
    ("h200", "g2_4_1024", "g2_2_720"),
}
#: at 56x56 and batch 1: more operations in a second than the 1080 Ti has
PEAK_OPS_PER_S = 11.3e12


@dataclass(frozen=True)
class Row:
    """A measured stack of blocks; `size` numbers the columns of equal FLOPs of one table."""

    device: str
    network: str
    measured_ms: float
    table: str
    size: int


@cache
def graph(network: str) -> Graph:
    return read_model(VARIANTS[network](), Settings()).graph


@cache
def macs(network: str) -> int:
    costs = CostModel(graph(network), "fp32")
    return sum(costs.cost((node,), ()).macs for node in graph(network).compute_nodes)


@cache
def rows(device: str) -> tuple[Row, ...]:
    name, batch = TABLES[device]
    with (FOLDER / f"published_{name}.csv").open(encoding="utf-8", newline="") as file:
        records = [r for r in csv.DictReader(file) if r["device"] == device and r["network"] in VARIANTS]
    found = []
    for record in records:
        network = record["network"]
        if int(record.get("batch") or 1) == batch:
            table = network[:2]
            least = min(macs(r["network"]) for r in records if r["network"].startswith(table))
            size = round(math.log(macs(network) / least, 4))
            found.append(Row(device, network, float(record["latency_ms"]), table, size))
    return tuple(found)


@cache
def predicted_ms(device: str, network: str) -> float:
    target = target_for(load_device(device), batch_factor=TABLES[device][1])
    return 1e3 * float(Analysis(graph(network), target).total.mean())


def pairs(device: str) -> list[tuple[Row, Row]]:
    """Pairs of one column of one table whose times differ by more than 5 %, the faster first."""
    found = []
    for one, other in itertools.combinations(rows(device), 2):
        if (one.table, one.size) == (other.table, other.size):
            first, second = sorted((one, other), key=lambda row: row.measured_ms)
            if second.measured_ms > 1.05 * first.measured_ms:
                found.append((first, second))
    return found


@pytest.mark.parametrize("device", TABLES)
def test_what_was_measured_faster_is_predicted_faster(device: str) -> None:
    compared = pairs(device)
    assert len(compared) >= 30
    wrong = {
        (device, first.network, second.network)
        for first, second in compared
        if predicted_ms(device, first.network) >= predicted_ms(device, second.network)
    }
    assert wrong <= EXCEPTIONS


@pytest.mark.parametrize(("device", "most"), [("gtx1080ti", 0.1), ("snapdragon810", 0.1)])
def test_median_error_of_the_experiments(device: str, most: float) -> None:
    errors = [abs(predicted_ms(device, row.network) / row.measured_ms - 1) for row in rows(device)]
    assert len(errors) == 51
    assert np.median(errors) <= most


def test_the_tables_imply_batch_one() -> None:
    row = next(row for row in rows("gtx1080ti") if row.network == "g2_1_512")
    operations = 2 * 10 * 512 * 512 * 56 * 56
    assert operations / (row.measured_ms * 1e-3) < PEAK_OPS_PER_S < 2 * operations / (row.measured_ms * 1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_rows_that_the_tables_themselves_invert(device: str) -> None:
    """More fragments of equal FLOPs are slower, but for these: within the noise of the measurement."""
    measured = {row.network: row.measured_ms for row in rows(device)}
    sizes = (128, 256, 512) if device == "gtx1080ti" else (64, 128, 256)
    inverted = [c for c in sizes if measured[f"g3_4_series_{c}"] < measured[f"g3_2_series_{c}"]]
    assert inverted == ([512] if device == "gtx1080ti" else [256])
