"""Weights' values: the same from a file, a stream, memory and external data; bounded, and read only where asked."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxlint.api import lint
from onnxlint.engine import read_model
from onnxlint.load import load, load_stream
from onnxlint.patterns.weight_statistics import (
    Int8Noise,
    dead_channels,
    int8_noise,
    int8_noise_of_columns,
    is_two_of_four,
    zero_count,
)
from onnxlint.settings import Settings
from onnxlint.weights import WeightValues

BIG = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)


def model(*tensors: TensorProto, nodes: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in "xy")
    nodes = nodes or [helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])


def values(proto: onnx.ModelProto, mode: str = "auto") -> WeightValues:
    return read_model(proto, Settings(weights=mode)).weights  # type: ignore[arg-type]


def from_file(path: Path, mode: str = "auto") -> WeightValues:
    loaded = load(path)
    return read_model(loaded.proto, Settings(weights=mode), str(path), source=loaded).weights  # type: ignore[arg-type]


def saved(tmp_path: Path, proto: onnx.ModelProto) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


FORMS: dict[str, Any] = {
    "raw": lambda: numpy_helper.from_array(BIG, "w"),
    "float_data": lambda: helper.make_tensor("w", TensorProto.FLOAT, BIG.shape, BIG.reshape(-1)),
    "double_data": lambda: helper.make_tensor("w", TensorProto.DOUBLE, BIG.shape, BIG.reshape(-1).astype(float)),
    "float16": lambda: numpy_helper.from_array(BIG.astype(np.float16), "w"),
    "bfloat16": lambda: helper.make_tensor(
        "w", TensorProto.BFLOAT16, BIG.shape, BIG.astype(ml_dtypes.bfloat16).tobytes(), raw=True
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_a_stream_and_memory_give_the_same(tmp_path: Path, form: str) -> None:
    proto = model(FORMS[form]())
    path = saved(tmp_path, proto)
    stream = load_stream(io.BytesIO(path.read_bytes()))
    for found in (values(proto), from_file(path), read_model(stream.proto, Settings(), source=stream).weights):
        value = found("w")
        assert value is not None
        assert value.dtype in (np.float32, np.float64)
        np.testing.assert_allclose(value, BIG, rtol=1e-2)
        assert not found.note()


def test_narrow_integers_are_unpacked(tmp_path: Path) -> None:
    numbers = (np.arange(16384) % 16 - 8).reshape(128, 128)
    low, high = (numbers.reshape(-1)[start::2] & 15 for start in (0, 1))
    packed = (low | high << 4).astype(np.uint8).tobytes()
    tensor = helper.make_tensor("w", TensorProto.INT4, numbers.shape, packed, raw=True)
    found = from_file(saved(tmp_path, model(tensor)))("w")
    assert found is not None
    assert found.dtype == np.int8
    assert (found == numbers).all()


def test_values_are_followed_through_constant_operators() -> None:
    stored = numpy_helper.from_array(np.clip(np.round(BIG * 30), -127, 127).astype(np.int8), "q")
    scales = numpy_helper.from_array(np.full(64, 1 / 30, np.float32), "s")
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["d"], axis=0),
        helper.make_node("Transpose", ["d"], ["t"]),
        helper.make_node("Identity", ["t"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    found = values(model(stored, scales, nodes=nodes))("w")
    assert found is not None
    np.testing.assert_allclose(found, BIG.T, atol=0.02)


def test_modes_bound_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    proto = model(numpy_helper.from_array(BIG, "w"))
    assert values(proto, "never")("w") is None
    assert values(proto, "never").why_not == "--weights never"
    monkeypatch.setattr("onnxlint.weights.AUTO_MAX_MB", 0.01)
    assert values(proto, "auto")("w") is None
    assert "--weights always reads them" in values(proto, "auto").why_not
    assert values(proto, "always")("w") is not None


def external(tmp_path: Path, location: str = "w.bin") -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=BIG.shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="16")
    return saved(tmp_path, model(tensor))


def test_external_data_is_opened_when_asked_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = external(tmp_path)
    (tmp_path / "w.bin").write_bytes(b"\0" * 16 + BIG.tobytes())
    opened: list[Any] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda name, *rest, **more: (opened.append(name), real(name, *rest, **more))[1])
    found = from_file(path)
    assert found("w") is None
    assert "--weights always opens it" in found.why_not
    assert not any("w.bin" in str(name) for name in opened)
    value = from_file(path, "always")("w")
    assert value is not None
    assert (value == BIG).all()


def test_external_data_behind_a_link_or_outside_is_refused_and_said(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"\0" * 16 + BIG.tobytes())
    (tmp_path / "w.bin").symlink_to("real.bin")
    found = from_file(external(tmp_path), "always")
    assert found("w") is None
    assert "link" in found.note()
    found = from_file(external(tmp_path, "../w.bin"), "always")
    assert found("w") is None
    assert found.note()


def test_a_file_that_was_replaced_is_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path, model(numpy_helper.from_array(BIG, "w")))
    found = from_file(path)
    path.write_bytes(path.read_bytes())
    os.utime(path, (1, 1))
    assert found("w") is None
    assert "changed" in found.note()
    found.close()


def test_what_is_measured_is_measured_once_and_never_of_odd_numbers() -> None:
    calls: list[int] = []

    def measure(value: np.ndarray) -> float:
        calls.append(1)
        return float(value.sum())

    found = values(model(numpy_helper.from_array(BIG, "w")))
    assert found.measured(measure, "w") == found.measured(measure, "w")
    assert len(calls) == 1
    odd = BIG.copy()
    odd[0, 0] = np.nan
    assert values(model(numpy_helper.from_array(odd, "w"))).measured(measure, "w") is None
    assert len(calls) == 1


def test_a_report_says_which_rules_did_not_run(tmp_path: Path) -> None:
    path = external(tmp_path)
    report = lint(path, "t4")
    assert any(note.startswith("not run: CNV006") for note in report.model.notes)
    assert not report.incomplete
    report = lint(path, "t4", Settings(weights="always"))
    assert any("could not be read (is missing)" in note for note in report.model.notes)
    report = lint(path, "t4", Settings(select=("G",)))
    assert not any("not run" in note for note in report.model.notes)


def test_a_damaged_tensor_is_said_and_harms_nothing() -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=BIG.shape, raw_data=b"\0" * 12)
    found = WeightValues(None, {"w": tensor}, "always")
    assert found("w") is None
    assert found("nothing") is None
    assert "could not be read" in found.note()


@pytest.mark.parametrize("measure", [dead_channels, zero_count, is_two_of_four, int8_noise, int8_noise_of_columns])
def test_what_is_too_large_is_measured_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measure: Callable[[Any], object]
) -> None:
    array = BIG.copy()
    array[3] = 0
    array[:, 5] *= 1e-9
    array[np.random.default_rng(1).random(BIG.shape) < 0.3] = 0
    path = external(tmp_path)
    (tmp_path / "w.bin").write_bytes(b"\0" * 16 + array.tobytes())
    (tmp_path / "inside").mkdir()
    inside = saved(tmp_path / "inside", model(numpy_helper.from_array(array, "w")))
    stream = load_stream(io.BytesIO(inside.read_bytes()))
    held = measure(array.copy())
    monkeypatch.setattr("onnxlint.weights.WHOLE_MB", 0)
    monkeypatch.setattr("onnxlint.rows._BLOCK", 700)
    for found in (
        from_file(path, "always"),
        from_file(inside),
        read_model(stream.proto, Settings(), source=stream).weights,
    ):
        sliced = found.measured(measure, "w")
        if isinstance(held, Int8Noise) and isinstance(sliced, Int8Noise):
            assert sliced.per_tensor_db == pytest.approx(held.per_tensor_db)
            assert sliced.per_channel_db == pytest.approx(held.per_channel_db)
            assert sliced.body_db == pytest.approx(held.body_db)
            assert sliced.ratio == held.ratio
        else:
            assert sliced == held
        assert found("w") is None, "no whole of it is held"
        found.close()


def test_odd_numbers_and_short_files_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxlint.weights.WHOLE_MB", 0)
    odd = BIG.copy()
    odd[63, 63] = np.inf
    assert from_file(saved(tmp_path, model(numpy_helper.from_array(odd, "w")))).measured(zero_count, "w") is None
    path = external(tmp_path)
    (tmp_path / "w.bin").write_bytes(BIG.tobytes()[:5000])
    found = from_file(path, "always")
    assert found.measured(zero_count, "w") is None
    assert "ends at" in found.note()
