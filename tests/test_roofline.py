"""The roofline: no kernel above what it can attain, each under the part of the roof that bounds it, none lost."""

from __future__ import annotations

import json

import modelfiles
import numpy as np
import pytest
from models import analyse, constant, model, value, weight
from onnx import helper
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.roofline import Roofline, roofline_of

DEVICES = ("hi3519", "rk3588", "t4", "cortex-a76", "x3", "hailo-8", "generic")


@pytest.fixture(scope="module", params=DEVICES)
def found(request: pytest.FixtureRequest) -> tuple[Analysis, Roofline]:
    analysis = analyse(build("shufflenet_v2_x1_0"), request.param)
    return analysis, roofline_of(analysis)


def test_every_second_is_on_the_roofline_or_said_to_be_left_out(found: tuple[Analysis, Roofline]) -> None:
    analysis, roofline = found
    shown = sum(point.latency_s for point in roofline.points)
    assert shown + sum(one.latency_s for one in roofline.left_out) == pytest.approx(float(analysis.total.mean()))
    assert len(roofline.points) + sum(one.kernels for one in roofline.left_out) == len(analysis.kernels)
    assert sum(roof.latency_s for roof in roofline.classes) == pytest.approx(shown)


def test_no_kernel_is_above_its_roof(found: tuple[Analysis, Roofline]) -> None:
    for point in found[1].points:
        assert 0 < point.roof_share <= 1 + 1e-9
        assert point.attained_gops == pytest.approx(point.roof_share * point.roof_gops)
        assert point.attained_gops == pytest.approx(point.flops / point.latency_s / 1e9)
        assert point.intensity == pytest.approx(point.flops / point.bytes)


def test_a_kernel_bound_by_memory_lies_under_the_slanted_part() -> None:
    roofline = roofline_of(analyse(build("shufflenet_v2_x1_0"), "generic"))
    waiting = [point for point in roofline.points if point.bound == "memory"]
    assert waiting
    for point in waiting:
        assert point.attained_gops <= roofline.attainable_bandwidth_gb_per_s * point.intensity * (1 + 1e-9)
        assert point.intensity < roofline.ridge


def test_a_large_convolution_stands_right_of_the_ridge_under_the_flat_part() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    proto = model([node], [value("x", [1, 512, 56, 56])], ["y"], [weight("w", 512, 512, 3, 3)])
    roofline = roofline_of(analyse(proto, "t4"))
    (point,) = roofline.points
    (roof,) = roofline.classes
    assert (point.bound, point.kernel_class) == ("compute", "conv3x3")
    assert point.intensity > roof.ridge
    assert 0.5 * roof.attainable_gops < point.attained_gops <= roof.attainable_gops
    assert point.roof_gops == pytest.approx(roof.attainable_gops)


def test_a_small_kernel_is_bound_by_its_launch_far_below_the_roof() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])], [value("x", [1, 4])], ["y"])
    (point,) = roofline_of(analyse(proto, "t4")).points
    assert point.bound == "overhead"
    assert point.roof_share < 0.1


def test_padding_keeps_a_kernel_from_its_roof() -> None:
    def share(channels: int) -> float:
        node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
        shape = [1, channels, 112, 112]
        proto = model([node], [value("x", shape)], ["y"], [weight("w", channels, channels, 3, 3)])
        return roofline_of(analyse(proto, "rk3588")).points[0].roof_share

    assert share(96) > 1.2 * share(97)


def test_the_ridge_is_where_the_roofs_meet() -> None:
    roofline = roofline_of(analyse(build("shufflenet_v2_x1_0"), "t4"))
    assert roofline.bandwidth_gb_per_s == 320
    assert roofline.ridge * 320 == pytest.approx(roofline.peak_gops)
    for roof in roofline.classes:
        assert roof.ridge * roofline.attainable_bandwidth_gb_per_s == pytest.approx(roof.attainable_gops)


def test_an_unpublished_bandwidth_stays_null_and_the_ridge_is_the_attainable_one() -> None:
    roofline = roofline_of(analyse(build("shufflenet_v2_x1_0"), "hi3519"))
    assert roofline.bandwidth_gb_per_s is None
    assert roofline.parameter_sets > 1
    assert roofline.ridge * roofline.attainable_bandwidth_gb_per_s == pytest.approx(roofline.peak_gops)


def test_what_has_no_place_is_left_out_with_its_reason() -> None:
    nodes = [
        helper.make_node("Mystery", ["x"], ["a"], domain="nobody"),
        helper.make_node("Transpose", ["x"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    proto = model(nodes, [value("x", [64, 64])], ["a", "y"], domains={"nobody": 1})
    roofline = roofline_of(analyse(proto, "generic"))
    assert [(one.reason, one.kernels) for one in roofline.left_out] == [("unknown", 1), ("no arithmetic", 1)]
    assert [point.ops for point in roofline.points] == ["Relu"]


def test_what_runs_on_the_host_is_left_out() -> None:
    roofline = roofline_of(analyse(build("shufflenet_v2_x1_0"), "hi3519"))
    (host,) = [one for one in roofline.left_out if one.reason == "host"]
    assert host.kernels > 0
    assert host.share > 0


def test_products_of_integers_have_their_own_roof() -> None:
    quantized = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["y"]),
    ]
    weights = [weight("w", 256, 256, dtype=np.int8), constant("wz", 0, np.int8)]
    proto = model(quantized, [value("x", [256, 256])], ["y"], weights)
    roofline = roofline_of(analyse(proto, "generic"))
    (roof,) = [roof for roof in roofline.classes if roof.kernel_class == "integer_gemm"]
    assert roof.nominal_gops is not None
    assert roof.nominal_gops > roofline.peak_gops


@pytest.mark.parametrize("device", ["t4", "hi3519"])
def test_a_model_without_kernels_has_an_empty_roofline(device: str) -> None:
    proto = model([helper.make_node("Identity", ["x"], ["y"])], [value("x", [4])], ["y"])
    roofline = roofline_of(analyse(proto, device))
    assert roofline.points == ()
    assert roofline.classes == ()


def test_json_holds_the_roof_and_the_points_beside_the_profile(tmp_path: object) -> None:
    path = modelfiles.saved(build("shufflenet_v2_x1_0"), tmp_path, "m.onnx")
    plain = json.loads(modelfiles.run("profile", str(path), "-d", "t4", "--output-format", "json").out)
    found = json.loads(modelfiles.run("profile", str(path), "-d", "t4", "--roofline", "--output-format", "json").out)
    roofline = found.pop("roofline")
    assert found == plain
    assert roofline["precision"] == "fp16"
    assert {point["mark"] for point in roofline["points"]} == {None, *"123456789"}
    assert all(point["bound"] in ("compute", "memory", "overhead") for point in roofline["points"])
