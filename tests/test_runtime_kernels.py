"""The kernels that a runtime registers, under what a profile says itself."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxlint.device import DeviceError, load_device, parse_device, runtime_kernels
from onnxlint.device_operators import Condition, Operators
from onnxlint.engine import read_model
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.support import SupportTable

KERNELS = runtime_kernels("onnxruntime-cpu")


def status(text: str, device: str = "cortex-a76") -> tuple[str, str]:
    graph = read_model(example_model(text), Settings()).graph
    found = SupportTable(load_device(device)).of(graph, graph.compute_nodes[0])
    return found.status, found.reason


def test_every_operator_is_listed_once() -> None:
    names = [*KERNELS.supported, *KERNELS.unsupported, *KERNELS.dtypes]
    assert len(names) == len(set(names))


def test_the_operators_of_the_zoo_run() -> None:
    for op in (
        "Conv",
        "MatMul",
        "Gemm",
        "Softmax",
        "LayerNormalization",
        "Gelu",
        "HardSwish",
        "Resize",
        "LSTM",
        "Einsum",
    ):
        assert op in KERNELS.supported or "float32" in KERNELS.dtypes[op]


def test_what_is_not_run_has_no_kernel_in_the_schema_either() -> None:
    standard = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    assert {op for op in KERNELS.unsupported if ":" not in op} <= standard


def test_a_type_without_a_kernel_is_told_with_the_version() -> None:
    text = "n (double[1,8,9,9] x) => (y) <double[8,8,3,3] w> { y = Conv(x, w) }"
    found, reason = status(text)
    assert found == "unsupported"
    assert f"ONNX Runtime {KERNELS.version} has a kernel of Conv for" in reason
    assert status("n (float16[1,8,9,9] x) => (y) <float16[8,8,3,3] w> { y = Conv(x, w) }")[0] == "supported"


def test_the_profile_has_the_last_word() -> None:
    own = Operators(
        default="supported",
        source="s",
        unsupported=["Gelu"],
        conditional=[Condition(op="Conv", reason="r", source="s", max_kernel=7)],
    )
    merged = KERNELS.merged(own)
    assert "Gelu" in merged.unsupported
    assert "Gelu" not in merged.supported
    assert [one.max_kernel for one in merged.conditional if one.op == "Conv"] == [7]


def test_an_unknown_runtime_is_refused() -> None:
    text = (Path(__file__).parent.parent / "device_profiles" / "generic.toml").read_text(encoding="utf-8")
    broken = text.replace("[operators]\n", '[operators]\nruntime = "nothing"\n')
    with pytest.raises(DeviceError, match="no kernels of 'nothing' are known"):
        parse_device(broken.encode(), "broken.toml")
