"""OPS008: resizing in other forms that compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from edited import graph_of, run, same_outputs
from linting import found, found_in

from onnxlint.device_operators import Condition
from onnxlint.patterns.forms import Form
from onnxlint.patterns.resizes import resize_forms
from onnxlint.values import Array

STEPS = [Condition(op="Resize", reason="r", source="s", modes=["nearest"], integer_scales=[2, 3])]


def resize(attributes: str, scale: float) -> str:
    return f"""r (float[1,4,6,6] x) => (y) <float[4] s = {{1, 1, {scale}, {scale}}}>
    {{ y = Resize<{attributes}>(x, , s) }}"""


def forms(text: str) -> dict[str, Form]:
    graph = graph_of(text)
    return {form.title: form for form in resize_forms(graph, graph.compute_nodes[0], STEPS)}


def ones(name: str, dims: tuple[int, ...], dtype: int) -> Array:
    if "scales" in name:
        index = int(name[-1])
        step = [[3, 2], [2, 2]][0 if "6" in name else 1][index]
        return np.array([1, 1, step, step], np.float32)
    return np.ones(dims, np.float32)


NEAREST = ['mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"', 'mode="nearest"']


@pytest.mark.parametrize("attributes", NEAREST)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_transposed_convolution_repeats_pixels(attributes: str, scale: int) -> None:
    text = resize(attributes, scale)
    form = forms(text)["a transposed convolution with ones, one group a channel"]
    assert form.safety == "exact"
    assert same_outputs(graph_of(text), form.edits, ones)


@pytest.mark.parametrize("attributes", NEAREST)
def test_steps_repeat_pixels(attributes: str) -> None:
    text = resize(attributes, 4)
    form = forms(text)["nearest in steps by 2"]
    assert same_outputs(graph_of(text), form.edits, ones)


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("transform", ["half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("scale", [2, 1.5])
def test_any_interpolation_is_two_products(mode: str, transform: str, scale: float) -> None:
    text = resize(f'mode="{mode}", coordinate_transformation_mode="{transform}"', scale)
    graph = graph_of(text)
    form = forms(text)["two products by constant interpolation matrices"]
    size = int(6 * scale)
    # what a resize makes of unit columns are the columns of its matrix
    axis = f"""a (float[1,1,6,6] x) => (y) <float[4] s = {{1, 1, 1, {scale}}}>
    {{ y = Resize<mode="{mode}", coordinate_transformation_mode="{transform}">(x, , s) }}"""
    [columns] = run(graph_of(axis), ones, {"x": np.eye(6, dtype=np.float32).reshape(1, 1, 6, 6)})
    matrix = columns.reshape(6, size)

    def weights(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        return np.ascontiguousarray(matrix.T) if name.endswith("rows") else matrix

    assert form.safety == "exact"
    assert same_outputs(graph, form.edits, ones, weights)


@pytest.mark.parametrize("transform", ["half_pixel", "pytorch_half_pixel"])
@pytest.mark.parametrize("by", [(2, 2), (4, 4), (3, 3), (1, 2), (6, 3)])
def test_a_whole_factor_down_is_a_stride(transform: str, by: tuple[int, int]) -> None:
    text = f"""r (float[2,4,12,12] x) => (y) <float[4] s = {{1, 1, {1 / by[0]}, {1 / by[1]}}}>
    {{ y = Resize<mode="linear", coordinate_transformation_mode="{transform}">(x, , s) }}"""
    form = forms(text)["down by 2 an AveragePool, by more a depthwise convolution of that stride"]

    def middle(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        rows, columns = (np.zeros(side, np.float32) for side in dims[2:])
        for line in (rows, columns):
            line[(line.size - 1) // 2] += 0.5
            line[line.size // 2] += 0.5
        return np.broadcast_to(np.outer(rows, columns), dims).copy()

    assert form.safety == "exact"
    assert same_outputs(graph_of(text), form.edits, ones, middle)


def test_other_modes_need_retraining() -> None:
    assert forms(resize('mode="linear"', 2))["nearest (asymmetric) instead of linear"].safety == "lossy"


@pytest.mark.parametrize(("network", "device"), [("resnet50", "hi3519"), ("mobilenet_v2", "x3")])
def test_silent_without_resizing(network: str, device: str) -> None:
    assert found(network, "OPS008", device) == []


def test_a_resize_that_changes_nothing_is_no_op_alone() -> None:
    text = """n (float[1,8,28,28] x) => (y) <float[4] s = {1, 1, 1, 1}> {
      a = Relu(x) b = Resize<mode = "linear">(a, , s) y = Relu(b) }"""
    assert found_in(text, "OPS008", "hi3519") == []
    assert len(found_in(text, "GRF004", "hi3519")) == 1


def test_steps_of_several_scales_are_one_fix() -> None:
    (finding,) = found_in(
        """r (float[1,16,16,16] x) => (y, z) <float[4] s = {1, 1, 4, 4}, float[4] t = {1, 1, 8, 8}>
        { y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , s)
          z = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , t) }""",
        "OPS008",
        "hi3519",
    )
    assert finding.fix is not None
    assert finding.fix.title == "nearest in steps by 2"
    assert not finding.alternatives
