"""Fit the profiles of devices with many published rows: few figures, priors, a robust error, families left out.

    python tests/benchmarks/export_timm.py FOLDER
    ONNXLINT_TIMM_EXPORTS=FOLDER python tests/benchmarks/fit_profiles.py [--write] [DEVICE ...]

One table, FITS, says for each device which rows are fitted and what is believed of each figure before (centre and
spread in natural logarithms). The objective is the mean robust log error over the rows plus a penalty for leaving the
priors; Gauss-Newton steps with damping minimise it. A few distinct parameter sets near the optimum are kept, so that a
price is a range; the profile's `spread` widens it.

Every family of networks is then left out in turn, the rest fitted, and the family predicted: what is printed beside the
error in sample, and what `--write` puts into accuracy_of_profiles.csv, from which the README's table is made.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import fit_common as common
import numpy as np

from onnxlint.device import Device
from onnxlint.device_attainable import ParameterSet

STEPS, STARTS = 30, 3
KEPT, DRAWN = 6, 240
SLACK = 0.015  # how much worse than the optimum a kept set's objective may be, in mean log error
SOFT = 0.1  # log errors below this count quadratically, larger ones linearly
PENALTY = 0.006
SEED = 1807
ACCURACY = Path(__file__).resolve().parent / "accuracy_of_profiles.csv"
COLUMNS = (
    "device",
    "rows",
    "families",
    "median_error_in_sample",
    "median_error_left_out",
    "within_20_left_out",
    "spearman_left_out",
    "measured",
    "source",
)

Prior = dict[str, tuple[float, float]]
# One core of an Arm CPU under ncnn: 3×3 by Winograd (up to 2.25 or 4 times fewer multiplications), 1×1 as a matrix
# product (as is Gemm), depthwise by vectors along width or channels, element-wise arithmetic from a third of the peak
# down.
CPU: Prior = {
    "conv": (0.7, 0.4),
    "conv3x3_to_conv": (1.8, 0.3),
    "pointwise_to_conv": (1.0, 0.3),
    "depthwise_to_conv": (0.3, 0.4),
    "grouped_to_conv": (0.6, 0.4),
    "gemm": (0.5, 0.4),
    "vector_gops": (5.0, 0.8),
    "bandwidth_gb_per_s": (3.0, 0.5),
    "overhead_us": (30.0, 0.8),
    "vector_overhead_ratio": (0.5, 0.4),
}
# Products of few outputs or of little depth: loading and storing a tile is spread over less arithmetic.
TILES: Prior = {"half_depth": (6.0, 0.3), "half_outputs": (6.0, 0.3)}
# A GPU at batch 1. Depthwise and grouped kernels leave most of the array idle; launches cost 2 to 20 µs.
GPU: Prior = {
    "conv": (0.3, 0.4),
    "conv3x3_to_conv": (1.1, 0.2),
    "pointwise_to_conv": (0.8, 0.3),
    "depthwise_to_conv": (0.12, 0.5),
    "grouped_to_conv": (0.4, 0.5),
    "gemm": (0.3, 0.4),
    "vector_gops": (4000.0, 0.3),
    "bandwidth_gb_per_s": (250.0, 0.2),
    "overhead_us": (8.0, 0.4),
    "vector_overhead_ratio": (0.5, 0.4),
}
# A multiply-accumulate array of 1 to 26 TOPS with memory beside it, one layer after another.
NPU: Prior = {
    "conv": (0.4, 0.6),
    "conv3x3_to_conv": (1.1, 0.2),
    "pointwise_to_conv": (0.8, 0.4),
    "depthwise_to_conv": (0.12, 0.8),
    "grouped_to_conv": (0.4, 0.5),
    "gemm": (0.2, 0.6),
    "vector_gops": (60.0, 0.8),
    "bandwidth_gb_per_s": (8.0, 0.5),
    "overhead_us": (5.0, 0.8),
    "vector_overhead_ratio": (1.0, 0.3),
}


# A desktop's CPU or GPU under PyTorch, by timm's tables. Small kernels run from the cache; its size is a step without a
# gradient, so it is chosen and not fitted.
TIMM: Prior = {
    "conv": (0.4, 0.4),
    "conv3x3_to_conv": (1.0, 0.4),
    "pointwise_to_conv": (1.0, 0.4),
    "depthwise_to_conv": (0.15, 0.8),
    "grouped_to_conv": (0.5, 0.5),
    "gemm": (0.5, 0.4),
    "attention": (0.4, 0.6),
    "overhead_us": (20.0, 0.7),
    "vector_overhead_ratio": (0.3, 0.7),
}
TIMM_CPU: Prior = TIMM | {
    "vector_gops": (500.0, 0.7),
    "bandwidth_gb_per_s": (40.0, 0.4),
    "cache_gb_per_s": (150.0, 0.5),
    "cache_kib": (2000.0, 0.4),
}
TIMM_GPU: Prior = TIMM | {
    "gemm": (0.8, 0.2),
    "pointwise_to_conv": (1.5, 0.3),
    "depthwise_to_conv": (0.06, 0.8),
    "vector_gops": (16000.0, 0.4),
    "bandwidth_gb_per_s": (750.0, 0.1),
    "vector.half_positions": (500000.0, 0.7),
}
# A GPU of 2022 under PyTorch: captured graphs leave 1 to 5 µs a kernel; one image does not fill 132 processors.
# Products of few columns or little depth leave the tiles of tensor cores idle, and so does attention over few keys.
HOPPER: Prior = TIMM | {
    "conv": (0.7, 0.4),
    "pointwise_to_conv": (1.0, 0.3),
    "depthwise_to_conv": (0.03, 0.8),
    "grouped_to_conv": (0.6, 0.6),
    "gemm": (0.75, 0.3),
    "attention": (0.3, 0.8),
    "vector_gops": (30000.0, 0.5),
    "bandwidth_gb_per_s": (2700.0, 0.2),
    "cache_gb_per_s": (5500.0, 0.3),
    "cache_kib": (25000.0, 0.3),
    "overhead_us": (5.0, 0.5),
    "gemm.overhead_us": (3.0, 0.4),
    "vector_overhead_ratio": (0.5, 0.4),
    "half_positions": (3000.0, 1.0),
    "half_outputs": (64.0, 0.7),
    "half_depth": (200.0, 0.7),
    "vector.half_positions": (500000.0, 0.7),
    "gemm.half_positions": (3000.0, 1.0),
    "gemm.half_outputs": (64.0, 0.7),
    "gemm.half_depth": (200.0, 0.7),
    "attention.half_depth": (300.0, 1.0),
    "grouped.half_outputs": (16.0, 1.0),
    "grouped.half_depth": (30.0, 1.0),
}


@dataclass(frozen=True)
class Fit:
    """A device, the tables whose `fit` rows it is fitted to, and its priors: figure → (centre, spread of the log).

    `kin` is a device without rows that gets the same sets, its figures scaled by `kin_scale`. `folds`: families are
    left out in so many groups, not one by one.
    """

    device: str
    tables: tuple[str, ...]
    prior: Prior
    source: str
    kin: str = ""
    kin_scale: dict[str, float] = field(default_factory=dict)
    folds: int = 0


NCNN = "ncnn benchmark, one thread"
FITS = (
    Fit("cortex-a53", ("ncnn",), CPU | TILES, NCNN),
    Fit(
        "cortex-a72",
        ("ncnn",),
        CPU | TILES | {"vector_gops": (8.0, 0.8), "bandwidth_gb_per_s": (4.0, 0.5), "overhead_us": (20.0, 0.8)},
        NCNN,
    ),
    Fit(
        "cortex-a76",
        ("ncnn",),
        CPU | {"vector_gops": (20.0, 0.8), "bandwidth_gb_per_s": (9.0, 0.5), "overhead_us": (10.0, 0.8)},
        NCNN,
    ),
    Fit(
        "snapdragon810",
        ("ncnn", "shufflenetv2"),
        CPU | TILES | {"vector_gops": (8.0, 0.8), "bandwidth_gb_per_s": (5.0, 0.5)},
        f"{NCNN}; ShuffleNetV2 paper",
    ),
    Fit(
        "t4",
        ("mmdeploy",),
        GPU | {"conv": (0.5, 0.4)},
        "mmdeploy, TensorRT, batch 1",
        # the ratio of the fp32 peaks, of the bandwidths, and launches at a higher clock
        kin="a4000",
        kin_scale={"vector_gops": 2.35, "bandwidth_gb_per_s": 1.4, "overhead_us": 0.65, "vector_overhead_us": 0.65},
    ),
    Fit(
        "gtx1080ti",
        ("shufflenetv2",),
        GPU
        | {
            "conv": (0.7, 0.3),
            "pointwise_to_conv": (1.0, 0.2),
            "vector_gops": (5600.0, 0.3),
            "bandwidth_gb_per_s": (350.0, 0.2),
        },
        "ShuffleNetV2 paper, batch 1",
    ),
    Fit(
        "hailo-8",
        ("hailo",),
        NPU
        | {
            "vector_gops": (1000.0, 0.8),
            "bandwidth_gb_per_s": (100.0, 0.8),
            "overhead_us": (2.0, 0.8),
            "stream_gb_per_s": (3.0, 0.4),
            "switch_us": (20.0, 0.8),
        },
        "Hailo model zoo, batch 1 and 8",
    ),
    Fit("rk3588", ("rknn_model_zoo",), NPU, "rknn_model_zoo, one core"),
    Fit("rk3568", ("rknn_model_zoo",), NPU | {"bandwidth_gb_per_s": (4.0, 0.5)}, "rknn_model_zoo"),
    Fit("x5", ("rdk_model_zoo",), NPU | {"run_us": (500.0, 0.3)}, "D-Robotics rdk_model_zoo, one thread and more"),
    Fit(
        "edgetpu",
        ("coral",),
        NPU | {"bandwidth_gb_per_s": (20.0, 0.8), "stream_gb_per_s": (0.4, 0.3)},
        "coral.ai benchmarks, Dev Board",
    ),
    Fit("i9-10940x", ("timm_i9_10940x",), TIMM_CPU, "timm, PyTorch 2.4 compiled, fp32, batch 1"),
    Fit("i7-12700h", ("timm_i7_12700h",), TIMM_CPU, "timm, PyTorch 2.4 compiled, fp32, batch 1"),
    Fit(
        "h100",
        ("pytorch_h100",),
        HOPPER,
        "measured: PyTorch 2.11, CUDA graph, fp16, batch 1 and 64",
        folds=12,
    ),
    Fit(
        "h200",
        ("pytorch_h200",),
        HOPPER | {"bandwidth_gb_per_s": (3700.0, 0.2)},
        "measured: PyTorch 2.11, CUDA graph, fp16, batch 1 and 64",
        folds=12,
    ),
    Fit("rtx3090", ("timm_rtx3090",), TIMM_GPU, "timm, PyTorch 2.4 eager, fp16, batch 64 to 1024"),
)


def rows_of(fit: Fit) -> list[common.Row]:
    """The published rows of a fit's device."""
    return [row for row in common.rows(*fit.tables) if row.device == fit.device]


