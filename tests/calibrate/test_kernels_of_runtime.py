"""Our kernels against ONNX Runtime's own optimized graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
from quantized import RESIDUAL, TOKENS, quantized
from zoo import build
from zoo.weights import fill

from onnxlint.analysis import Analysis
from onnxlint.calibrate.machine import layout_block
from onnxlint.calibrate.partial import Circumstances
from onnxlint.calibrate.profile import starting_device
from onnxlint.calibrate.sessions import open_session
from onnxlint.engine import read_model
from onnxlint.measure.join import Join, tagged
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.target import target_for

WHERE = Circumstances("a machine", "onnxruntime", "CPUExecutionProvider", 1, 0)

_FLOAT_TWIN = {
    "QLinearConv": "Conv",
    "QLinearMatMul": "MatMul",
    "QLinearAdd": "Add",
    "QLinearMul": "Mul",
    "QLinearSoftmax": "Softmax",
    "QLinearConcat": "Concat",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
}


def clone(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def both(model: onnx.ModelProto, folder: Path) -> tuple[Analysis, list[onnx.NodeProto]]:
    """Our view of a model, and the nodes that ONNX Runtime makes of it."""
    block = layout_block("CPUExecutionProvider")
    device = starting_device("box", WHERE, block, 100.0, 200.0)
    model = tagged(model)
    path = folder / "optimized.onnx"
    open_session(model, threads=1, optimized_path=str(path))
    analysis = Analysis(read_model(model, Settings()).graph, target_for(device))
    return analysis, list(onnx.load(str(path)).graph.node)


def agreement(model: onnx.ModelProto, folder: Path) -> float:
    """The share of the runtime's kernels that are one of ours."""
    same, total = Join(*both(model, folder)).agreement()
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
    assert agreement(fill(build(name)), tmp_path) >= least


@pytest.mark.parametrize("is_qdq", [True, False])
@pytest.mark.parametrize(("text", "least"), [(RESIDUAL, 0.75), (TOKENS, 0.85)])  # 4 of 18 change the layout
def test_quantized_kernels_are_the_runtime_s(text: str, least: float, is_qdq: bool, tmp_path: Path) -> None:
    assert agreement(clone(quantized(text, is_qdq=is_qdq)), tmp_path) >= least


@pytest.mark.parametrize("text", [RESIDUAL, TOKENS])
def test_what_runs_on_integers_is_what_the_runtime_runs_on_them(text: str, tmp_path: Path) -> None:
    analysis, nodes = both(clone(quantized(text)), tmp_path)
    theirs = Counter(_FLOAT_TWIN.get(node.op_type, node.op_type) for node in nodes if node.op_type in _FLOAT_TWIN)
    integers = analysis.costs.integers
    ours = Counter(
        kernel.main.op_type
        for kernel in analysis.kernels
        if kernel.main.op_type in theirs
        and kernel.nodes[-1].op_type == "QuantizeLinear"
        and any(name in integers for name in kernel.main.inputs)
    )
    assert ours == theirs
    floats = [node.op_type for node in nodes if node.op_type in ("LayerNormalization", "Erf", "HardSwish")]
    assert sorted(floats) == sorted(k.label for k in analysis.kernels if k.main.op_type in floats)


@pytest.mark.parametrize(
    "behind",
    [
        "Identity(y)",
        "Cast<to=1>(y)",
        "Expand(y, dims)",
        "Mul(y, one)",
        "Div(y, one)",
        "Slice(y, zero, end, axis)",
        "Slice(y, zero, most, axis)",
        "Slice(y, zero, width, axis)",
        "Tile(y, ones)",
        "Transpose<perm=[0,1,2]>(y)",
        "Concat<axis=1>(y)",
        "Sum(y)",
        "Pow(y, one)",
    ],
)
def test_what_the_runtime_drops_is_no_kernel_of_ours(behind: str, tmp_path: Path) -> None:
    model = example_model(
        f"""
        g (float[2,8,4] x) => (float[2,8,4] w)
          <int64[3] dims = {{2,8,4}}, int64[3] ones = {{1,1,1}}, int64[1] zero = {{0}}, int64[1] axis = {{1}},
           int64[1] width = {{8}}, int64[1] most = {{100}}, int64[1] end = {{9223372036854775807}}> {{
          one = Constant<value = float {{1.0}}>()
          y = Sin(x)
          z = {behind}
          w = Cos(z)
        }}
        """
    )
    analysis, nodes = both(model, tmp_path)
    op = behind.partition("(")[0].partition("<")[0]
    ours = any(kernel.main.op_type == op and not kernel.is_free for kernel in analysis.kernels)
    assert ours == any(node.op_type == op for node in nodes)


@pytest.mark.parametrize(
    "text",
    [
        "a = Conv(x, w) b = Transpose<perm=[0,2,3,1]>(a) y = LayerNormalization(b, s, t)",
        "b = Transpose<perm=[0,2,3,1]>(x) c = LayerNormalization(b, s, t) d = Transpose<perm=[0,3,1,2]>(c)"
        " y = Conv(d, w)",
        "a = Conv(x, w) b = Transpose<perm=[0,3,1,2]>(a) y = Sin(b)",
        "b = Sin(x) d = Transpose<perm=[0,3,1,2]>(b) e = Conv(d, w) y = Add(d, e)",
        "a = Conv(x, w) b = Add(a, a) c = Transpose<perm=[0,2,3,1]>(b) d = Relu(c) e = Transpose<perm=[0,3,1,2]>(d)"
        " f = Conv(e, w) g = Conv(e, v) y = Add(f, g)",
    ],
)
def test_a_transpose_that_the_change_of_layout_does_is_none(text: str, tmp_path: Path) -> None:
    model = example_model(
        f"""g (float[1,32,32,32] x) => (float[a,b,c,d] y) <float[32,32,1,1] w, float[32,32,3,3] v, float[32] s,
        float[32] t> {{ {text.replace("Conv(e, v)", "Conv<pads=[1,1,1,1]>(e, v)")} }}"""
    )
    if layout_block("CPUExecutionProvider") == 1:
        pytest.skip("this machine's runtime has no blocked layout")
    analysis, nodes = both(fill(model), tmp_path)
    ours = sum(kernel.main.op_type == "Transpose" and not kernel.is_free for kernel in analysis.kernels)
    assert ours == sum(node.op_type == "Transpose" for node in nodes)


@pytest.mark.parametrize("shape", ["1,8,16", "1,2,4,16"])
def test_sums_are_normalized_where_the_runtime_has_a_kernel_for_both(shape: str, tmp_path: Path) -> None:
    model = example_model(
        f"""g (float[{shape}] x, float[{shape}] z) => (float[{shape}] y) <float[16] s, float[16] t>
        {{ a = Add(x, z) b = LayerNormalization(a, s, t) y = Sin(b) }}"""
    )
    analysis, nodes = both(fill(model), tmp_path)
    ours = any(kernel.group == "SkipLayerNormalization" for kernel in analysis.kernels)
    assert ours == any(node.op_type == "SkipLayerNormalization" for node in nodes)
