"""What axes count: channels, positions, windows and heads, followed from the convolutions on."""

from __future__ import annotations

from edited import graph_of
from linting import network

from onnxlint.patterns.attention import attentions
from onnxlint.patterns.axis_roles import POSITIONS, axis_roles, is_only

TEXT = """roles (float[1,3,28,28] x) => (float[1,49,96] y)
<float[96,3,4,4] p, int64[3] flat = {1,96,49}, float[49,64] up, float[64,49] down, float[96,96] w> {
  m = Conv <strides = [4,4]> (x, p)
  t = Reshape (m, flat)
  h = MatMul (t, up)
  b = MatMul (h, down)
  u = Transpose <perm = [0,2,1]> (b)
  y = MatMul (u, w)
}"""


def told(text: str) -> dict[str, list[str]]:
    return {
        name: ["*".join(part.role for part in axis) for axis in axes]
        for name, axes in axis_roles(graph_of(text)).items()
    }


def test_positions_are_followed_through_views_products_and_transpositions() -> None:
    roles = told(TEXT)
    assert roles["m"] == ["", "channel", "position", "position"]
    assert roles["t"] == ["", "channel", "position*position"]
    # another number of positions is a width that a designer chooses; the old number is the positions again
    assert roles["h"] == ["", "channel", "mixed"]
    assert roles["b"] == ["", "channel", "position"]
    assert roles["u"] == ["", "position", "channel"]
    assert roles["y"] == ["", "position", "channel"]


def test_windows_are_told_from_places_within_them() -> None:
    roles = told(
        """cut (float[1,3,28,28] x) => (float[16,3,7,7] y)
        <float[3,3,1,1] p, int64[6] s = {1,3,4,7,4,7}, int64[4] u = {16,3,7,7}> {
          m = Conv (x, p)
          c = Reshape (m, s)
          t = Transpose <perm = [0,2,4,1,3,5]> (c)
          y = Reshape (t, u)
        }"""
    )
    assert roles["c"] == ["", "channel", "window", "place", "window", "place"]
    assert roles["y"] == ["window*window", "channel", "place", "place"]


def test_what_two_computed_values_share_in_a_product_are_heads() -> None:
    graph = network("vit_tiny").graph
    every = list(attentions(graph))
    assert len(every) == 12
    for attention in every:
        heads, queries, keys = axis_roles(graph)[attention.nodes[0].outputs[0]][-3:]
        assert [part.role for part in heads] == ["head"]
        assert is_only(queries, POSITIONS)
        assert is_only(keys, POSITIONS)