def log_ratios(sets: Sequence[ParameterSet], observed: Sequence[common.Row]) -> common.Array:
    """ln(predicted / published), rows × sets."""
    keys = [(row.device, row.network, row.precision, row.batch) for row in observed]
    engines = [common.engine(*key) for key in keys]
    found = np.zeros((len(observed), len(sets)))
    for precision in dict.fromkeys(row.precision for row in observed):
        chosen = [i for i, row in enumerate(observed) if row.precision == precision]
        loads, places = common.pooled(tuple(keys[i] for i in chosen))
        times = engines[chosen[0]].machine(sets).times(loads)[0][places]
        starts = np.cumsum([0, *(len(engines[i].loads) for i in chosen)])[:-1]
        found[chosen] = np.add.reduceat(times, starts, axis=0)
    run = np.array([chosen.run_us * 1e-6 for chosen in sets])
    for i, row in enumerate(observed):
        found[i] += engines[i].fixed_s + (0.0 if row.measured == "interval" else run)
    published = np.array([row.latency_ms for row in observed])[:, None]
    return np.log(found * 1e3 / published)


def profile(device: str) -> Device:
    """The profile as it stands in the checkout."""
    return common.device(device)


def above_nominal(device: str, sets: Sequence[ParameterSet]) -> common.Array:
    """By how much a set's bandwidth exceeds the datasheet's (log; 0 where it does not or nobody published it)."""
    nominal = profile(device).bandwidth_gb_per_s.value
    if nominal is None:
        return np.zeros(len(sets))
    excess: common.Array = np.maximum(0.0, np.log([chosen.bandwidth_gb_per_s / nominal for chosen in sets]))
    return excess


