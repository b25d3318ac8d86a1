"""Convolutions over three dims with a kernel of 1 along one of them, in four dims."""

from __future__ import annotations

import numpy as np
import pytest
from edited import graph_of, same_outputs

from onnxlint.patterns.flat_convolutions import flat_convolutions
from onnxlint.values import Array
from onnxlint.whatif import apply

KERNELS = ["3,3,1", "3,1,3", "1,3,3", "3,1,1", "1,1,3", "1,3,1", "1,1,1"]


@pytest.mark.parametrize("view", [False, True])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_it_computes_the_same_in_four_dims(kernel: str, group: int, view: bool) -> None:
    sizes = [int(size) for size in kernel.split(",")]
    strides, sides = [2 if size == 3 else 1 for size in sizes], [size // 2 for size in sizes]
    given, before = ("840,2", "x5 = Reshape(x, five)") if view else ("2,4,5,6,7", "x5 = Identity(x)")
    behind = "z = Reshape(c, flat) y = Relu(z)" if view else "y = Relu(c)"
    text = f"""n (float[{given}] x) => (y) <float[6,{4 // group},{kernel}] w, float[6] b, int64[5] five = {{2,4,5,6,7}},
    int64[2] flat = {{12,-1}}> {{
      {before}
      c = Conv<kernel_shape = {sizes}, strides = {strides}, pads = {sides + sides}, group = {group}>(x5, w, b)
      {behind} }}"""
    graph = graph_of(text)
    [found] = flat_convolutions(graph)
    after = apply(graph, found.edits)
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((6, 4 // group, *sizes)).astype(np.float32)

    def weights(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        if name == "b":
            return np.arange(6, dtype=np.float32)
        return drawn.reshape(dims)

    assert same_outputs(graph, found.edits, weights)
    inner = [name for node in after.compute_nodes for name in node.outputs]
    assert max(after.type_of(name).rank or 0 for name in inner) == (4 if view else 5)


@pytest.mark.parametrize("attributes", ["kernel_shape = [3, 3, 3]", "kernel_shape = [3, 3, 1], strides = [1, 1, 2]"])
def test_one_that_looks_or_steps_along_every_axis_is_none(attributes: str) -> None:
    depth = 3 if "3, 3, 3" in attributes else 1
    text = f"n (float[1,4,5,6,7] x) => (y) <float[6,4,3,3,{depth}] w> {{ y = Conv<{attributes}>(x, w) }}"
    assert not list(flat_convolutions(graph_of(text)))
