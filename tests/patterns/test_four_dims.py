"""Element-wise operators in four dims, between views."""

from __future__ import annotations

import numpy as np
import pytest
from edited import graph_of, same_outputs

from onnxlint.patterns.four_dims import in_four_dims
from onnxlint.values import Array
from onnxlint.whatif import apply


@pytest.mark.parametrize("body", ["Mul(x, z)", "Add(z, x)", "Mul(x, s)", "Sub(x, x)", "Div(x, s)"])
@pytest.mark.parametrize("shape", [[5], [2, 3], [2, 3, 4]])
def test_it_computes_the_same(body: str, shape: list[int]) -> None:
    dims = ",".join(map(str, shape))
    graph = graph_of(f"n (float[{dims}] x, float[{dims}] z) => (y) <float s> {{ y = {body} }}")
    edits = in_four_dims(graph, graph.compute_nodes[0])
    after = apply(graph, edits)
    assert same_outputs(graph, edits, lambda name, dims, dtype: np.full(dims, 3, np.float32))
    assert {after.type_of(n.outputs[0]).rank for n in after.compute_nodes if n.op_type != "Reshape"} == {4}


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ("Mul(x, w)", ""),
        ("Add(w, x)", ""),
        ("Div(x, w)", ""),
        ("Sub(x, w)", ""),
        ("Div(x, w)", "Mul"),
        ("Sub(x, w)", "Add"),
    ],
)
@pytest.mark.parametrize("held", [[4], [3, 1], [1, 3, 1], [2, 1, 1], [1]])
def test_a_number_for_each_channel_stays_one(body: str, operator: str, held: list[int]) -> None:
    graph = graph_of(f"n (float[2,3,4] x) => (y) <float[{','.join(map(str, held))}] w> {{ y = {body} }}")
    whole = np.arange(1, 1 + np.prod(held), dtype=np.float32)
    edits = in_four_dims(graph, graph.compute_nodes[0], operator)
    made = apply(graph, edits)
    shapes = {n.inputs[1]: made.type_of(n.outputs[0]).dims for n in made.compute_nodes if n.op_type == "Reshape"}
    turned = {"": whole, "Mul": 1 / whole, "Add": -whole}[operator]

    def after(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        return np.array(shapes[name]) if name in shapes else turned.reshape(dims)

    assert same_outputs(graph, edits, lambda name, dims, dtype: whole.reshape(dims), after)


@pytest.mark.parametrize("body", ["Mul(x, w)", "Relu(x)", "Pow(x, x)"])
def test_others_have_none(body: str) -> None:
    graph = graph_of(f"n (float[2,3,4] x) => (y) <float[3,4] w> {{ y = {body} }}")
    assert in_four_dims(graph, graph.compute_nodes[0]) == ()