class Problem:
    """The objective of one fit over rows: points are the figures' distance from their priors in spreads."""

    def __init__(self, fit: Fit, observed: Sequence[common.Row]) -> None:
        self.fit, self.observed = fit, observed
        self.names = list(fit.prior)
        self.centre = np.log([fit.prior[name][0] for name in self.names])
        self.sigma = np.array([fit.prior[name][1] for name in self.names])

    def parameters(self, points: common.Array) -> common.Parameters:
        """Points as figures."""
        logs = self.centre + points * self.sigma
        return common.Parameters({name: np.exp(logs[:, i]) for i, name in enumerate(self.names)})

    def errors(self, points: common.Array) -> common.Array:
        """Log errors, rows × points."""
        return log_ratios(self.parameters(points).sets(12), self.observed)

    def objective(self, points: common.Array, errors: common.Array | None = None) -> common.Array:
        """Mean robust log error plus penalties, one per point."""
        errors = self.errors(points) if errors is None else errors
        robust = (np.sqrt(errors**2 + SOFT**2) - SOFT).mean(axis=0)
        nominal = above_nominal(self.fit.device, self.parameters(points).sets(12))
        value: common.Array = robust + PENALTY * (points**2).sum(axis=1) + 10 * nominal
        return value

    def minimise(self, start: common.Array) -> tuple[common.Array, float, common.Array]:
        """The point reached from `start`, its objective, and the curvature there."""
        point, damping, step = start, 0.1, 1e-3
        count = len(self.names)
        value, hessian = np.inf, np.eye(count)
        for _ in range(STEPS):
            around = np.concatenate([point[None], point + step * np.eye(count)])
            errors = self.errors(around)
            value = float(self.objective(around[:1], errors[:, :1])[0])
            jacobian = (errors[:, 1:] - errors[:, :1]) / step
            weight = 1 / np.sqrt(errors[:, 0] ** 2 + SOFT**2) / len(self.observed)
            gradient = jacobian.T @ (weight * errors[:, 0]) + 2 * PENALTY * point
            hessian = (jacobian.T * weight) @ jacobian + 2 * PENALTY * np.eye(count)
            dampings = damping * np.array([0.1, 1.0, 10.0, 100.0])
            tried = np.stack(
                [point - np.linalg.solve(hessian + d * np.diag(np.diag(hessian)), gradient) for d in dampings]
            )
            values = self.objective(tried)
            best = int(values.argmin())
            if values[best] >= value - 1e-6:
                break
            point, value, damping = tried[best], float(values[best]), float(np.clip(dampings[best], 1e-3, 1e3))
        return point, value, hessian


