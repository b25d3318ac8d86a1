"""OPS006, OPS007, OPS009 and OPS010: types, control flow, formats and weights that a device does not take."""

from __future__ import annotations

import numpy as np
import pytest
from edited import graph_of, run, same_outputs

from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.patterns.mixed_kernels import mixed_kernels
from onnxlint.patterns.unrolled import unrolled
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import Report
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.values import Array
from onnxlint.whatif import apply

LOOP = """loop (float[1,8] x) => (float[1,8] y, float[3,1,8] each)
<int64 trips = {3}, bool go = {1}> {
  y, each = Loop (trips, go, x) <body = step (int64 i, bool c, float[1,8] s) => (bool d, float[1,8] t, float[1,8] u) {
    d = Identity(c)
    n = Cast<to = 1>(i)
    t = Add(s, n)
    u = Relu(t)
  }>
}"""
DYNAMIC = """dynamic (float[1,8,14,14] x, float[1,4] p) => (float[1,8,14,14] y)
<float[4,576] k, int64[4] s = {8,8,3,3}> {
  m = MatMul(p, k) w = Reshape(m, s) y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w) }"""


def lint(text: str, code: str, device: str) -> Report:
    rule = find_rule(installed_rules(), code)
    report = lint_graph(read_model(example_model(text), Settings()), load_device(device), [rule], Settings())
    assert not [problem for problem in report.incomplete if problem.startswith("rule ")]
    return report


def test_an_unrolled_loop_computes_the_same() -> None:
    graph = graph_of(LOOP)
    edits = unrolled(graph, graph.compute_nodes[0])
    after = apply(graph, edits)
    assert not any(node.bodies for node in after.compute_nodes)
    x = np.linspace(-4, 4, 8, dtype=np.float32).reshape(1, 8)

    def weights(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        if name.endswith("axes"):
            return np.array([0])
        trip = int(name.rpartition("/")[2])
        return np.array(trip if dtype == 7 else True)

    got = run(after, weights, {"x": x})
    states = [x, x + 1, x + 3]
    assert np.array_equal(got[0], states[-1])
    assert np.array_equal(got[1], np.maximum(np.stack(states), 0))


@pytest.mark.parametrize("trips", ["{0}", "{65}"])
def test_no_trip_and_too_many_are_left(trips: str) -> None:
    graph = graph_of(LOOP.replace("trips = {3}", f"trips = {trips}").replace("float[3,1,8] each", "each"))
    assert unrolled(graph, graph.compute_nodes[0]) == ()


def test_a_loop_of_unknown_length_gets_advice() -> None:
    text = LOOP.replace("float[1,8] x)", "float[1,8] x, int64 trips)").replace("int64 trips = {3}, ", "")
    [finding] = lint(text.replace("float[3,1,8] each", "each"), "OPS007", "rk3588").findings
    assert finding.fix is None
    assert "Fix the number of trips" in finding.suggestion


def test_mixed_outputs_are_the_output_of_mixed_kernels() -> None:
    graph = graph_of(DYNAMIC)
    found = mixed_kernels(graph, graph.node("y"))
    assert found is not None
    kernels = np.random.default_rng(0).standard_normal((4, 576)).astype(np.float32)
    shapes = {"flat_shape": [4, 8 * 14 * 14], "row_shape": [1, 4], "back_shape": [1, 8, 14, 14]}

    def after(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        word = name.rpartition("/")[2]
        return np.array(shapes[word]) if word in shapes else kernels.reshape(32, 8, 3, 3)

    assert same_outputs(graph, found.edits, lambda *_: kernels, after)


def test_a_weight_that_depends_on_constants_alone_is_constant() -> None:
    text = """n (float[1,8,14,14] x) => (y) <float[8,8,3,3] w, float[8,1,1,1] s> { v = Mul(w, s) y = Conv(x, v) }"""
    assert lint(text, "OPS010", "ethos-u65").findings == ()


def test_float64_is_found_on_a_cpu_too() -> None:
    text = """n (float[1,64,56,56] x) => (y) <double c> { a = Cast<to = 11>(x) b = Mul(a, c) y = Cast<to = 1>(b) }"""
    [finding] = lint(text, "OPS006", "cortex-a76").findings
    assert finding.fix is not None
    assert finding.fix.safety == "close"
    assert finding.saving_s is not None
    assert finding.saving_s > 0


def test_looked_up_indices_and_shapes_are_no_int64_arithmetic() -> None:
    lookup = "n (int64[1,128] ids) => (y) <float[1000,64] t> { y = Gather(t, ids) }"
    shapes = """n (float[1,8,14,14] x) => (y) <int64[1] minus = {-1}, int64[1] one = {1}> {
      s = Shape(x) n = Gather(s, one) m = Mul(n, n) t = Concat<axis = 0>(m, minus) y = Reshape(x, t) }"""
    for text in (lookup, shapes):
        assert lint(text, "OPS006", "rk3588").findings == ()


@pytest.mark.parametrize(
    ("device", "opset", "words"),
    [
        ("x3", 17, "Export again with opset_version=11"),
        ("x3", 11, ""),
        ("rk3588", 11, "Export again with opset_version=12"),
        ("rk3588", 17, ""),
        ("hi3519", 11, "Caffe 1.0"),
        ("edgetpu", 17, "onnx2tf"),
        ("t4", 17, ""),
        ("cv22", 17, ""),
    ],
)
def test_the_format_is_told_in_the_verdict(device: str, opset: int, words: str) -> None:
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> n (float[1,8,8,8] x) => (y) {{ y = Relu(x) }}'
    report = lint(text, "OPS009", device)
    assert report.verdict is not None
    assert bool(report.verdict.toolchain) == bool(words)
    assert words in report.verdict.toolchain
    assert all(finding.in_verdict and finding.severity == "info" for finding in report.findings)


def test_what_the_older_opset_lacks_is_named() -> None:
    text = "n (float[1,8,8,8] x) => (y) { y = HardSwish(x) }"
    report = lint(text, "OPS009", "x5")
    assert report.verdict is not None
    assert "It has no HardSwish" in report.verdict.toolchain
