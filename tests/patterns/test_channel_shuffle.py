"""Channel shuffles in every spelling, and what looks like one."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlint.engine import read_model
from onnxlint.graph import Graph
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.shuffles import interleaved_groups
from onnxlint.rule import example_model
from onnxlint.settings import Settings

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'


def graph(text: str) -> Graph:
    return read_model(example_model(HEAD + text), Settings()).graph


def view(shape: str, perm: str, back: str, x: str = "1,12,4,6") -> str:
    """conv, Reshape, Transpose, Reshape, conv on an input of that shape."""
    return f"""n (float[{x}] i) => (float[{x}] o)
    <float[12,12,1,1] w, int64[{shape.count(",") + 1}] s = {{{shape}}}, int64[{back.count(",") + 1}] b = {{{back}}}> {{
      x = Conv(i, w)
      r = Reshape(x, s)
      t = Transpose<perm = [{perm}]>(r)
      y = Reshape(t, b)
      o = Conv(y, w)
    }}"""


SHUFFLES = {
    "5-D": view("1,3,4,4,6", "0,2,1,3,4", "1,12,4,6"),
    "4-D": view("1,3,4,24", "0,2,1,3", "1,12,4,6"),
    "3-D": view("3,4,24", "1,0,2", "1,12,4,6"),
    "batch of two": view("2,3,4,24", "0,2,1,3", "2,12,4,6", "2,12,4,6"),
    "inferred dims": view("0,3,-1,4,6", "0,2,1,3,4", "0,-1,4,6"),
    "channels last": """n (float[1,12,4,6] i) => (float[1,12,4,6] o)
    <float[12,12,1,1] w, int64[5] s = {1,4,6,3,4}, int64[4] b = {1,4,6,12}> {
      x = Conv(i, w)
      h = Transpose<perm = [0,2,3,1]>(x)
      r = Reshape(h, s)
      t = Transpose<perm = [0,1,2,4,3]>(r)
      y = Reshape(t, b)
      c = Transpose<perm = [0,3,1,2]>(y)
      o = Conv(c, w)
    }""",
    "Gather": """n (float[1,6,4,4] x) => (float[1,6,4,4] o) <float[6,6,1,1] w, int64[6] k = {0,3,1,4,2,5}> {
      y = Gather<axis = 1>(x, k)
      o = Conv(y, w)
    }""",
    "one by one": """n (float[1,4,4,4] x) => (float[1,4,4,4] o) <float[4,4,1,1] w> {
      a, b, c, d = Split<axis = 1>(x)
      y = Concat<axis = 1>(a, c, b, d)
      o = Conv(y, w)
    }""",
    "in blocks": """n (float[1,16,4,4] x) => (float[1,16,4,4] o) <float[16,16,1,1] w> {
      a, b, c, d = Split<axis = 1>(x)
      y = Concat<axis = 1>(a, c, b, d)
      o = Conv(y, w)
    }""",
    "two values": """n (float[1,2,4,4] x, float[1,2,4,4] z) => (float[1,4,4,4] o) <float[4,4,1,1] w> {
      a, b = Split<axis = 1>(x)
      c, d = Split<axis = 1>(z)
      y = Concat<axis = 1>(a, c, b, d)
      o = Conv(y, w)
    }""",
    "stack": """n (float[1,8,4,4] x, float[1,8,4,4] z) => (float[1,16,4,4] o)
    <float[16,16,1,1] w, int64[1] two = {2}, int64[4] s = {1,16,4,4}> {
      a = Unsqueeze(x, two)
      b = Unsqueeze(z, two)
      c = Concat<axis = 2>(a, b)
      y = Reshape(c, s)
      o = Conv(y, w)
    }""",
    "strided slices": """n (float[1,8,4,4] i) => (float[1,4,4,4] o, float[1,4,4,4] p)
    <float[8,8,1,1] w, float[4,4,1,1] v, int64[1] zero = {0}, int64[1] one = {1},
     int64[1] end = {8}, int64[1] two = {2}> {
      x = Conv(i, w)
      a = Slice(x, zero, end, one, two)
      b = Slice(x, one, end, one, two)
      o = Conv(a, v)
      p = Conv(b, v)
    }""",
    "halves taken by Gather": """n (float[1,8,4,4] i) => (float[1,4,4,4] o, float[1,4,4,4] p)
    <float[8,8,1,1] w, float[4,4,1,1] v, int64[3] s = {4,2,16}, int64[5] b = {2,1,4,4,4}> {
      x = Conv(i, w)
      r = Reshape(x, s)
      t = Transpose<perm = [1,0,2]>(r)
      y = Reshape(t, b)
      zero = Constant<value_int = 0>()
      one = Constant<value_int = 1>()
      c = Gather<axis = 0>(y, zero)
      d = Gather<axis = 0>(y, one)
      o = Conv(c, v)
      p = Conv(d, v)
    }""",
}

OTHERS = {
    "pixel shuffle": """n (float[1,16,4,4] x) => (float[1,4,8,8] y)
    <int64[6] s = {1,4,2,2,4,4}, int64[4] b = {1,4,8,8}> {
      r = Reshape(x, s)
      t = Transpose<perm = [0,1,4,2,5,3]>(r)
      y = Reshape(t, b)
    }""",
    "windows": """n (float[1,8,8,16] x) => (float[4,4,4,16] y) <int64[6] s = {1,2,4,2,4,16}, int64[4] b = {4,4,4,16}> {
      r = Reshape(x, s)
      t = Transpose<perm = [0,1,3,2,4,5]>(r)
      y = Reshape(t, b)
    }""",
    "packed heads": """n (float[1,16,48] x) => (float[3,1,4,16,4] y) <int64[5] s = {1,16,3,4,4}> {
      r = Reshape(x, s)
      y = Transpose<perm = [2,0,3,1,4]>(r)
    }""",
    "transposed map": """n (float[1,8,4,4] x) => (float[1,8,4,4] y) { y = Transpose<perm = [0,1,3,2]>(x) }""",
    "moved columns": view("1,12,4,2,3", "0,1,2,4,3", "1,12,4,6"),
    "nothing moved": view("1,3,4,4,6", "0,1,2,3,4", "1,12,4,6"),
    "halves swapped": """n (float[1,16,4,4] x) => (float[1,16,4,4] y) {
      a, b = Split<axis = 1>(x)
      y = Concat<axis = 1>(b, a)
    }""",
    "rotary pairs": """n (float[1,3,16,8] i) => (float[1,3,16,8] o)
    <float[8,8] w, float[16,8] cos, float[16,8] sin, int64[1] zero = {0}, int64[1] one = {1}, int64[1] end = {8},
     int64[1] three = {3}, int64[1] two = {2}, int64[1] four = {4}, int64[4] s = {1,3,16,8}> {
      x = MatMul(i, w)
      a = Slice(x, zero, end, three, two)
      b = Slice(x, one, end, three, two)
      n = Neg(b)
      nu = Unsqueeze(n, four)
      au = Unsqueeze(a, four)
      c = Concat<axis = 4>(nu, au)
      r = Reshape(c, s)
      xc = Mul(x, cos)
      rs = Mul(r, sin)
      o = Add(xc, rs)
    }""",
    "complex product": """n (float[1,3,16,8] i) => (float[1,3,16,8] o)
    <float[8,8] w, float[16,4] cos, float[16,4] sin, int64 zero = {0}, int64 one = {1}, int64[5] h = {1,3,16,4,2},
     int64[1] four = {4}, int64[4] s = {1,3,16,8}> {
      x = MatMul(i, w)
      p = Reshape(x, h)
      a = Gather<axis = 4>(p, zero)
      b = Gather<axis = 4>(p, one)
      ac = Mul(a, cos)
      bs = Mul(b, sin)
      as = Mul(a, sin)
      bc = Mul(b, cos)
      re = Sub(ac, bs)
      im = Add(as, bc)
      ru = Unsqueeze(re, four)
      iu = Unsqueeze(im, four)
      c = Concat<axis = 4>(ru, iu)
      o = Reshape(c, s)
    }""",
    "focus": """n (float[1,3,8,8] x) => (float[1,12,4,4] o)
    <int64[2] a = {0,0}, int64[2] b = {0,1}, int64[2] c = {1,0}, int64[2] d = {1,1}, int64[2] e = {8,8},
     int64[2] k = {2,3}, int64[2] s = {2,2}> {
      p = Slice(x, a, e, k, s)
      q = Slice(x, b, e, k, s)
      r = Slice(x, c, e, k, s)
      t = Slice(x, d, e, k, s)
      o = Concat<axis = 1>(p, q, r, t)
    }""",
}


@pytest.mark.parametrize("text", SHUFFLES.values(), ids=SHUFFLES)
def test_a_shuffle_is_found_once(text: str) -> None:
    found = channel_shuffles(graph(text))
    assert len(found) == 1
    assert sorted(found[0].order.tolist()) == list(range(found[0].channels))
    assert 1 < found[0].groups < found[0].channels


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_what_moves_more_than_channels_is_none(text: str) -> None:
    assert channel_shuffles(graph(text)) == ()


def test_the_order_is_that_of_the_reshape() -> None:
    [found] = channel_shuffles(graph(SHUFFLES["5-D"]))
    assert found.order.tolist() == np.arange(12).reshape(3, 4).T.reshape(-1).tolist()
    assert (found.groups, found.axis, found.shape) == (3, 1, (1, 12, 4, 6))


@pytest.mark.parametrize(
    ("order", "groups"),
    [
        ([0, 2, 1, 3], 2),
        ([0, 1, 4, 5, 2, 3, 6, 7], 2),
        ([0, 1, 2, 3], None),
        ([2, 3, 0, 1], None),
        ([3, 1, 2, 0], None),
    ],
)
def test_groups_of_an_order(order: list[int], groups: int | None) -> None:
    assert interleaved_groups(np.array(order)) == groups