def family_of(row: common.Row) -> str:
    """The family that a row is left out with."""
    return row.family or common.family(row.network)


def near_optimum(fit: Fit, observed: Sequence[common.Row], starts: int = STARTS) -> list[ParameterSet]:
    """The best set and a few others, far apart, that are hardly worse."""
    problem = Problem(fit, observed)
    rng = np.random.default_rng(SEED)
    count = len(problem.names)
    found = [problem.minimise(np.zeros(count) if i == 0 else 0.7 * rng.standard_normal(count)) for i in range(starts)]
    point, value, hessian = min(found, key=lambda one: one[1])
    # the objective rises by about x·H·x/2: draws of one to three times the slack
    axes = np.linalg.cholesky(np.linalg.inv(hessian))
    directions = rng.standard_normal((DRAWN, count)) / np.sqrt(count)
    drawn = point + np.sqrt(2 * SLACK) * rng.uniform(0.3, 1.5, (DRAWN, 1)) * directions @ axes.T
    points = np.concatenate([point[None], drawn])
    close = points[problem.objective(points) <= value + SLACK]
    chosen = common.spread_out(close, KEPT, [0])
    return problem.parameters(close[chosen]).sets()


def predictions(sets: Sequence[ParameterSet], observed: Sequence[common.Row]) -> common.Array:
    """predicted / published of the mean over the sets, one per row."""
    ratios: common.Array = np.exp(log_ratios(sets, observed)).mean(axis=1)
    return ratios


def left_out(fit: Fit, observed: Sequence[common.Row]) -> common.Array:
    """predicted / published of each row by the fit to all other families."""
    found = np.ones(len(observed))
    number = {name: i for i, name in enumerate(dict.fromkeys(map(family_of, observed)))}
    folds = [number[family_of(row)] % (fit.folds or len(number)) for row in observed]
    for fold in range(max(folds) + 1):
        out = [i for i, own in enumerate(folds) if own == fold]
        rest = [row for row, own in zip(observed, folds, strict=True) if own != fold]
        found[out] = predictions(near_optimum(fit, rest, 1), [observed[i] for i in out])
    return found


