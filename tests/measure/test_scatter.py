"""The scatter plot: kernels on the diagonal where the prediction is right, counted where they fall together."""

from __future__ import annotations

from onnxlint.measure.compare import KernelTime
from onnxlint.measure.scatter import scatter


def kernel(predicted: float, measured: float) -> KernelTime:
    return KernelTime(0, "n", "Conv", predicted, measured)


def test_what_is_predicted_right_stands_on_the_diagonal() -> None:
    rows = scatter([kernel(1e-4, 1e-4), kernel(1e-6, 1e-6), kernel(1e-3, 1e-5)], 80).splitlines()
    off = next(row for row in rows if "o" in row)
    assert "╱" not in off[: off.index("o")]
    assert sum(row.count("o") for row in rows if row.lstrip().startswith(("│", "1"))) == 3


def test_kernels_in_one_place_are_counted() -> None:
    plot = scatter([kernel(1e-4, 1e-4)] * 3 + [kernel(1e-6, 1e-6)] * 12, 80)
    plane = plot.split("└")[0]
    assert "3" in plane
    assert "●" in plane


def test_kernels_without_a_time_are_said() -> None:
    assert scatter([kernel(0.0, 1e-6)], 80) == "1 kernel without a time on one side (views, what was fused away)\n"
