"""Every built-in profile loads, names its sources and speaks of operators that exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from onnxlint.device import Device, Figure, parse_device

FOLDER = Path(__file__).resolve().parent.parent / "device_profiles"
PROFILES = sorted(FOLDER.glob("*.toml"))
NAMES = {path.stem for path in PROFILES}
ONNX_OPERATORS = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
EXPECTED = {
    "a4000",
    "cortex-a53",
    "cortex-a76",
    "cv22",
    "generic",
    "gtx1080ti",
    "hi3516dv300",
    "hi3519",
    "rk3588",
    "snapdragon810",
    "t4",
    "x3",
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
    yield from (*device.fusion.epilogue, *device.fusion.free, *device.vector_cost)


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
