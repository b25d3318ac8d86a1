"""G4: element-wise kernels, and which of them can vanish."""

from __future__ import annotations

import numpy as np
import pytest
from linting import found, found_in, network

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.patterns.parallel import merges
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.target import target_for

T4 = target_for(load_device("t4"))

LATE = """late (float[1,64,56,56] x) => (float[1,128,56,56] y) <float[64,64,1,1] w, float[64,64,3,3] v> {
    a = Conv (x, w)
    b = Conv <pads = [1,1,1,1]> (x, v)
    c = Concat <axis = 1> (a, b)
    y = Relu (c)
}"""
SHORTCUT = """shortcut (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,1,1] w, float[64,64,1,1] v> {
    h = Conv (x, w)
    r = Relu (h)
    a = Conv (r, v)
    b = Add (a, x)
    y = Relu (b)
}"""
PARALLEL = """parallel (float[1,{c},56,56] x) => (float[1,64,28,28] z)
<float[64,{c},3,3] w, float[64,{c},1,1] v, float[64] s, float[64] o, float[64] m, float[64] d> {{
    a = Conv <pads = [1,1,1,1], strides = [2,2]> (x, w)
    b = Conv <pads = [{p},{p},{p},{p}], strides = [2,2]> (x, v)
    n = BatchNormalization (b, s, o, m, d)
    y = Add (a, n)
    z = Relu (y)
}}"""


def test_an_activation_behind_a_concat_moves_before_it() -> None:
    (finding,) = found_in(LATE, "G4", "hi3519")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.fix.title == "1 activation moved before the Concat"
    assert finding.saving_s is not None
    assert finding.saving_s > 0


def test_it_stays_where_the_concat_is_read_elsewhere() -> None:
    text = LATE.replace("(float[1,128,56,56] y)", "(float[1,128,56,56] y, float[1,128,56,56] c)")
    (finding,) = found_in(text, "G4", "hi3519")
    assert finding.fix is None
    assert finding.severity == "info"


def test_a_shortcuts_relu_is_dropped_where_sums_are_not_fused() -> None:
    (finding,) = found_in(SHORTCUT, "G4", "cortex-a76")
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"
    assert found_in(SHORTCUT, "G4", "t4") == []


@pytest.mark.parametrize("name", ["resnet18", "repvgg_a0_deploy", "mobilenet_v2"])
@pytest.mark.parametrize("device", ["t4", "hi3519", "x3"])
def test_what_is_fused_costs_nothing(name: str, device: str) -> None:
    assert found(name, "G4", device) == []


def test_densenet_says_which_operators_take_the_time() -> None:
    (finding,) = found("densenet121", "G4", "t4")
    assert "Concat" in finding.suggestion
    assert "% of the memory traffic" in finding.message


def test_parallel_linear_branches_merge_exactly() -> None:
    assert found("repvgg_a0_train", "G4", "t4") == []
    (finding,) = found("repvgg_a0_train", "STR001", "t4")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.saving_s is not None
    before, after = (float(Analysis(network(f"repvgg_a0_{n}").graph, T4).total.mean()) for n in ("train", "deploy"))
    assert finding.saving_s == pytest.approx(before - after, rel=0.02)


def test_a_sum_merges_where_the_windows_fit() -> None:
    def merged(text: str) -> int:
        return len(list(merges(read_model(example_model(text), Settings()).graph)))

    text = PARALLEL.format(c=32, p=0)
    assert merged(text) == 1
    begun = text.replace(
        "y = Add (a, n)", "zero = Constant <value_float = 0.0> ()\n    e = Add (zero, a)\n    y = Add (e, n)"
    )
    assert merged(begun) == 1
    for old, new in (
        ("b = Conv <pads = [0,0,0,0], strides = [2,2]> (x, v)", "b = Conv <strides = [2,2]> (a, v)"),
        ("a = Conv <", "a = Conv <dilations = [2,2], "),
        ("=> (float[1,64,28,28] z)", "=> (float[1,64,28,28] z, float[1,64,28,28] n)"),
    ):
        assert merged(text.replace(old, new)) == 0


def test_the_merge_keeps_the_outputs() -> None:
    random = np.random.default_rng(0)
    x, w, v, scale = (random.standard_normal(s) for s in ((4, 9, 9), (4, 4, 3, 3), (4, 4, 1, 1), (4,)))

    def conv(data: np.ndarray, weight: np.ndarray, pad: int) -> np.ndarray:
        size = weight.shape[-1]
        padded = np.pad(data, ((0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
        return np.einsum("cyxab,ocab->oyx", windows, weight)

    merged = w + np.pad(v, ((0, 0), (0, 0), (1, 1), (1, 1)))
    merged[range(4), range(4), 1, 1] += scale
    summed = conv(x, w, 1) + conv(x, v, 0) + scale[:, None, None] * x
    assert np.allclose(conv(x, merged, 1), summed)


def test_a_change_that_covers_little_is_not_offered() -> None:
    many = "".join(f"    y{i} = Mul (y{i - 1}, x)\n" for i in range(1, 30))
    text = (
        """few (float[1,64,56,56] x) => (float[1,64,56,56] y29) <float[64,64,1,1] w> {
    a = Conv (x, w)
    y0 = Softplus (a)
"""
        + many
        + "}"
    )
    (finding,) = found_in(text, "G4", "cortex-a76")
    assert finding.fix is None
    assert not finding.hidden
    assert finding.suggestion.startswith("Could vanish: none found (")
    assert finding.details == ()


def test_a_gelu_in_parts_becomes_a_relu() -> None:
    (finding,) = found("efficientformer_l1", "G4", "rk3588")
    assert finding.fix is not None
    assert "replaced by Relu" in finding.fix.title


@pytest.mark.parametrize(("name", "severity"), [("efficientformer_l1", "warning"), ("vit_tiny", "info")])
def test_retraining_is_worth_a_warning_from_a_tenth_of_the_latency_on(name: str, severity: str) -> None:
    (finding,) = found(name, "G4", "cortex-a76")
    assert finding.severity == severity
    assert finding.fix is not None
    assert finding.fix.safety == "lossy"
