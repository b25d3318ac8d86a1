"""Forms of operators that cost differently, and how much of its data a node handles in one go."""

from __future__ import annotations

from math import inf

import pytest
from test_latency import plain_device

from onnxlint.analysis import Analysis
from onnxlint.engine import read_model
from onnxlint.graph import Graph
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.target import target_for
from onnxlint.variants import form_of, run_of


def graph_of(text: str) -> Graph:
    return read_model(example_model(text), Settings()).graph


@pytest.mark.parametrize(
    ("text", "form", "run"),
    [
        ("g (float[2,8,49,16] x) => (float[2,8,49,16] y) { y = Softmax<axis=-1>(x) }", "Softmax", 16),
        ("g (float[2,8,49,16] x) => (float[2,8,49,16] y) { y = Softmax<axis=2>(x) }", "Softmax.inner", 784),
        ("g (float[2,49,4,16] x) => (float[2,4,49,16] y) { y = Transpose<perm=[0,2,1,3]>(x) }", "Transpose", 16),
        ("g (float[2,49,4,16] x) => (float[2,4,16,49] y) { y = Transpose<perm=[0,2,3,1]>(x) }", "Transpose.last", inf),
        ("g (float[1,6,8,4] x) => (float[1,8,4,6] y) { y = Transpose<perm=[0,2,3,1]>(x) }", "Transpose.last", inf),
        ("g (float[6,8,4] x) => (float[4,8,6] y) { y = Transpose<perm=[2,1,0]>(x) }", "Transpose.mixed", inf),
        ("g (float[6,1,4] x) => (float[4,1,6] y) { y = Transpose<perm=[2,1,0]>(x) }", "Transpose.last", inf),
        ("g (float[2,4,8,6] x) => (float[6,8,4,2] y) { y = Transpose(x) }", "Transpose.mixed", inf),
        (
            "g (float[2,9,6] x) => (float[2,4,6] y) <int64[1] a = {0}, int64[1] e = {8}, int64[1] i = {1}, "
            "int64[1] s = {2}> { y = Slice(x, a, e, i, s) }",
            "Slice",
            6,
        ),
        ("g (float[2,4,6] x) => (float[2,2,6] a, float[2,2,6] b) { a, b = Split<axis=1>(x) }", "Split", 24),
        (
            "g (float[2,4,1] x) => (float[2,4,9] y) <int64[3] s = {2,4,9}> { y = Expand(x, s) }",
            "Expand.last",
            9,
        ),
        (
            "g (float[2,4,1,1] x) => (float[2,4,3,9] y) <int64[4] s = {2,4,3,9}> { y = Expand(x, s) }",
            "Expand.last",
            27,
        ),
        (
            "g (float[2,1,6] x) => (float[2,4,6] y) <int64[3] s = {2,4,6}> { y = Expand(x, s) }",
            "Expand",
            6,
        ),
        ("g (float[2,4,6] x) => (float[2,4,6] y) { y = Relu(x) }", "Relu", inf),
        ("g (float[2,4,6] x, float[4,1] s) => (float[2,4,6] y) { y = Mul(x, s) }", "Mul.broadcast", inf),
        ("g (float[2,4,6] x, float[1] s) => (float[2,4,6] y) { y = Mul(x, s) }", "Mul", inf),
        ("g (float[2,4,6] x, float[1] s) => (float[2,4,6] y) { y = Mul(s, x) }", "Mul", inf),
    ],
)
def test_forms_and_runs(text: str, form: str, run: float) -> None:
    graph = graph_of(text)
    (node,) = graph.compute_nodes
    assert form_of(graph, node) == form
    assert run_of(graph, node) == run


def test_a_row_as_long_as_the_half_takes_twice_as_long() -> None:
    graph = graph_of("g (float[1,1000,50] x) => (float[1,1000,50] y) { y = Softmax<axis=-1>(x) }")
    plain = plain_device(short_runs={})
    slow = plain_device(short_runs={"Softmax": 50.0})
    launch = plain.attainable.sets[0].launch_us("vector") * 1e-6
    times = [float(Analysis(graph, target_for(device)).total.mean()) - launch for device in (plain, slow)]
    assert times[1] == pytest.approx(2 * times[0])


def test_other_rows_are_left_alone() -> None:
    graph = graph_of("g (float[1,1000,50] x) => (float[1,1000,50] y) { y = Sigmoid(x) }")
    with_table, without = (plain_device(short_runs=table) for table in ({"Softmax": 50.0}, {}))
    assert Analysis(graph, target_for(with_table)).total == pytest.approx(Analysis(graph, target_for(without)).total)
