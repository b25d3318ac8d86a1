"""Operators in simpler ones: what is called exact computes the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from edited import Weights, graph_of, same_outputs
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxlint.finding import Edit
from onnxlint.graph import Graph
from onnxlint.patterns.forms import Form
from onnxlint.patterns.rewrites import rewrites
from onnxlint.values import Array
from onnxlint.whatif import apply

MEAN = "the mean over the last axes as GlobalAveragePool, between views"
MAXIMUM = "the maximum over the last axes as GlobalMaxPool, between views"
SUM = "the sum over the last axes as GlobalAveragePool times their count, between views"


def forms(graph: Graph, op: str) -> dict[str, Form]:
    [node] = [node for node in graph.compute_nodes if node.op_type == op]
    return {form.title: form for form in rewrites(graph, node)}


def shaped(graph: Graph, edits: tuple[Edit, ...], others: Weights) -> Weights:
    """The shapes of the Reshapes that the edits put in, and other values."""
    made = apply(graph, edits)
    shapes = {n.inputs[1]: made.type_of(n.outputs[0]).dims for n in made.compute_nodes if n.op_type == "Reshape"}
    return lambda name, dims, dtype: np.array(shapes[name], np.int64) if name in shapes else others(name, dims, dtype)


def drawn(name: str, dims: tuple[int, ...], dtype: int) -> Array:
    return np.random.default_rng(1).standard_normal(dims).astype(np.float32)


@st.composite
def contractions(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """Two terms and a result of up to five letters, with the sizes of all."""
    letters = draw(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=5, unique=True))
    roles = {letter: draw(st.sampled_from(["batch", "row", "column", "sum"])) for letter in letters} | {"z": "sum"}
    left = draw(st.permutations([x for x, role in roles.items() if role != "column"]))
    right = draw(st.permutations([x for x, role in roles.items() if role != "row"]))
    out = draw(st.permutations([x for x, role in roles.items() if role != "sum"]))
    return f"{''.join(left)},{''.join(right)}->{''.join(out)}", {x: draw(st.integers(1, 3)) for x in roles}


@settings(max_examples=60, deadline=None)
@given(contractions(), st.booleans())
def test_an_einsum_is_a_product(case: tuple[str, dict[str, int]], is_weight: bool) -> None:
    equation, size = case
    terms, result = equation.split("->")
    left, right = terms.split(",")
    dims = ["[" + ",".join(str(size[x]) for x in word) + "]" for word in (left, right, result)]
    if not result:
        return
    given = f"<float{dims[1]} w>" if is_weight else ""
    second = "" if is_weight else f", float{dims[1]} w"
    text = f"""e (float{dims[0]} x{second}) => (y) {given} {{ y = Einsum<equation="{equation}">(x, w) }}"""
    graph = graph_of(text)
    [form] = forms(graph, "Einsum").values()

    def turned(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        both = [x for x in left if x in right]
        order = [
            *(x for x in both if x in result),
            *(x for x in both if x not in result),
            *(x for x in right if x not in left),
        ]
        whole = drawn("w", tuple(size[x] for x in right), 1)
        return np.ascontiguousarray(whole.transpose([right.index(x) for x in order])).reshape(dims)

    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, drawn, shaped(graph, form.edits, turned))
    after = apply(graph, form.edits)
    assert all((after.type_of(n.outputs[0]).rank or 0) <= 4 for n in after.compute_nodes if n.op_type == "Transpose")


@pytest.mark.parametrize("equation", ["ab,ab->ab", "ab,b->a", "ii,ij->j", "ab,bc", "abc,cd->ad", "a...,ab->b..."])
def test_other_einsums_have_no_form_or_the_same(equation: str) -> None:
    size = dict(zip("abcdij", (2, 3, 4, 5, 3, 2), strict=True))
    words = equation.split("->")[0].replace("...", "").split(",")
    first, second = (",".join(str(size[x]) for x in word) for word in words)
    graph = graph_of(
        f"""e (float[{first}] x, float[{second}] w) => (y) {{ y = Einsum<equation="{equation}">(x, w) }}"""
    )
    for form in forms(graph, "Einsum").values():
        assert same_outputs(graph, form.edits, drawn, shaped(graph, form.edits, drawn))


@pytest.mark.parametrize("shape", [[5], [2, 3, 4]])
def test_a_reciprocal_is_a_quotient(shape: list[int]) -> None:
    graph = graph_of(f"r (float[{','.join(map(str, shape))}] x) => (y) {{ a = Exp(x) y = Reciprocal(a) }}")
    form = forms(graph, "Reciprocal")["Reciprocal as Div of 1"]
    assert same_outputs(graph, form.edits, drawn, lambda name, dims, dtype: np.ones(dims, np.float32))


@pytest.mark.parametrize(("op", "title"), [("ReduceMean", MEAN), ("ReduceMax", MAXIMUM)])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize("shape", [[2, 3, 4], [1, 5, 6]])
def test_what_is_reduced_over_the_last_axes_is_pooled(
    shape: list[int], axes: list[int], keepdims: int, op: str, title: str
) -> None:
    dims = ",".join(map(str, shape))
    graph = graph_of(f"m (float[{dims}] x) => (y) {{ y = {op}<axes={axes}, keepdims={keepdims}>(x) }}")
    found = forms(graph, op)
    if not graph.type_of("y").dims:
        assert not found
        return
    form = found[title]
    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, drawn, shaped(graph, form.edits, drawn))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2], [1, 2]])
def test_what_is_summed_over_the_last_axes_is_a_mean_times_their_count(axes: list[int], keepdims: int) -> None:
    graph = graph_of(
        f"s (float[2,3,4] x) => (y) <int64[{len(axes)}] a = {{{','.join(map(str, axes))}}}> "
        f"{{ y = ReduceSum<keepdims={keepdims}>(x, a) }}"
    )
    form = forms(graph, "ReduceSum")[SUM]
    count = math.prod((2, 3, 4)[axis] for axis in axes)
    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, drawn, shaped(graph, form.edits, lambda n, d, t: np.full(d, count, "f")))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2], [1, 2]])
def test_a_norm_of_the_last_axes_is_the_root_of_pooled_squares(axes: list[int], keepdims: int) -> None:
    graph = graph_of(f"n (float[2,3,4] x) => (y) {{ y = ReduceL2<axes={axes}, keepdims={keepdims}>(x) }}")
    form = forms(graph, "ReduceL2")["ReduceL2 as GlobalAveragePool of the squares and Sqrt in 4-D, between views"]
    count = math.prod((2, 3, 4)[axis] for axis in axes)
    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, drawn, shaped(graph, form.edits, lambda n, d, t: np.full(d, count, "f")))


def test_integers_are_not_pooled() -> None:
    graph = graph_of("s (int64[2,3,4] x) => (y) <int64[1] a = {2}> { y = ReduceSum(x, a) }")
    assert not forms(graph, "ReduceSum")


@pytest.mark.parametrize(
    ("shape", "wide"), [([1, 5, 1], [1, 5, 7]), ([3, 1, 1], [3, 4, 2]), ([2, 3, 1], [2, 3, 6]), ([2, 1], [1, 2, 3])]
)
@pytest.mark.parametrize("op", ["Expand", "Tile"])
def test_what_is_repeated_is_a_product_with_ones(shape: list[int], wide: list[int], op: str) -> None:
    if op == "Tile" and len(shape) < len(wide):
        return
    given = wide if op == "Expand" else [new // old for old, new in zip(shape, wide, strict=True)]
    graph = graph_of(
        f"r (float[{','.join(map(str, shape))}] x) => (y) <int64[{len(given)}] n = {{{','.join(map(str, given))}}}> "
        f"{{ a = Exp(x) y = {op}(a, n) }}"
    )
    form = forms(graph, op)[f"{op} as Mul by ones in 4-D, between views"]
    ones = shaped(graph, form.edits, lambda name, dims, dtype: np.ones(dims, np.float32))
    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, drawn, ones)


def test_what_is_repeated_as_a_whole_or_in_front_is_no_product_with_ones() -> None:
    graph = graph_of("r (float[1,5,3] x) => (y) <int64[3] n = {1,1,2}> { a = Exp(x) y = Tile(a, n) }")
    assert not forms(graph, "Tile")
    graph = graph_of("r (float[1,5,3] x) => (y) <int64[3] n = {4,1,1}> { a = Exp(x) y = Tile(a, n) }")
    assert not forms(graph, "Tile")


@pytest.mark.parametrize("other", [[2, 3, 4], [1, 3, 1], [4], [1]])
def test_a_difference_is_a_sum(other: list[int]) -> None:
    graph = graph_of(f"d (float[2,3,4] x, float[{','.join(map(str, other))}] z) => (y) {{ y = Sub(x, z) }}")
    found = forms(graph, "Sub")
    minus = shaped(
        graph, found["Sub as Mul by -1 in 4-D, between views, and Add"].edits, lambda n, d, t: -np.ones(d, "f")
    )
    for title in ("Sub as Mul by -1 and Add", "Sub as Mul by -1 in 4-D, between views, and Add"):
        assert same_outputs(graph, found[title].edits, drawn, minus)


GUARD = """g (float[2,5,8] q, float[2,8,5] k) => (float[2,5,5] y) <float zero, float[2,5,5] m> {{
  s = MatMul(q, k)
  {mask}
  p = Softmax<axis = -1>(t)
  n = IsNaN(p)
  w = Where(n, zero, p)
  y = Mul(w, w)
}}"""


@pytest.mark.parametrize(("mask", "safety"), [("t = Identity(s)", "close"), ("t = Add(s, m)", "close")])
@pytest.mark.parametrize("op", ["IsNaN", "Where"])
def test_a_guard_against_rows_masked_throughout_goes(mask: str, safety: str, op: str) -> None:
    graph = graph_of(GUARD.format(mask=mask))
    [form] = forms(graph, op).values()
    assert form.safety == safety
    assert same_outputs(graph, form.edits, drawn, drawn)


def test_where_nothing_is_masked_it_does_nothing() -> None:
    graph = graph_of(GUARD.format(mask="").replace("(t)", "(s)"))
    [form] = forms(graph, "IsNaN").values()
    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, drawn, drawn)
    assert math.prod(apply(graph, form.edits).type_of("y").dims) == 50
