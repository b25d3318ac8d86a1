"""Operators in slices: each computes what it did as a whole."""

from __future__ import annotations

import re

import numpy as np
import pytest
from edited import graph_of, same_outputs

from onnxlint.finding import Edit
from onnxlint.graph import Graph
from onnxlint.patterns.forms import Form
from onnxlint.patterns.rewrites import rewrites
from onnxlint.values import Array


def form(graph: Graph, op: str, title: str) -> Form | None:
    [node] = [node for node in graph.compute_nodes if node.op_type == op]
    found = {form.title: form for form in rewrites(graph, node)}
    return found.get(title)


def assert_exact(graph: Graph, edits: tuple[Edit, ...], axis: int = 1) -> None:
    def given(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        found = re.search(r"(?:axis(\d+)/line|part)(\d+)/(starts|ends|axes)$", name)
        if found is None:
            return np.full(dims, axis, np.int64)
        along, place, what = found.groups()
        if what == "axes":
            return np.array([int(along) if along else axis])
        return np.array([int(place) + (what == "ends")])

    assert same_outputs(graph, edits, given)


@pytest.mark.parametrize("shapes", [("2,3,5,4", "2,3,4,6"), ("1,4,5,4", "1,4,4,6"), ("4,5,4", "4,4,6")])
def test_a_product_is_one_for_each_head(shapes: tuple[str, str]) -> None:
    graph = graph_of(f"p (float[{shapes[0]}] a, float[{shapes[1]}] b) => (y) {{ y = MatMul(a, b) }}")
    found = form(graph, "MatMul", "MatMul for each head by itself, between Split and Concat")
    assert found is not None
    assert_exact(graph, found.edits)


@pytest.mark.parametrize(
    "shapes", [("1,1,5,4", "1,1,4,6"), ("2,3,5,4", "1,3,4,6"), ("99,5,4", "99,4,6"), ("5,4", "4,6")]
)
def test_one_head_or_many_or_shared_ones_are_left(shapes: tuple[str, str]) -> None:
    graph = graph_of(f"p (float[{shapes[0]}] a, float[{shapes[1]}] b) => (y) {{ y = MatMul(a, b) }}")
    assert form(graph, "MatMul", "MatMul for each head by itself, between Split and Concat") is None


@pytest.mark.parametrize(
    ("shape", "perm", "axis"),
    [("1,3,40,50", [0, 2, 3, 1], 1), ("40,50,3", [2, 0, 1], 2), ("2,40,3,50", [0, 2, 1, 3], 2), ("3,50", [1, 0], 0)],
)
def test_one_short_axis_moves_in_slices(shape: str, perm: list[int], axis: int) -> None:
    graph = graph_of(f"t (float[{shape}] x) => (y) {{ y = Transpose<perm = {perm}>(x) }}")
    found = form(graph, "Transpose", "Transpose as Slices side by side")
    assert found is not None
    assert_exact(graph, found.edits, axis)


@pytest.mark.parametrize(("shape", "perm"), [("1,64,40,50", [0, 2, 3, 1]), ("3,4,5,6", [3, 2, 1, 0])])
def test_long_axes_and_several_at_once_do_not(shape: str, perm: list[int]) -> None:
    graph = graph_of(f"t (float[{shape}] x) => (y) {{ y = Transpose<perm = {perm}>(x) }}")
    assert form(graph, "Transpose", "Transpose as Slices side by side") is None


@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize("pads", ["0,0,1,1,0,0,1,1", "0,0,2,0,0,0,1,3", "0,0,0,2,0,0,0,0"])
def test_padding_by_the_border_is_its_lines(mode: str, pads: str) -> None:
    graph = graph_of(f"""p (float[1,3,6,7] x) => (y) <int64[8] n = {{{pads}}}> {{ y = Pad<mode = "{mode}">(x, n) }}""")
    found = form(graph, "Pad", f"Pad ({mode}) as Slices side by side")
    assert found is not None
    assert_exact(graph, found.edits)


@pytest.mark.parametrize("more", ['mode = "constant"', 'mode = "reflect"'])
def test_padding_by_a_number_or_by_nothing_is_none(more: str) -> None:
    pads = "0,0,1,1,0,0,1,1" if "constant" in more else "0,0,0,0,0,0,0,0"
    graph = graph_of(f"p (float[1,3,6,7] x) => (y) <int64[8] n = {{{pads}}}> {{ y = Pad<{more}>(x, n) }}")
    [node] = graph.compute_nodes
    assert not list(rewrites(graph, node))


@pytest.mark.parametrize(("shape", "axis"), [("2,3,6,7", 2), ("2,3,6,7", -1), ("2,6,7", 1), ("6,7", 0), ("2,3,6,7", 0)])
def test_a_slice_along_any_axis_is_one_along_the_channels(shape: str, axis: int) -> None:
    graph = graph_of(
        f"s (float[{shape}] x) => (y) <int64[1] b = {{1}}, int64[1] e = {{-1}}, int64[1] a = {{{axis}}}> "
        "{ y = Slice(x, b, e, a) }".replace("-1", "2" if axis == 0 else "-1")
    )
    found = form(graph, "Slice", "Slice along the channels, between views")
    assert found is not None
    assert_exact(graph, found.edits)


@pytest.mark.parametrize(("axis", "step"), [(2, 2), (1, 1)])
def test_with_steps_or_along_them_already_it_is_none(axis: int, step: int) -> None:
    graph = graph_of(
        f"s (float[2,3,6,7] x) => (y) <int64[1] b = {{0}}, int64[1] e = {{2}}, int64[1] a = {{{axis}}}, "
        f"int64[1] t = {{{step}}}> {{ y = Slice(x, b, e, a, t) }}"
    )
    assert form(graph, "Slice", "Slice along the channels, between views") is None