def spearman(first: common.Array, second: common.Array) -> float:
    """Spearman's rank correlation, ties by their mean rank."""

    def ranks(values: common.Array) -> common.Array:
        order = np.unique(values, return_inverse=True)
        counts = np.cumsum(np.bincount(order[1]))
        middle: common.Array = counts - (np.bincount(order[1]) - 1) / 2
        return middle[order[1]]

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def accuracy(fit: Fit, observed: Sequence[common.Row], inside: common.Array, outside: common.Array) -> dict[str, str]:
    """The device's line of the accuracy table."""
    published = np.array([row.latency_ms for row in observed])
    errors, errors_out = np.abs(inside - 1), np.abs(outside - 1)
    return {
        "device": fit.device,
        "rows": str(len(observed)),
        "families": str(len({family_of(row) for row in observed})),
        "median_error_in_sample": f"{np.median(errors):.3f}",
        "median_error_left_out": f"{np.median(errors_out):.3f}",
        "within_20_left_out": f"{np.mean(errors_out <= 0.2):.3f}",
        "spearman_left_out": f"{spearman(outside * published, published):.3f}" if len(observed) >= 20 else "",
        "measured": " and ".join(sorted({row.measured for row in observed})),
        "source": fit.source,
    }


def record(lines: Iterable[dict[str, str]]) -> None:
    """Put devices' lines into the accuracy table in place of their old ones."""
    kept: dict[str, dict[str, str]] = {}
    if ACCURACY.exists():
        with ACCURACY.open(encoding="utf-8", newline="") as file:
            kept = {line["device"]: line for line in csv.DictReader(file)}
    kept |= {line["device"]: line for line in lines}
    with ACCURACY.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept[name] for name in sorted(kept))


def run(fit: Fit, write: bool) -> None:
    """Fit one device, print its rows and errors; with `write`, put the sets into its profile."""
    published = rows_of(fit)
    observed = [row for row in published if row.use == "fit"]
    sets = near_optimum(fit, observed)
    inside, outside = predictions(sets, observed), left_out(fit, observed)
    spread = profile(fit.device).attainable.spread
    ratios = np.exp(log_ratios(sets, observed))
    low, high = ratios.min(axis=1) / spread, ratios.max(axis=1) * spread
    for i, row in enumerate(observed):
        print(
            f"  {row.network:36} {row.precision} x{row.batch} {row.measured[:7]:8} {row.latency_ms:9.3f} ms:"
            f" {low[i]:.2f} - {inside[i]:.2f} - {high[i]:.2f} (left out {outside[i]:.2f})"
        )
    checks = [row for row in published if row.use == "check"]
    for row, ratio in zip(checks, predictions(sets, checks) if checks else (), strict=True):
        print(f"  check {row.network:30} {row.precision} {row.latency_ms:9.3f} ms: {ratio:.2f}")
    line = accuracy(fit, observed, inside, outside)
    within = np.mean((low <= 1) & (high >= 1))
    print(" ", " ".join(f"{key} {value}" for key, value in line.items()), f"inside the range {within:.0%}")
    for chosen in sets:
        print("    ", " ".join(f"{name} {value:g}" for name, value in common.figures(chosen).items() if value))
    if write:
        write_profile(fit.device, sets, len(observed))
        if fit.kin:
            common.write_sets(fit.kin, "fit_profiles.py", [_scaled(chosen, fit.kin_scale) for chosen in sets])
        record([line])


def write_profile(device: str, sets: Sequence[ParameterSet], count: int) -> None:
    """Put the sets, and on how many rows they are fitted, into the profile."""
    common.write_sets(device, "fit_profiles.py", sets)
    path = common.PROFILES / f"{device}.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^fitted_on = \d+$", f"fitted_on = {count}", text), encoding="utf-8")


def _scaled(chosen: ParameterSet, scale: dict[str, float]) -> ParameterSet:
    stated = common.figures(chosen)
    return common.replaced(chosen, **{name: stated[name] * factor for name, factor in scale.items() if name in stated})


def main() -> None:
    """Fit the devices named, or all of FITS."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="default: all")
    parser.add_argument("--write", action="store_true", help="put the sets into device_profiles/*.toml")
    arguments = parser.parse_args()
    for fit in FITS:
        if not arguments.devices or fit.device in arguments.devices:
            print(fit.device)
            run(fit, arguments.write)


if __name__ == "__main__":
    main()
