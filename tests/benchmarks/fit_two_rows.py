"""Fit hi3519, x3 and cv22: every parameter set that agrees with the two published rows of each, spread out.

    python tests/benchmarks/fit_two_rows.py [--write]

Two rows (MobileNetV2 and ResNet-50, int8) do not fix eight figures. So candidates are drawn log-uniformly from a box
of priors, those within TOLERANCE of both rows are kept, and of these a few that lie far apart: first the ones nearest
to the explanations that people give (`TwoRows.explanations`), then by farthest-point selection. A price is the range
over them. Rows marked `bound` come from another source and only drop what misses them by more than BOUND (X3 has
three; --two-rows leaves them out, to see what the two rows say alone). --write puts the sets into the profile, and
Hi3519A's, scaled, into that of its small kin Hi3516DV300, of which no row is published.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

import fit_common as common
import numpy as np

from onnxlint.device_attainable import ParameterSet
from onnxlint.device_types import KERNEL_CLASSES

TOLERANCE = 0.06
BOUND = 0.15
CANDIDATES = 200_000
CHUNK = 4_000
KEPT = 16
KIN_SCALE = 0.6  # Hi3516DV300's 1.0 TOPS over Hi3519A's 1.7, for bandwidth and element-wise arithmetic
SEED = 20181
# Where the points are told apart: figures that the two rows hardly touch would only add noise.
TOLD_APART = ("conv", "pointwise_to_conv", "depthwise_to_conv", "bandwidth_gb_per_s", "overhead_us")

Box = dict[str, tuple[float, float]]
# Of any NPU of this class. conv: ResNet-50 attains 11-34 % of the peak on the three chips, its convolutions no less
# and hardly more than 0.9. pointwise: 1×1 has less reuse than 3×3, RK3588's tables show 0.4-1 of dense. grouped:
# between depthwise and dense. gemm: one row of weights per image, mostly a stream from memory. vector_gops: 16 to 128
# lanes at about 1 GHz. bandwidth: 3 GB/s (16-bit DDR3) to 20 GB/s (64-bit LPDDR4). overhead: 1 µs (one command
# stream) to 60 µs (a debug barrier per layer, RK3588).
PRIOR: Box = {
    "conv": (0.1, 0.9),
    "pointwise_to_conv": (0.4, 1.0),
    "depthwise_to_conv": (1 / 50, 1.0),
    "grouped_to_conv": (0.25, 1.0),
    "gemm": (0.1, 0.4),
    "vector_gops": (16.0, 128.0),
    "bandwidth_gb_per_s": (3.0, 20.0),
    "overhead_us": (1.0, 60.0),
}


@dataclass(frozen=True)
class TwoRows:
    """A device with two fitted rows: what narrows its prior box (with the reason), and explanations to include."""

    device: str
    narrower: Box
    reason: str
    explanations: tuple[dict[str, float], ...] = field(
        default=(
            {"depthwise_to_conv": 1.0, "bandwidth_gb_per_s": 4.0, "overhead_us": 1.0},
            {"depthwise_to_conv": 0.03, "bandwidth_gb_per_s": 20.0, "overhead_us": 20.0},
        )
    )


DEVICES = (
    TwoRows(
        "hi3519",
        {"depthwise_to_conv": (1 / 50, 1 / 4)},
        "DepthwiseConv is an extension layer of NNIE, not a native one; the kin RK3588 runs it at 1/16 of dense",
    ),
    TwoRows(
        "x3",
        {"depthwise_to_conv": (0.3, 1.0), "conv": (0.15, 0.9)},
        "Horizon states that the BPU optimises group and depthwise convolution",
    ),
    TwoRows("cv22", {"conv": (0.08, 0.9)}, "nothing is known of CVflow: the widest prior"),
)


def accepted(entry: TwoRows, fitted: list[common.Row], rng: np.random.Generator) -> common.Parameters:
    """Candidates of the device's box whose error is within TOLERANCE (or BOUND) on every row."""
    drawn = common.sample(PRIOR | entry.narrower, CANDIDATES, rng)
    within = np.ones(len(drawn), dtype=bool)
    for row in fitted:
        engine = common.engine(row.device, row.network, row.precision)
        allowed = np.log1p(TOLERANCE if row.use == "fit" else BOUND)
        for start in range(0, len(drawn), CHUNK):
            chunk = np.flatnonzero(within[start : start + CHUNK]) + start
            if len(chunk):
                ratio = engine.seconds(drawn.take(chunk).sets()) * 1e3 / row.latency_ms
                within[chunk] = np.abs(np.log(ratio)) <= allowed
    return drawn.take(within)


