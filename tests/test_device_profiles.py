"""Every built-in profile loads, names its sources and speaks of operators that exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import onnx
import pytest

from onnxlint.device import Device, parse_device
from onnxlint.device_operators import Condition
from onnxlint.device_tables import Figure
from onnxlint.engine import read_model
from onnxlint.placement import place
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.support import SupportTable

FOLDER = Path(__file__).resolve().parent.parent / "device_profiles"
PROFILES = sorted(FOLDER.glob("*.toml"))
NAMES = {path.stem for path in PROFILES}
ONNX_OPERATORS = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
EXPECTED = {
    "a4000",
    "ane",
    "cortex-a53",
    "cortex-a72",
    "cortex-a76",
    "cortex-m55",
    "cv22",
    "edgetpu",
    "ethos-u55",
    "ethos-u65",
    "generic",
    "gtx1080ti",
    "h100",
    "h200",
    "hailo-8",
    "hexagon",
    "hi3516dv300",
    "hi3519",
    "i7-12700h",
    "i9-10940x",
    "myriad-x",
    "openvino-npu",
    "rk3568",
    "rk3588",
    "rtx3090",
    "rtx4090",
    "snapdragon810",
    "t4",
    "x3",
    "x5",
}
LOCAL_PATH = re.compile(r"(^|[\s(\"'])(/(work|home|tmp|opt|root|usr|Users)\b|\.\.?/|[A-Z]:\\)|\bshared/|DEVICES\.md")


def load(path: Path) -> Device:
    return parse_device(path.read_bytes(), path.name)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def tables(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from tables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from tables(inner)


def figures(device: Device) -> list[Figure]:
    single = (device.bandwidth_gb_per_s, device.on_chip_kib, device.memory_mib, device.fill_elements)
    return [*device.peak_gops.values(), *(figure for figure in single if figure is not None)]


def operator_names(device: Device) -> Iterator[str]:
    operators = device.operators
    yield from (*operators.supported, *operators.unsupported, *operators.unknown)
    yield from (condition.op for condition in operators.conditional)
    groups = {group.name for group in device.fusion.groups}  # a fused group has a cost under its own name
    yield from (*device.fusion.epilogue, *device.fusion.free, *(device.vector_cost.keys() - groups))


def test_the_expected_profiles_are_there() -> None:
    assert NAMES >= EXPECTED


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
class TestProfile:
    def test_loads_under_its_file_name(self, path: Path) -> None:
        device = load(path)
        assert device.name == path.stem
        assert device.native_precision in device.precisions

    def test_every_figure_has_a_source_and_an_unknown_one_says_so(self, path: Path) -> None:
        for figure in figures(load(path)):
            assert figure.source.strip()
            if figure.value is None:
                assert figure.source.startswith("not published")

    def test_every_source_and_reason_says_something(self, path: Path) -> None:
        for table in tables(tomllib.loads(path.read_text(encoding="utf-8"))):
            for key in ("source", "reason"):
                assert key not in table or str(table[key]).strip()

    def test_operators_exist(self, path: Path) -> None:
        unknown = {name for name in operator_names(load(path)) if ":" not in name} - ONNX_OPERATORS
        assert not unknown

    def test_no_operator_is_listed_twice(self, path: Path) -> None:
        operators = load(path).operators
        conditional = {condition.op for condition in operators.conditional}
        listed = [*operators.supported, *operators.unsupported, *operators.unknown, *conditional]
        assert sorted(listed) == sorted(set(listed))

    def test_host_exists_and_has_no_host_itself(self, path: Path) -> None:
        device = load(path)
        if device.host is None:
            return
        assert device.host in NAMES
        assert load(FOLDER / f"{device.host}.toml").host is None
        assert device.transfer is not None

    def test_fitted_sets_say_on_how_many_rows(self, path: Path) -> None:
        basis = load(path).attainable
        assert (basis.trust == "fitted") == (basis.fitted_on > 0)

    def test_attainable_bandwidth_stays_below_the_nominal_one(self, path: Path) -> None:
        device = load(path)
        nominal = device.bandwidth_gb_per_s.value
        for chosen in device.attainable.sets:
            assert nominal is None or chosen.bandwidth_gb_per_s <= nominal

    def test_mentions_no_path_of_a_machine(self, path: Path) -> None:
        for text in strings(tomllib.loads(path.read_text(encoding="utf-8"))):
            assert not LOCAL_PATH.search(text), text

    def test_lines_are_short(self, path: Path) -> None:
        assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 120


def test_names_and_aliases_are_unique() -> None:
    names = [name.lower() for path in PROFILES for name in (load(path).name, *load(path).aliases)]
    assert sorted(names) == sorted(set(names))


def test_the_generic_profile_supports_everything() -> None:
    operators = load(FOLDER / "generic.toml").operators
    assert operators.default == "supported"
    assert not [*operators.unsupported, *operators.unknown, *operators.conditional]


@pytest.mark.parametrize("name", ["x3", "cortex-a53", "cortex-a76", "snapdragon810"])
def test_depthwise_is_silent_only_with_a_reason(name: str) -> None:
    setting = load(FOLDER / f"{name}.toml").rules["CNV001"]
    assert setting.silent
    assert setting.reason
    assert setting.source


@pytest.mark.parametrize("name", ["hi3519", "cv22", "rk3588"])
def test_depthwise_is_judged_on_npus_that_pay_for_it(name: str) -> None:
    assert "CNV001" not in load(FOLDER / f"{name}.toml").rules


def verdict(text: str, *conditions: Condition) -> str:
    """Why a device with these conditions does not run the first node; empty where it does."""
    generic = load(FOLDER / "generic.toml")
    operators = msgspec.structs.replace(generic.operators, conditional=list(conditions))
    graph = read_model(example_model(text), Settings()).graph
    return SupportTable(msgspec.structs.replace(generic, operators=operators)).of(graph, graph.compute_nodes[0]).reason


def limit(op: str, **limits: object) -> Condition:
    return Condition(op=op, reason="a limit", source="a test", **limits)  # type: ignore[arg-type]


SIGMOID = "g (float[2,32,16,16] x) => (float[2,32,16,16] y) { y = Sigmoid(x) }"
DENSE = "g (float[1,8,9,9] x) => (float[1,8,1,1] y) <float[8,8,9,9] w> { y = Conv(x, w) }"
DEPTHWISE = "g (float[1,8,9,9] x) => (float[1,8,1,1] y) <float[8,1,9,9] w> { y = Conv<group=8>(x, w) }"
MEAN = """<ir_version: 8, opset_import: ["" : 18]>
g (float[1,8,9,9] x) => (y) <int64[2] axes = {-1,-2}> { y = ReduceMean(x, axes) }"""
SLICE = """g (float[1,8,9,9] x) => (y) <int64[1] start = {0}, int64[1] end = {4}, int64[1] axis = {-3}>
{ y = Slice(x, start, end, axis) }"""

PRODUCT = "g (float[1,3,197,64] x, float[{b}] z) => (y) {{ y = MatMul(x, z) }}"
SCALED = "g (float[1,197,64] x) => (y) <float c> {{ y = {op}(c, x) }}"


@pytest.mark.parametrize(
    ("text", "condition", "broken"),
    [
        (SIGMOID, limit("Sigmoid", max_elements=8192), ""),
        (SIGMOID, limit("Sigmoid", max_elements=8191), "8192 elements above 8191"),
        (DENSE, limit("Conv", depthwise=True, max_kernel=8), ""),
        (DENSE, limit("Conv", depthwise=False, max_kernel=8), "kernel 9x9 above 8"),
        (DEPTHWISE, limit("Conv", depthwise=True, max_kernel=8), "kernel 9x9 above 8"),
        (DEPTHWISE, limit("Conv", depthwise=False, max_kernel=8), ""),
        (MEAN, limit("ReduceMean", min_rank=4, axes=[2, 3]), ""),
        (MEAN, limit("ReduceMean", min_rank=5, axes=[2, 3]), "4-D input"),
        (MEAN, limit("ReduceMean", axes=[2]), "axis 3"),
        ("g (float[1,8,9,9] x) => (y) { y = ReduceMean(x) }", limit("ReduceMean", axes=[2, 3]), "axis 0, 1"),
        (SLICE, limit("Slice", axes=[1]), ""),
        (SLICE, limit("Slice", axes=[2, 3]), "axis 1"),
        ("g (float[1,8,9,9] x) => (y) { y = Softmax(x) }", limit("Softmax", axes=[1]), "axis 3"),
        (
            "g (float[1,4,8,8] x) => (y) { y = SpaceToDepth<blocksize=2>(x) }",
            limit("SpaceToDepth", integer_scales=[2]),
            "",
        ),
        (
            "g (float[1,4,8,8] x) => (y) { y = SpaceToDepth<blocksize=4>(x) }",
            limit("SpaceToDepth", integer_scales=[2]),
            "block size 4",
        ),
        (PRODUCT.format(b="1,1,64,197"), limit("MatMul", shared_operand=True), ""),
        (PRODUCT.format(b="1,3,64,197"), limit("MatMul", shared_operand=True), "1x3x197x64 by 1x3x64x197"),
        (PRODUCT.format(b="1,1,64,197"), limit("MatMul", constant_operand=True), "two feature maps"),
        (SCALED.format(op="Div"), limit("Div", constant_operand=True), ""),
        (SCALED.format(op="Div"), limit("Div", constant_operand=False), "a constant input"),
        (SCALED.format(op="Mul"), limit("Mul", min_rank=3), ""),
        (SCALED.format(op="Mul"), limit("Mul", min_rank=4), "3-D input"),
    ],
)
def test_conditions(text: str, condition: Condition, broken: str) -> None:
    assert verdict(text, condition) == (f"a limit; here {broken}" if broken else "")


def test_several_conditions_on_one_operator_all_hold() -> None:
    both = (limit("Conv", max_kernel=31), limit("Conv", depthwise=True, max_kernel=8))
    assert not verdict(DENSE, *both)
    assert verdict(DEPTHWISE, *both)


def test_rk3588_takes_wide_kernels_but_not_depthwise() -> None:
    table = SupportTable(load(FOLDER / "rk3588.toml"))
    for text, expected in ((DENSE, "supported"), (DEPTHWISE, "unsupported")):
        graph = read_model(example_model(text), Settings()).graph
        assert table.of(graph, graph.compute_nodes[0]).status == expected


@pytest.mark.parametrize(
    ("middle", "hosted"), [("c = Relu(b)", {"Mish", "Relu"}), ("c = Conv(b, w)", {"Mish"})], ids=["light", "worth it"]
)
def test_a_light_stretch_between_two_on_the_host_stays_there(middle: str, hosted: set[str]) -> None:
    text = f"""g (float[1,8,9,9] x) => (y) <float[8,8,1,1] w>
    {{ a = Conv(x, w) b = Mish(a) {middle} d = Mish(c) y = Conv(d, w) }}"""
    device = load(FOLDER / "hi3519.toml")
    graph = read_model(example_model(text), Settings()).graph
    placement = place(graph, device, SupportTable(device))
    assert {graph.node(key).op_type for key in placement.on_host} == hosted
    assert placement.host_partitions == (1 if "Relu" in hosted else 2)
