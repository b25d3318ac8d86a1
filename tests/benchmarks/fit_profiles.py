"""Fit the profiles of devices with many published rows: few figures, priors, a robust error, networks left out.

    python tests/benchmarks/fit_profiles.py [--write] [DEVICE ...]

One table, FITS, says for each device which rows are fitted and what is believed of each figure before (centre and
spread in natural logarithms). The objective is the mean robust log error over the rows plus a penalty for leaving the
priors; it is minimised by the cross-entropy method. A few distinct parameter sets near the optimum are kept, so that
a price is a range; the profile's `spread` widens it. Leave-one-network-out errors are printed beside those in-sample:
they go into the profile's note.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import fit_common as common
import numpy as np

from onnxlint.device import Device, ParameterSet
from onnxlint.latency import Machine

POPULATION, ELITE, ROUNDS = 400, 40, 14
KEPT = 6
SLACK = 0.015  # how much worse than the optimum a kept set's objective may be, in mean log error
SOFT = 0.1  # log errors below this count quadratically, larger ones linearly
PENALTY = 0.006
SEED = 1807

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
    "gemm": (0.5, 0.2),
    "vector_gops": (5.0, 0.8),
    "bandwidth_gb_per_s": (3.0, 0.5),
    "overhead_us": (30.0, 0.8),
    "vector_overhead_ratio": (0.5, 0.4),
}
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


@dataclass(frozen=True)
class Fit:
    """A device, the tables whose `fit` rows it is fitted to, and its priors: figure → (centre, spread of the log).

    `kin` is a device without rows that gets the same sets, its figures scaled by `kin_scale`.
    """

    device: str
    tables: tuple[str, ...]
    prior: Prior
    kin: str = ""
    kin_scale: dict[str, float] = field(default_factory=dict)


FITS = (
    Fit("cortex-a53", ("ncnn",), CPU),
    Fit(
        "cortex-a76",
        ("ncnn",),
        CPU | {"vector_gops": (20.0, 0.8), "bandwidth_gb_per_s": (9.0, 0.5), "overhead_us": (10.0, 0.8)},
    ),
    Fit("snapdragon810", ("ncnn", "shufflenetv2"), CPU | {"vector_gops": (8.0, 0.8), "bandwidth_gb_per_s": (5.0, 0.5)}),
    Fit(
        "t4",
        ("mmdeploy",),
        GPU,
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
    ),
)


def objective(fit: Fit, found: common.Parameters, observed: Sequence[common.Row]) -> common.Array:
    """The mean robust log error over the rows plus the penalty of the priors, one per candidate."""
    sets = found.sets()
    errors = log_ratios(sets, observed)
    robust = np.sqrt(errors**2 + SOFT**2) - SOFT
    names = list(fit.prior)
    centre = np.log([fit.prior[name][0] for name in names])
    sigma = np.array([fit.prior[name][1] for name in names])
    penalty = PENALTY * (((found.logs(names) - centre) / sigma) ** 2).sum(axis=1)
    value: common.Array = robust.mean(axis=0) + penalty + 10 * above_nominal(fit.device, sets)
    return value


def above_nominal(device: str, sets: Sequence[ParameterSet]) -> common.Array:
    """By how much a set's bandwidth exceeds the datasheet's (log; 0 where it does not or nobody published it)."""
    nominal = profile(device).bandwidth_gb_per_s.value
    if nominal is None:
        return np.zeros(len(sets))
    excess: common.Array = np.maximum(0.0, np.log([chosen.bandwidth_gb_per_s / nominal for chosen in sets]))
    return excess


def profile(device: str) -> Device:
    """The profile as it stands in the checkout."""
    return common.device(device)


def log_ratios(sets: Sequence[ParameterSet], observed: Sequence[common.Row]) -> common.Array:
    """ln(predicted / published), rows × sets."""
    machines: dict[str, Machine] = {}
    found = []
    for row in observed:
        engine = common.engine(row.device, row.network, row.precision)
        if row.precision not in machines:
            machines[row.precision] = engine.machine(sets)
        found.append(np.log(engine.seconds(sets, machines[row.precision]) * 1e3 / row.latency_ms))
    return np.stack(found)


def optimise(fit: Fit, observed: Sequence[common.Row]) -> tuple[common.Parameters, common.Array]:
    """The candidates of all rounds of the cross-entropy method and their objectives."""
    rng = np.random.default_rng(SEED)
    names = list(fit.prior)
    mean = np.log([fit.prior[name][0] for name in names])
    sigma = np.array([fit.prior[name][1] for name in names])
    seen: list[common.Array] = []
    values: list[common.Array] = []
    for _ in range(ROUNDS):
        points = mean + sigma * rng.standard_normal((POPULATION, len(names)))
        value = objective(fit, _parameters(names, points), observed)
        best = points[np.argsort(value)[:ELITE]]
        mean, sigma = best.mean(axis=0), 0.3 * sigma + 0.7 * best.std(axis=0) * 1.2
        seen.append(points)
        values.append(value)
    return _parameters(names, np.concatenate(seen)), np.concatenate(values)


def _parameters(names: Sequence[str], points: common.Array) -> common.Parameters:
    return common.Parameters({name: np.exp(points[:, i]) for i, name in enumerate(names)})


def near_optimum(fit: Fit, observed: Sequence[common.Row]) -> list[ParameterSet]:
    """The best set and a few others, far apart, that are hardly worse."""
    found, value = optimise(fit, observed)
    close = found.take(value <= value.min() + SLACK)
    values = value[value <= value.min() + SLACK]
    names = list(fit.prior)
    points = close.logs(names) / np.array([fit.prior[name][1] for name in names])
    return close.take(common.spread_out(points, KEPT, [int(values.argmin())])).sets()


def middle_error(sets: Sequence[ParameterSet], row: common.Row) -> float:
    """ln(mean over the sets / published): what the profile's middle is off."""
    return float(np.log(np.exp(log_ratios(sets, [row])).mean()))