def chosen_sets(entry: TwoRows, found: common.Parameters) -> common.Parameters:
    """A few accepted candidates that lie far apart, the explanations' nearest first."""
    box = PRIOR | entry.narrower
    low = np.log([box[name][0] for name in TOLD_APART])
    width = np.log([box[name][1] for name in TOLD_APART]) - low
    points = (found.logs(TOLD_APART) - low) / width
    first = []
    for explanation in entry.explanations:
        columns = [TOLD_APART.index(name) for name in explanation]
        wanted = (np.log([explanation[TOLD_APART[c]] for c in columns]) - low[columns]) / width[columns]
        first.append(int(((points[:, columns] - wanted) ** 2).sum(axis=1).argmin()))
    return found.take(common.spread_out(points, KEPT, first))


def report(device: str, sets: list[ParameterSet], observed: list[common.Row]) -> None:
    """Print the chosen sets' range on each row, and MobileNetV2's depthwise share."""
    for row in observed:
        engine = common.engine(device, row.network, row.precision)
        spread = engine.device.attainable.spread
        ratio = engine.seconds(sets) * 1e3 / row.latency_ms
        low, middle, high = ratio.min() / spread, ratio.mean(), ratio.max() * spread
        print(
            f"  {row.use:5} {row.network:14} {row.latency_ms:7.3f} ms: predicted/published"
            f" {low:.2f} - {middle:.3f} - {high:.2f}, high/low {high / low:.2f}"
        )
    for words, share in depthwise_shares(device, sets).items():
        print(f"  MobileNetV2, {words}: {share.min():.1%} - {share.mean():.1%} - {share.max():.1%} of the total")


def depthwise_shares(device: str, sets: list[ParameterSet]) -> dict[str, common.Array]:
    """Shares of MobileNetV2's time, one per set: depthwise kernels above their MACs at dense efficiency, and more."""
    engine = common.engine(device, "mobilenet_v2", "int8")
    index = KERNEL_CLASSES.index("depthwise")
    depthwise = [i for i, load in enumerate(engine.loads) if load.class_index == index]
    total, kernels = engine.seconds(sets), engine.kernel_seconds(sets)[depthwise].sum(axis=0)
    rate = engine.device.peak_ops_per_s("int8") * np.array([chosen.conv for chosen in sets])
    ideal = sum(engine.loads[i].operations for i in depthwise) / rate
    ideal = ideal + len(depthwise) * 1e-6 * np.array([chosen.overhead_us for chosen in sets])
    dense = [common.replaced(chosen, depthwise=chosen.conv) for chosen in sets]
    return {
        "depthwise kernels": kernels / total,
        "depthwise kernels above launch and MACs at dense efficiency (rule CNV001)": (kernels - ideal) / total,
        "saved if depthwise ran at dense efficiency, bytes and launches kept": 1 - engine.seconds(dense) / total,
    }


def _scaled(chosen: ParameterSet) -> ParameterSet:
    return common.replaced(
        chosen,
        vector_gops=chosen.vector_gops * KIN_SCALE,
        bandwidth_gb_per_s=chosen.bandwidth_gb_per_s * KIN_SCALE,
    )


def main() -> None:
    """Fit every device of DEVICES and print the ranges; with --write, put the sets into the profiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="put the sets into device_profiles/*.toml")
    parser.add_argument("--two-rows", action="store_true", help="leave out the rows of the second source")
    arguments = parser.parse_args()
    published = common.rows("npu_picture", "rdk_model_zoo")
    for entry in DEVICES:
        observed = [row for row in published if row.device == entry.device]
        uses = ("fit",) if arguments.two_rows else ("fit", "bound")
        found = accepted(entry, [row for row in observed if row.use in uses], np.random.default_rng(SEED))
        sets = chosen_sets(entry, found).sets()
        print(f"{entry.device}: {len(found)} of {CANDIDATES} candidates fit, {len(sets)} kept ({entry.reason})")
        for chosen in sets:
            print("   ", " ".join(f"{name} {value:g}" for name, value in common.figures(chosen).items()))
        report(entry.device, sets, observed)
        if arguments.write:
            common.write_sets(entry.device, "fit_two_rows.py", sets)
            if entry.device == "hi3519":
                common.write_sets("hi3516dv300", "fit_two_rows.py", [_scaled(chosen) for chosen in sets])


if __name__ == "__main__":
    main()
