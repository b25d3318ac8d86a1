"""`onnxlint measure`: its JSON and table on a small model, and what can't be measured."""

from __future__ import annotations

import json
import os
from pathlib import Path

import modelfiles
import onnx
import pytest
from hostile.corpus_commands import looped

from onnxlint.cli import run_main
from onnxlint.measure.weights import fill_absent
from onnxlint.rule import example_model

TEXT = """g (float[1,16,24,24] x) => (float[1,16,24,24] z) <float[16,16,3,3] w, float[16,16,1,1] v>
{ y = Conv<pads=[1,1,1,1]>(x, w) a = Relu(y) b = Conv(a, v) z = Sigmoid(b) }"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Weights are declared and absent, as in a repository without them."""
    proto = example_model(TEXT)
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value="gone.bin")
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return str(path)


def test_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["measure", model, "--device", "cortex-a76", "--seconds", "0.2", "--output-format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"] == "cortex-a76"
    assert found["predicted_s"] > 0
    assert found["measured_s"] > 0
    assert found["ratio"] == pytest.approx(found["predicted_s"] / found["measured_s"])
    assert found["made_up_weights"] == 2
    assert any("not calibrated" in note for note in found["notes"])
    off = [abs(kernel["predicted_s"] - kernel["measured_s"]) for kernel in found["kernels"]]
    assert off == sorted(off, reverse=True)
    measured = sum(kernel["measured_s"] for kernel in found["kernels"]) + found["unjoined_s"]
    assert measured == pytest.approx(found["measured_s"], rel=0.01)
    assert found["unjoined_s"] < 0.2 * found["measured_s"]


def test_table(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["measure", model, "--device", "cortex-a76", "--seconds", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "predicted" in out
    assert "Conv+Relu" in out
    assert "2 absent weights" in out


def test_a_model_that_can_not_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(example_model("g (float[2] x) => (float[2] y) { y = NoSuchOperator(x) }").SerializeToString())
    assert run_main(["measure", str(path), "--device", "cortex-a76"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"onnxlint: {path}: ")
    assert error.count("\n") == 1


def test_a_gigabyte_of_absent_weights_is_not_made_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = modelfiles.saved(modelfiles.conv(modelfiles.weights("w", 1 << 15, 1 << 13, external="gone.bin")), tmp_path)
    words = ["measure", path, "--device", "cortex-a76", "--seconds", "0.1"]
    assert run_main(words) == 2
    assert "more than 512 MiB of its weights are absent" in capsys.readouterr().err
    assert run_main([*words, "--max-memory-mb", "100"]) == 2
    assert "more than 100 MiB of its weights are absent" in capsys.readouterr().err


def test_what_does_not_fit_the_memory_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "g (float[1] x) => (float[N] y) <int64[1] s = {536870912}> { a = Expand(x, s) y = Relu(a) }"
    path = modelfiles.saved(example_model(text), tmp_path)
    assert run_main(["measure", path, "--device", "cortex-a76", "--seconds", "0.1"]) == 2
    assert capsys.readouterr().err == (
        f"onnxlint: {path}: ONNX Runtime can't run it: it needs more memory than it may have "
        "(--timeout and --max-memory-mb set its bounds)\n"
    )


def test_a_loop_without_end_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = modelfiles.saved(looped(onnx.helper.make_node("Relu", ["s"], ["r"])), tmp_path)
    assert run_main(["measure", path, "--device", "cortex-a76", "--seconds", "0.1", "--timeout", "1"]) == 2
    assert "took longer than 1 s (--timeout" in capsys.readouterr().err


def test_weights_are_read_from_inside_the_folder_only(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\x00" * 4096)
    inside = tmp_path / "models"
    inside.mkdir()
    (inside / "w.bin").write_bytes(b"\x00\x00\x80\x3f" * 16 * 16)
    proto = example_model("g (float[1,16,4,4] x) => (float[1,16,4,4] y) <float[16,16,1,1] w> { y = Conv(x, w) }")
    (tensor,) = proto.graph.initializer
    for location, made_up in (("../secret.bin", 1), ("w.bin", 0)):
        for field in ("raw_data", "float_data", "external_data"):
            tensor.ClearField(field)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        assert fill_absent(proto, inside) == made_up
    assert set(onnx.numpy_helper.to_array(tensor).reshape(-1).tolist()) == {1.0}


def test_weights_of_attributes_and_bodies_are_not_left_to_the_runtime(tmp_path: Path) -> None:
    """ONNX Runtime would open what they say, or read its own memory where they say `*/_ORT_MEM_ADDR_/*`."""
    far = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    far.external_data.add(key="location", value="../secret.bin")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=far)
    body = onnx.helper.make_graph([constant], "g", [], [onnx.helper.make_tensor_value_info("c", 1, [2])], [far])
    branch = onnx.helper.make_node("If", ["b"], ["y"], then_branch=body, else_branch=body)
    model = onnx.helper.make_model(onnx.helper.make_graph([branch], "g", [], []))
    assert fill_absent(model, tmp_path) == 4
    assert b"secret" not in model.SerializeToString()


def test_the_runtime_reports_nothing(tmp_path: Path) -> None:
    path = modelfiles.saved(modelfiles.conv(), tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    words = ("measure", path, "-d", "generic", "--seconds", "0.1")
    ran = modelfiles.script(
        *words, cwd=tmp_path, env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    )
    assert ran.returncode == 0, ran.stderr
    assert list(home.rglob("*")) == []