def median_percent(errors: Sequence[float]) -> float:
    """The median of |predicted/published - 1| in percent, for log errors."""
    return 100 * float(np.median(np.abs(np.expm1(errors))))


def run(fit: Fit, write: bool) -> None:
    """Fit one device, print its rows and errors; with `write`, put the sets into its profile."""
    published = [row for row in common.rows(*fit.tables) if row.device == fit.device]
    observed = [row for row in published if row.use == "fit"]
    sets = near_optimum(fit, observed)
    left_out = {
        network: near_optimum(fit, [row for row in observed if row.network != network])
        for network in dict.fromkeys(row.network for row in observed)
    }
    spread = profile(fit.device).attainable.spread
    inside = []
    print(f"{fit.device}: {len(observed)} rows, {len(left_out)} networks")
    for row in published:
        ratio = np.exp(log_ratios(sets, [row]))
        low, high = ratio.min() / spread, ratio.max() * spread
        out = f"{np.exp(middle_error(left_out[row.network], row)):5.2f}" if row.use == "fit" else "    -"
        if row.use == "fit":
            inside.append(low <= 1 <= high)
        print(
            f"  {row.use:5} {row.network:24} {row.precision} {row.latency_ms:9.3f} ms: {low:.2f} - {ratio.mean():.2f} -"
            f" {high:.2f} (left out {out}), high/low {high / low:.2f}"
        )
    errors = [middle_error(sets, row) for row in observed]
    outside = [middle_error(left_out[row.network], row) for row in observed]
    print(
        f"  median error {median_percent(errors):.0f} %, left out {median_percent(outside):.0f} %, "
        f"{sum(inside)} of {len(inside)} rows inside the range"
    )
    for chosen in sets:
        print("    ", " ".join(f"{name} {value:g}" for name, value in common.figures(chosen).items()))
    if write:
        common.write_sets(fit.device, "fit_profiles.py", sets)
        if fit.kin:
            common.write_sets(fit.kin, "fit_profiles.py", [_scaled(chosen, fit.kin_scale) for chosen in sets])


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
            run(fit, arguments.write)


if __name__ == "__main__":
    main()
