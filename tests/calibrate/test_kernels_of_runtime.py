"""Our kernels against ONNX Runtime's own optimized graph."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from zoo import build
from zoo.weights import fill

from onnxlint.analysis import Analysis, target_for
from onnxlint.calibrate.machine import layout_block
from onnxlint.calibrate.partial import Circumstances
from onnxlint.calibrate.profile import starting_device
from onnxlint.calibrate.sessions import open_session
from onnxlint.engine import read_model
from onnxlint.measure.join import Join, tagged
from onnxlint.settings import Settings

WHERE = Circumstances("a machine", "onnxruntime", "CPUExecutionProvider", 1, 0)


def agreement(name: str, folder: Path) -> float:
    """The share of the runtime's kernels that are one of ours."""
    block = layout_block("CPUExecutionProvider")
    device = starting_device("box", WHERE, block, 100.0)
    model = tagged(fill(build(name)))
    path = folder / "optimized.onnx"
    open_session(model, threads=1, optimized_path=str(path))
    analysis = Analysis(read_model(model, Settings()).graph, target_for(device))
    same, total = Join(analysis, onnx.load(str(path)).graph.node).agreement()
    return same / total


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("resnet18", 0.98),
        ("mobilenet_v2", 0.95),
        ("mobilenet_v3_small", 0.9),
        ("efficientnet_b0", 0.9),
        ("shufflenet_v2_x0_5", 0.85),
        ("shufflenet_v1_g3", 0.98),
        ("squeezenet_1_1", 0.95),
        ("tinybert_4l_312", 0.8),
        ("vit_tiny", 0.8),
    ],
)
def test_our_kernels_are_the_runtime_s(name: str, least: float, tmp_path: Path) -> None:
    assert agreement(name, tmp_path) >= least
