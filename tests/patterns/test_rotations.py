"""Transpositions in the one order that Caffe's Permute layers on some NPUs take."""

from __future__ import annotations

import pytest
from edited import graph_of, same_outputs
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxlint.patterns.rotations import ROTATION, as_rotation
from onnxlint.whatif import apply


@settings(max_examples=60)
@given(st.permutations([0, 1, 2, 3]), st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_turned_by_one_order_alone_it_computes_the_same(perm: list[int], dims: list[int]) -> None:
    shape = ",".join(map(str, dims))
    graph = graph_of(f"n (float[{shape}] x) => (y) {{ t = Transpose<perm = {perm}>(x) y = Relu(t) }}")
    edits = as_rotation(graph, graph.nodes[0])
    if not edits:
        return
    after = apply(graph, edits)
    assert all(tuple(n.ints("perm") or ()) == ROTATION for n in after.compute_nodes if n.op_type == "Transpose")
    assert same_outputs(graph, edits)


@pytest.mark.parametrize(
    ("shape", "perm", "turns"),
    [
        ("1,4,5,6", "0,3,1,2", 1),
        ("2,4,5,6", "0,3,1,2", 1),
        ("2,5,6", "0,2,1", 1),
        ("2,5,6,7", "0,2,1,3", 0),
        ("2,5,6,7", "0,1,3,2", 1),
        ("2,5,6", "1,0,2", 0),
        ("1,1,5,6", "0,1,3,2", 1),
    ],
)
def test_how_often_it_turns(shape: str, perm: str, turns: int) -> None:
    graph = graph_of(f"n (float[{shape}] x) => (y) {{ y = Transpose<perm = [{perm}]>(x) }}")
    edits = as_rotation(graph, graph.nodes[0])
    assert sum(getattr(edit, "op_type", "") == "Transpose" for edit in edits) == turns
