"""What a profile's conditions say of single nodes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlint import conditions
from onnxlint.device import load_device
from onnxlint.device_operators import Condition, Operators
from onnxlint.engine import read_model
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.support import Support, SupportTable


def limit(op: str, **limits: object) -> Condition:
    return Condition(op=op, reason="a limit", source="a test", **limits)  # type: ignore[arg-type]


def support(text: str, *conditions: Condition, **more: object) -> Support:
    """What a device with these conditions and nothing else says of the first node."""
    operators = Operators(default="supported", source="a test", conditional=list(conditions), **more)  # type: ignore[arg-type]
    graph = read_model(example_model(text), Settings()).graph
    table = SupportTable(msgspec.structs.replace(load_device("generic"), operators=operators))
    return table.of(graph, graph.compute_nodes[0])


def conv(attributes: str, kernel: int = 3, batch: int = 1) -> str:
    return f"""g (float[{batch},8,64,64] x) => (y) <float[8,8,{kernel},{kernel}] w>
    {{ y = Conv<group=1{attributes and ", " + attributes}>(x, w) }}"""


RUNTIME_WEIGHT = "g (float[1,8,9,9] x, float[8,8,3,3] w) => (y) { y = Conv(x, w) }"
SLICED = """g (float[1,8,8,8] x) => (y)
<int64[1] start = {{0}}, int64[1] end = {{8}}, int64[1] axis = {{2}}, int64[1] step = {{{step}}}>
{{ y = Slice(x, start, end, axis, step) }}"""
RESIZED = """g (float[1,8,8,8] x) => (y) <float[4] s = {{1, 1, 2, 2}}>
{{ y = Resize<mode="{mode}"{more}>(x, , s) }}"""
MEAN = """<ir_version: 8, opset_import: ["" : 18]>
g (float[1,8,9,9] x) => (y) <int64[2] axes = {-1,-2}> { y = ReduceMean(x, axes) }"""
TRANSPOSED = "g (float[{batch},8,16] x) => (y) {{ y = Transpose<perm=[{perm}]>(x) }}"


@pytest.mark.parametrize(
    ("text", "condition", "broken"),
    [
        (conv("pads=[1,1,1,1]"), limit("Conv", max_padding=1), ""),
        (conv("pads=[1,1,16,1]"), limit("Conv", max_padding=15), "padding 1x1x16x1 above 15"),
        (conv("dilations=[4,4]"), limit("Conv", max_kernel_area=81), ""),
        (conv("dilations=[4,5]"), limit("Conv", max_kernel_area=81), "kernel 9x11 above 81 positions"),
        (conv(""), limit("Conv", max_kernel_elements=72), ""),
        (conv(""), limit("Conv", max_kernel_elements=71), "72 weights a filter, above 71"),
        (conv("strides=[2,2]"), limit("Conv", strides=[1, 2]), ""),
        (conv("strides=[3,3]"), limit("Conv", strides=[1, 2]), "stride 3x3"),
        (conv("dilations=[3,3]"), limit("Conv", dilations=[1, 2, 4]), "dilation 3x3"),
        (conv(""), limit("Conv", strides=[2, 4]), "stride 1"),
        (conv("", kernel=1), limit("Conv", min_kernel=2), "kernel 1x1 below 2"),
        (conv("", batch=4), limit("Conv", max_batch=1), "batch 4 above 1"),
        (RUNTIME_WEIGHT, limit("Conv", constant_weight=True), "a weight that is computed at run time"),
        (conv(""), limit("Conv", constant_weight=True), ""),
        (
            "g (float[1,8,100,90] x) => (y) { y = GlobalAveragePool(x) }",
            limit("GlobalAveragePool", max_area=8192),
            "100x90 = 9000 positions, above 8192",
        ),
        (SLICED.format(step=1), limit("Slice", unit_steps=True), ""),
        (SLICED.format(step=2), limit("Slice", unit_steps=True), "step 2"),
        (MEAN, limit("ReduceMean", max_axes=2), ""),
        (MEAN, limit("ReduceMean", max_axes=1), "2 axes at once"),
        (RESIZED.format(mode="nearest", more=""), limit("Resize", modes=["nearest"]), ""),
        (RESIZED.format(mode="cubic", more=""), limit("Resize", modes=["nearest"]), "mode cubic"),
        (RESIZED.format(mode="linear", more=""), limit("Resize", coordinates=["half_pixel"]), ""),
        (RESIZED.format(mode="linear", more=""), limit("Resize", coordinates=["asymmetric"]), "coordinate half_pixel"),
        (
            RESIZED.format(mode="linear", more=', coordinate_transformation_mode="align_corners"'),
            limit("Resize", coordinates=["half_pixel"]),
            "coordinate align_corners",
        ),
        (TRANSPOSED.format(batch=2, perm="0,2,1"), limit("Transpose", keeps_batch=True), ""),
        (TRANSPOSED.format(batch=1, perm="1,0,2"), limit("Transpose", keeps_batch=True), ""),
        (
            TRANSPOSED.format(batch=2, perm="1,0,2"),
            limit("Transpose", keeps_batch=True),
            "permutation (1,0,2) moves the batch",
        ),
    ],
)
def test_conditions(text: str, condition: Condition, broken: str) -> None:
    found = support(text, condition)
    assert found.reason == (f"a limit; here {broken}" if broken else "")
    assert found.status == ("unsupported" if broken else "supported")


def test_every_broken_limit_is_named() -> None:
    text = conv("strides=[4,4], pads=[9,9,9,9]", kernel=5)
    found = support(text, limit("Conv", max_kernel=3, max_stride=2), limit("Conv", max_padding=8))
    assert found.limits == {"max_kernel", "max_stride", "max_padding"}


def test_an_operator_that_does_not_run_breaks_no_limit() -> None:
    found = support(conv(""), unsupported=["Conv"])
    assert (found.status, found.limits) == ("unsupported", frozenset())


@given(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=1, max_size=6), st.integers(1, 4))
def test_wide_dims_count_what_is_above_one(shape: list[int], most: int) -> None:
    text = f"g (float[{','.join(map(str, shape))}] x) => (y) {{ y = Relu(x) }}"
    found = support(text, max_wide_dims=most)
    assert (found.status == "unsupported") == (sum(size > 1 for size in shape) > most)


def test_a_weight_may_have_more_wide_dims_than_a_map() -> None:
    assert support(conv(""), max_wide_dims=3).status == "supported"


def test_every_limit_of_a_condition_has_a_check() -> None:
    told = {"op", "depthwise", "reason", "source"}
    limits = {field.name for field in msgspec.structs.fields(Condition)} - told
    checked = [limit for fields in conditions._CHECKS.values() for limit in fields]
    assert sorted(checked) == sorted(limits)
