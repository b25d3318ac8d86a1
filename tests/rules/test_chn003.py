"""CHN003: a first convolution on three channels; its rewriting gives the same sums."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linting import found, found_in
from onnx.reference import ReferenceEvaluator

from onnxlint.api import Settings
from onnxlint.engine import read_model
from onnxlint.patterns.space_to_depth import Blocked, blocked
from onnxlint.rule import example_model

STEM = """stem (float[1,3,{h},{w}] x) => (float[1,{o},{a},{b}] y) <float[{o},3,{k},{k}] w> {{
    y = Conv <strides = [{s},{s}], pads = [{p},{p},{p},{p}]> (x, w)
}}"""


def rearranged(weight: np.ndarray, found: Blocked) -> np.ndarray:
    """The weight over blocks, as `Blocked` states it."""
    out, channels, *kernel = weight.shape
    new = np.zeros((out, found.block, found.block, channels, *found.window), weight.dtype)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            i, y = divmod(row + found.shift[0], found.block)
            j, x = divmod(column + found.shift[1], found.block)
            new[:, y, x, :, i, j] = weight[:, :, row, column]
    return new.reshape(out, -1, *found.window)


@given(st.sampled_from([2, 4]), st.integers(2, 7), st.integers(0, 3), st.integers(2, 4), st.integers(2, 4))
@settings(max_examples=40)
def test_the_blocked_convolution_computes_the_same(stride: int, kernel: int, pad: int, rows: int, columns: int) -> None:
    h, w = rows * 4, columns * 4
    a, b = ((size + 2 * pad - kernel) // stride + 1 for size in (h, w))
    if min(a, b) < 1 or kernel > min(h, w):
        return
    text = STEM.format(h=h, w=w, o=5, a=a, b=b, k=kernel, s=stride, p=pad)
    graph = read_model(example_model(text), Settings()).graph
    form = blocked(graph, graph.nodes[0])
    if form is None:
        return
    rng = np.random.default_rng(kernel)
    data, weight = rng.standard_normal((1, 3, h, w)), rng.standard_normal((5, 3, kernel, kernel))
    old = run("Conv", [data, weight], strides=[stride] * 2, pads=[pad] * 4)
    packed = run("SpaceToDepth", [data], blocksize=form.block)
    new = run("Conv", [packed, rearranged(weight, form)], pads=[*form.begin, *form.end])
    np.testing.assert_allclose(new, old, atol=1e-9)


def run(op: str, inputs: list[np.ndarray], **attributes: object) -> np.ndarray:
    names = [f"i{index}" for index in range(len(inputs))]
    node = onnx.helper.make_node(op, names, ["y"], **attributes)
    return ReferenceEvaluator(node).run(None, dict(zip(names, inputs, strict=True)))[0]


@pytest.mark.parametrize(("name", "window"), [("resnet18", "4x4 over 12"), ("mobilenet_v2", "2x2 over 12")])
def test_stems_are_found_on_a_wide_array(name: str, window: str) -> None:
    (finding,) = found(name, "CHN003", "rk3588")
    assert window in finding.suggestion
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.saving_s is not None
    assert 0 < finding.saving_s < finding.latency_s


@pytest.mark.parametrize("device", ["hi3519", "x3", "cortex-a76"])
def test_machines_that_take_few_channels_are_silent(device: str) -> None:
    assert found("resnet18", "CHN003", device) == []


def test_the_input_is_traced_through_its_normalisation() -> None:
    text = """n (float[1,3,224,224] x) => (float[1,64,112,112] y) <float[64,3,7,7] w, float[3,1,1] m> {
        a = Sub (x, m)
        y = Conv <strides = [2,2], pads = [3,3,3,3]> (a, w)
    }"""
    assert len(found_in(text, "CHN003", "rk3588")) == 1
