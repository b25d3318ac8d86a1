"""OPS003: every form in fewer dims that it calls exact computes the same, and none is above the limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from edited import graph_of, same_outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from linting import found_in

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.finding import Edit
from onnxlint.graph import Graph
from onnxlint.patterns.broadcasts import broadcasts
from onnxlint.patterns.joined_dims import by_rotation, joined_dims, joined_edits
from onnxlint.patterns.lower_rank import lowered
from onnxlint.patterns.unshuffled import unshuffled
from onnxlint.registry import find_rule, installed_rules
from onnxlint.rule import Context
from onnxlint.target import target_for
from onnxlint.whatif import apply

RULE = find_rule(installed_rules(), "OPS003")
TARGET = target_for(load_device("rk3588"))

TWINS = """twins (float[1,28,28,32] x) => (float[1,28,28,32] y)
<float[32,96] w, float[96] b, float scale, float[1,16,1,49,49] mask, int64[6] cut = {1,4,7,4,7,32},
 int64[6] heads = {1,16,49,3,2,16}, int64[3] each = {1,1,1}, int64[1] first = {0}, int64[6] whole = {1,4,4,7,7,32},
 int64[4] map = {1,28,28,32}> {
  c = Reshape (x, cut)
  t = Transpose <perm = [0,1,3,2,4,5]> (c)
  p = MatMul (t, w)
  q = Add (b, p)
  r = Reshape (q, heads)
  u = Transpose <perm = [3,0,1,4,2,5]> (r)
  s0, s1, s2 = Split <axis = 0> (u, each)
  qs = Squeeze (s0, first)
  ks = Squeeze (s1, first)
  vs = Squeeze (s2, first)
  m = Mul (qs, scale)
  kt = Transpose <perm = [0,1,2,4,3]> (ks)
  sc = MatMul (m, kt)
  sm = Add (sc, mask)
  pr = Softmax <axis = -1> (sm)
  o = MatMul (pr, vs)
  ot = Transpose <perm = [0,1,3,2,4]> (o)
  f = Reshape (ot, whole)
  g = Transpose <perm = [0,1,3,2,4,5]> (f)
  y = Reshape (g, map)
}"""
GRID = """grid (float[1,28,28,32] x) => (float[49,4,4,32] y)
<int64[6] cut = {1,4,7,4,7,32}, int64[4] back = {49,4,4,32}> {
  c = Reshape (x, cut)
  t = Transpose <perm = [0,2,4,1,3,5]> (c)
  y = Reshape (t, back)
}"""
UNFOLD = """unfold (float[1,8,8,12] x) => (float[1,8,4,24] y)
<int64[2,4] rows = {0,2,4,6,1,3,5,7}, int64[2,6] columns = {0,2,4,6,8,10,1,3,5,7,9,11}, int64[3] flat = {1,32,24},
 int64[4] tokens = {1,8,4,24}> {
  a = Gather <axis = 2> (x, rows)
  b = Gather <axis = 4> (a, columns)
  t = Transpose <perm = [0,1,2,4,3,5]> (b)
  r = Reshape (t, flat)
  y = Reshape (r, tokens)
}"""
RADIX = """radix (float[1,16,5,5] x) => (float[1,8,5,5] y)
<int64[5] apart = {1,2,8,5,5}, int64[1] second = {1}, int64[5] gate = {1,2,8,1,1}> {
  r = Reshape (x, apart)
  s = ReduceSum <keepdims = 0> (r, second)
  m = GlobalAveragePool (s)
  c = Concat <axis = 1> (m, m)
  g = Reshape (c, gate)
  p = Mul (r, g)
  y = ReduceSum <keepdims = 0> (p, second)
}"""
MAP = """packed (float[1,8,5,5] x) => (float[1,2,25,25] y)
<float[24,8,1,1] w, int64[5] apart = {1,3,2,4,25}, int64[3] each = {1,1,1}, int64[1] first = {0}> {
  p = Conv (x, w)
  r = Reshape (p, apart)
  t = Transpose <perm = [1,0,2,4,3]> (r)
  a, b, c = Split <axis = 0> (t, each)
  q = Squeeze (a, first)
  k = Squeeze (b, first)
  v = Squeeze (c, first)
  kt = Transpose <perm = [0,1,3,2]> (k)
  s = MatMul (q, kt)
  o = MatMul (s, v)
  ot = Transpose <perm = [0,1,3,2]> (o)
  y = MatMul (o, ot)
}"""


TILED = """tiled (float[1,7,7,32] x) => (float[16,7,7,32] y)
<int64[5] up = {1,1,7,7,32}, int64[5] times = {1,16,1,1,1}, int64[4] back = {16,7,7,32}> {
  u = Reshape (x, up)
  t = Tile (u, times)
  y = Reshape (t, back)
}"""


SHIFTED = """shifted (float[4,8,8,16] x) => (float[8,50,16] y)
<int64[5] up = {1,4,8,8,16}, float[16] scale, float[16] bias, int64[10] pads = {0,0,1,1,0,0,0,1,1,0},
 int64[1] begin = {0}, int64[1] cut = {3}, int64[1] end = {100}, int64[1] axis = {2}, int64[1] back = {-2},
 int64[8] windows = {1,2,2,2,5,2,5,16}, int64[3] whole = {8,50,16}> {
  u = Reshape (x, up)
  n = LayerNormalization <axis = 4> (u, scale, bias)
  p = Pad (n, pads)
  a = Slice (p, cut, end, axis)
  b = Slice (p, begin, cut, axis)
  r = Concat <axis = 2> (a, b)
  c = Slice (r, cut, end, back)
  d = Slice (r, begin, cut, back)
  s = Concat <axis = -2> (c, d)
  w = Reshape (s, windows)
  t = Transpose <perm = [0,1,3,5,2,4,6,7]> (w)
  y = Reshape (t, whole)
}"""


CONTRACTED = """contracted (float[1,64,49,64] x) => (float[1,64,49,64] y)
<int64[5] heads = {1,64,49,2,32}, float scale, float[1,2,49,49] bias, int64[4] whole = {1,64,49,64}> {
  r = Reshape (x, heads)
  q = Transpose <perm = [0,1,3,2,4]> (r)
  k = Mul (q, scale)
  s = Einsum <equation = "B G H I D, B G H J D -> B G H I J"> (q, k)
  b = Add (s, bias)
  p = Softmax <axis = -1> (b)
  o = Einsum <equation = "bghij,bghjd->bghid"> (p, q)
  t = Transpose <perm = [0,1,3,2,4]> (o)
  y = Reshape (t, whole)
}"""


RELATIVE = """relative (float[1,32,3,5] x) => (float[2,15,15] y)
<int64[4] heads = {2,3,5,16}, float[16,5] across, float[16,3] along, float[16,15] key, int64[5] rows = {2,3,1,5,5},
 int64[5] columns = {2,5,1,3,3}, int64[5] wide = {2,3,3,5,5}, int64[5] high = {2,5,5,3,3}, int64[3] whole = {2,15,15}> {
  q = Reshape (x, heads)
  w = MatMul (q, across)
  w5 = Reshape (w, rows)
  we = Expand (w5, wide)
  wt = Transpose <perm = [0,1,3,2,4]> (we)
  u = Transpose <perm = [0,2,1,3]> (q)
  h = MatMul (u, along)
  h5 = Reshape (h, columns)
  he = Expand (h5, high)
  ht = Transpose <perm = [0,3,1,4,2]> (he)
  both = Add (ht, wt)
  flat = Reshape (both, whole)
  f = Reshape (q, whole)
  y = Add (f, flat)
}""".replace("f = Reshape (q, whole)", "k = MatMul (q, key)\n  f = Reshape (k, whole)")
DECOMPOSED = """decomposed (float[2,15,15] s, float[2,3,5,3] h, float[2,3,5,5] w) => (float[2,15,15] y)
<int64[5] cut = {2,3,5,3,5}, int64[1] last = {4}, int64[1] third = {3}, float scale, int64[3] whole = {2,15,15}> {
  a = Reshape (s, cut)
  b = Unsqueeze (h, last)
  c = Unsqueeze (w, third)
  d = Add (a, b)
  e = Add (d, c)
  g = Mul (e, scale)
  y = Reshape (g, whole)
}"""


def forms(graph: Graph) -> list[tuple[Edit, ...]]:
    findings = list(RULE.check(Context(Analysis(graph, TARGET))))
    assert findings
    assert all(len(finding.fixes) == 1 and finding.fixes[0].safety == "exact" for finding in findings)
    return [finding.fixes[0].edits for finding in findings]


def weight(name: str, shape: tuple[int, ...], dtype: int) -> np.ndarray:
    """The same numbers in the same order, whatever the dims."""
    random = np.random.default_rng([1, *name.encode()])
    return random.standard_normal(math.prod(shape)).astype(np.float32).reshape(shape)


def assert_exact(graph: Graph, edits: tuple[Edit, ...]) -> Graph:
    after = apply(graph, edits)

    def new(name: str, shape: tuple[int, ...], dtype: int) -> np.ndarray:
        for node in after.compute_nodes:
            if len(node.inputs) > 1 and node.inputs[1] == name and node.op_type == "ReduceSum":
                return np.array([0], np.int64)
            if node.op_type == "Tile" and node.inputs[1] == name:
                return np.array([16, 1, 1, 1], np.int64)
            if node.op_type == "Pad" and node.inputs[1] == name:
                return np.array([0, 1, 1, 0] * 2, np.int64)
            if node.op_type == "Slice" and node.inputs[3] == name:
                return np.array([1 if node.outputs[0] in "ab" else -2], np.int64)
        return weight(name, shape, dtype)

    assert same_outputs(graph, edits, weight, new)
    return after


@pytest.mark.parametrize("text", [TWINS, GRID, UNFOLD, RADIX, MAP, TILED, SHIFTED, CONTRACTED, RELATIVE, DECOMPOSED])
def test_its_forms_are_exact_and_within_the_limit(text: str) -> None:
    graph = graph_of(text)
    (edits,) = forms(graph)
    after = assert_exact(graph, edits)
    assert max(after.type_of(name).rank or 0 for node in after.compute_nodes for name in node.outputs) <= 4


@settings(max_examples=40)
@given(st.permutations(range(6)), st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_any_permutation_of_six_dims_has_a_form(perm: list[int], dims: list[int]) -> None:
    moved = [dims[axis] for axis in perm]
    text = f"""any (float[{math.prod(dims)}] x) => (float[{math.prod(dims)}] y)
    <int64[6] cut = {{{",".join(map(str, dims))}}}, int64[1] flat = {{{math.prod(dims)}}}> {{
      c = Reshape (x, cut)
      t = Transpose <perm = {list(perm)}> (c)
      y = Reshape (t, flat)
    }}"""
    graph = graph_of(text)
    assert graph.type_of("t").dims == tuple(moved)
    (found,) = joined_dims(graph, 4)
    assert_exact(graph, joined_edits(graph, found))
    assert_exact(graph, joined_edits(graph, by_rotation(found)))


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 3), min_size=5, max_size=5),
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=2, max_size=2),
    st.permutations(range(5)),
)
def test_whatever_broadcasts_in_five_dims_has_the_form_if_any(
    dims: list[int], present: list[list[bool]], perm: list[int]
) -> None:
    a, b = ([size if is_here else 1 for size, is_here in zip(dims, row, strict=True)] for row in present)
    out = [max(pair) for pair in zip(a, b, strict=True)]
    first = [0] * 5
    for axis, before in enumerate(perm):
        first[before] = a[axis]
    total = math.prod(out)
    text = f"""any (float[{math.prod(a)}] x, float[{math.prod(b)}] z) => (float[{total}] y)
    <int64[5] one = {{{",".join(map(str, first))}}}, int64[5] two = {{{",".join(map(str, b))}}}, int64[1] flat = {{-1}},
     int64[5] wide = {{{",".join(map(str, out))}}}> {{
      c = Reshape (x, one)
      t = Transpose <perm = {list(perm)}> (c)
      d = Reshape (z, two)
      e = Expand (d, wide)
      s = Sub (t, e)
      y = Reshape (s, flat)
    }}"""
    graph = graph_of(text)
    for found in broadcasts(graph, 4):
        after = assert_exact(graph, found.edits)
        assert max(after.type_of(name).rank or 0 for node in after.compute_nodes for name in node.outputs) <= 4


POOLED = """pooled (float[1,64,32] x) => (float[1,64,32] y, float[1,32,32] z)
<int64[5] cut = {1,2,4,8,32}, int64[6] fine = {1,2,4,4,2,32}, int64[3] whole = {1,64,32}, int64[3] few = {1,32,32},
 float scale> {
  a = Reshape (x, cut)
  b = Mul (a, scale)
  t = Transpose <perm = [0,1,2,4,3]> (b)
  s = MatMul (b, t)
  p = Softmax <axis = -1> (s)
  o = MatMul (p, b)
  y = Reshape (o, whole)
  c = Reshape (x, cut)
  d = Mul (c, scale)
  e = Reshape (d, fine)
  m = ReduceMax <axes = [4], keepdims = 0> (e)
  q = Mul (m, scale)
  z = Reshape (q, few)
}"""


def test_what_ends_in_more_dims_hides_no_form_of_the_others() -> None:
    graph = graph_of(POOLED)
    findings = list(RULE.check(Context(Analysis(graph, TARGET))))
    [edits] = [fix.edits for finding in findings for fix in finding.fixes]
    after = assert_exact(graph, edits)
    high = {name for node in after.compute_nodes for name in node.outputs if (after.type_of(name).rank or 0) > 4}
    assert high == set("cdemq")


def test_a_form_that_meets_many_dims_is_told_as_such() -> None:
    text = TILED.replace("y = Reshape (t, back)", "h = Reshape (t, wide)\n g = Tanh (h)\n y = Reshape (g, back)")
    text = text.replace("int64[4] back", "int64[6] wide = {1,1,16,7,7,32}, int64[4] back")
    told = [finding.suggestion for finding in RULE.check(Context(Analysis(graph_of(text), TARGET)))]
    assert any("still meets values of too many" in line for line in told)


def test_operators_that_the_device_lacks_go_with_the_batch_of_one() -> None:
    [fix] = [finding.fix for finding in found_in(CONTRACTED, "OPS001", "rk3588") if "Einsum" in finding.message]
    assert fix is not None
    assert fix.title == "without the batch of one: 4-D"


@pytest.mark.parametrize(
    "equation", ["bghid,bghjd->bghji", "bghid,bhgjd->bghij", "bghii,bghji->bghij", "...id,...jd->...ij"]
)
def test_other_contractions_keep_their_dims(equation: str) -> None:
    text = CONTRACTED.replace("B G H I D, B G H J D -> B G H I J", equation).replace("[1,64,49,64]", "[1,2,49,64]")
    graph = graph_of(text.replace("{1,64,49,2,32}", "{1,2,49,2,32}").replace("{1,64,49,64}", "{1,2,49,64}"))
    assert not lowered(graph, 4).keys


@pytest.mark.parametrize(("perm", "is_first"), [([0, 1, 3, 5, 2, 4], True), ([0, 3, 5, 1, 2, 4], False)])
def test_pixels_go_to_the_channels_by_a_convolution_where_nothing_is_transposed(
    perm: list[int], is_first: bool
) -> None:
    text = f"""pixels (float[1,3,8,9] x) => (float[1,18,4,3] y)
    <int64[6] cut = {{1,3,4,2,3,3}}, int64[4] map = {{1,18,4,3}}> {{
      c = Reshape (x, cut)
      t = Transpose <perm = {perm}> (c)
      y = Reshape (t, map)
    }}"""
    graph = graph_of(text)
    for device in ("hi3519", "x3"):
        [finding] = found_in(text, "OPS003", device)
        assert finding.fix is not None
        assert finding.fix.safety == "exact"
    pixels = np.zeros((18, 3, 2, 3), np.float32)
    for index in range(18):
        channel, row, column = np.unravel_index(index, (3, 2, 3)) if is_first else np.unravel_index(index, (2, 3, 3))
        if not is_first:
            row, column, channel = channel, row, column
        pixels[index, channel, row, column] = 1
    [node] = [node for node in graph.compute_nodes if node.op_type == "Transpose"]
    assert same_outputs(graph, unshuffled(graph, node), weight, lambda name, shape, dtype: pixels)


def test_blocks_of_pixels_that_stay_apart_are_no_convolution() -> None:
    graph = graph_of(GRID)
    assert not any(unshuffled(graph, node) for node in graph.compute_nodes if node.op_type == "Transpose")


@pytest.mark.parametrize("node", ["Slice (u, n, n, n)", "Pad (u, n)", "Concat <axis = 1> (u, u)", "Softmax (u)"])
def test_values_of_unknown_dims_beside_those_of_many_hinder_nothing(node: str) -> None:
    graph = graph_of(f"""odd (float[1,4,8,8,16] x, int64[k] n) => (y) {{
      u = Exp (x)
      y = {node}
    }}""")
    assert all(isinstance(finding.message, str) for finding in RULE.check(Context(Analysis(graph, TARGET))))
