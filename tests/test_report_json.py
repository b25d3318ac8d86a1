"""JSON version 1: every field with its type, and sums that agree with the totals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import modelfiles
import pytest
from onnx import helper
from zoo import build
from zoo.store import STORED

from onnxlint import __version__

NUMBER, TEXT, FLAG, TEXTS = (int, float), str, bool, [str]
MAYBE = type(None)

# Fields are added, never changed: a field that leaves or changes its type here breaks those who read it.
VALUE = {"name": TEXT, "dtype": TEXT, "shape": ([(int, MAYBE)], MAYBE)}
FIELDS: dict[str, Any] = {
    "schema_version": int,
    "tool": {"name": TEXT, "version": TEXT},
    "model": {
        "path": TEXT,
        "sha256": (TEXT, MAYBE),
        "ir_version": int,
        "opsets": dict,
        "inputs": [VALUE],
        "outputs": [VALUE],
        "nodes": int,
        "assumed": TEXTS,
        "unresolved": TEXTS,
        "unknown_operators": dict,
        "notes": TEXTS,
    },
    "device": {"name": TEXT, "chip": TEXT, "precision": TEXT, "trust": TEXT},
    "verdict": {"runs": TEXT, "partitions": int, "reasons": TEXTS},
    "totals": {
        "params": int,
        "learnable_params": int,
        "macs": int,
        "flops": int,
        "weight_bytes": int,
        "memory_access_bytes": int,
        "peak_activation_bytes": int,
        "latency_s": NUMBER,
        "latency_low_s": NUMBER,
        "latency_high_s": NUMBER,
        "interval_s": NUMBER,
        "throughput_fps": NUMBER,
        "utilisation": NUMBER,
        "required_bandwidth_gb_per_s": NUMBER,
    },
    "layers": [
        {
            "node": TEXT,
            "op": TEXT,
            "kernel": int,
            "macs": int,
            "flops": int,
            "params": int,
            "read_bytes": int,
            "written_bytes": int,
            "latency_s": NUMBER,
            "bound": TEXT,
        }
    ],
    "findings": [
        {
            "rule": TEXT,
            "name": TEXT,
            "severity": TEXT,
            "message": TEXT,
            "suggestion": TEXT,
            "node": TEXT,
            "nodes": TEXTS,
            "hidden": FLAG,
            "latency_s": NUMBER,
            "saving_s": (int, float, MAYBE),
            "saving_low_s": (int, float, MAYBE),
            "saving_high_s": (int, float, MAYBE),
            "saving_cumulative_s": (int, float, MAYBE),
            "fix": ({"safety": TEXT, "applied": FLAG}, MAYBE),
            "suppressed": (TEXT, MAYBE),
            "fingerprint": TEXT,
        }
    ],
    "summary": {
        "error": int,
        "warning": int,
        "info": int,
        "suppressed": int,
        "hidden": int,
        "fixable": int,
        "saving_without_retraining_s": (int, float, MAYBE),
    },
    "incomplete": TEXTS,
    "error": (TEXT, MAYBE),
    "exit_code": int,
}


def check(value: Any, kind: Any, place: str = "report") -> None:
    """Fail, naming the place, where a value is not of its kind: a type, some of them, a list of one, or fields."""
    if isinstance(kind, tuple):
        structured = [one for one in kind if isinstance(one, dict | list)]
        if value is not None and structured:
            check(value, structured[0], place)
        else:
            assert isinstance(value, tuple(one for one in kind if isinstance(one, type))), place
    elif isinstance(kind, list):
        assert isinstance(value, list), place
        for number, inner in enumerate(value):
            check(inner, kind[0], f"{place}[{number}]")
    elif isinstance(kind, dict):
        assert isinstance(value, dict), place
        assert not kind.keys() - value.keys(), f"{place} lacks fields"
        for name, inner in kind.items():
            check(value[name], inner, f"{place}.{name}")
    else:
        assert isinstance(value, kind), place
        assert isinstance(value, bool) == (kind is bool), place


def report(path: Path | str, *words: str) -> dict[str, Any]:
    return dict(json.loads(modelfiles.run(str(path), *words, "--output-format", "json").out))


@pytest.fixture(scope="module")
def shufflenet() -> dict[str, Any]:
    return report(STORED, "--device", "hi3519")


def test_every_field_is_there(shufflenet: dict[str, Any]) -> None:
    check(shufflenet, FIELDS)
    assert shufflenet["findings"]
    assert shufflenet["layers"]
    assert (shufflenet["schema_version"], shufflenet["tool"]) == (1, {"name": "onnxlint", "version": __version__})
    assert shufflenet["error"] is None
    assert len(shufflenet["model"]["sha256"]) == 64
    assert shufflenet["model"]["opsets"].keys() == {""}
    assert shufflenet["model"]["inputs"][0]["shape"] == [1, 3, 224, 224]


def test_words_are_those_documented(shufflenet: dict[str, Any]) -> None:
    assert shufflenet["verdict"]["runs"] in ("native", "partitioned", "unconvertible", "unknown")
    for finding in shufflenet["findings"]:
        assert finding["severity"] in ("error", "warning", "info")
        assert finding["node"] == finding["nodes"][0]
        assert finding["fix"] is None or finding["fix"]["safety"] in ("exact", "close", "lossy", "advice")
    assert {layer["bound"] for layer in shufflenet["layers"]} <= {"compute", "memory", "overhead", "fallback", "free"}


def test_findings_agree_with_the_summary(shufflenet: dict[str, Any]) -> None:
    shown = [finding["severity"] for finding in shufflenet["findings"] if not finding["hidden"]]
    summary = shufflenet["summary"]
    assert {severity: shown.count(severity) for severity in ("error", "warning", "info")} == {
        severity: summary[severity] for severity in ("error", "warning", "info")
    }
    assert summary["hidden"] == len(shufflenet["findings"]) - len(shown)
    assert len({finding["fingerprint"] for finding in shufflenet["findings"]}) == len(shufflenet["findings"])


def test_savings_lie_in_their_range(shufflenet: dict[str, Any]) -> None:
    for finding in shufflenet["findings"]:
        if finding["saving_s"] is None:
            assert finding["saving_low_s"] is finding["saving_high_s"] is None
            assert not finding["hidden"]
        else:
            assert finding["saving_low_s"] <= finding["saving_s"] <= finding["saving_high_s"]
            assert finding["saving_s"] <= shufflenet["totals"]["latency_s"]


NETWORKS = ["shufflenet_v2_x1_0", "resnet18", "tinybert_4l_312", "mobilenet_v3_small", "squeezenet_1_1"]


@pytest.mark.parametrize("device", ["hi3519", "t4", "cortex-a76"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("batch", [1, 4])
def test_layers_add_up_to_the_totals(tmp_path: Path, network: str, device: str, batch: int) -> None:
    path = STORED if network == STORED.stem else Path(modelfiles.saved(build(network), tmp_path))
    found = report(path, "--device", device, "--batch", str(batch))
    layers, totals = found["layers"], found["totals"]

    def total(*fields: str) -> float:
        return sum(layer[field] for layer in layers for field in fields)

    assert total("macs") == totals["macs"] > 0
    assert total("flops") == totals["flops"]
    assert total("params") == totals["params"]
    assert total("read_bytes", "written_bytes") == totals["memory_access_bytes"]
    assert total("latency_s") == pytest.approx(totals["latency_s"], rel=1e-9)
    assert totals["latency_low_s"] <= totals["latency_s"] <= totals["latency_high_s"]
    assert totals["flops"] >= 2 * totals["macs"]
    assert totals["learnable_params"] <= totals["params"]
    assert totals["throughput_fps"] == pytest.approx(batch / totals["interval_s"])
    assert totals["required_bandwidth_gb_per_s"] == pytest.approx(
        totals["memory_access_bytes"] / totals["latency_s"] / 1e9
    )
    # Winograd's 3x3 convolutions take down to 1/2.25 of the operations that are counted
    assert 0 < totals["utilisation"] <= 2.25


def test_what_is_free_in_the_model_is_listed(tmp_path: Path) -> None:
    path = modelfiles.saved(modelfiles.relu(dims=["N", 3, "H", "W"]), tmp_path)
    assert report(path)["model"]["assumed"] == ["N=1", "H=224", "W=224"]
    assert report(path, "--batch", "2", "--dim", "H=8", "--dim", "W=8")["model"]["assumed"] == []


def test_what_stays_unknown_is_listed(tmp_path: Path) -> None:
    model = modelfiles.model_of([helper.make_node("Foo", ["x"], ["y"])], {"x": [1]}, {"y": None})
    found = report(modelfiles.saved(model, tmp_path))
    check(found, FIELDS)
    assert found["model"]["unknown_operators"] == {"Foo": 1}
    assert found["model"]["unresolved"] == ["y"]
    assert found["incomplete"]
    assert found["exit_code"] == 1


def test_an_unreadable_model_is_an_error_without_the_rest() -> None:
    found = report("absent.onnx")
    assert found["error"] == "no such file"
    assert found["device"] is found["verdict"] is found["totals"] is None
    assert found["layers"] == found["findings"] == []
    check({name: value for name, value in found.items() if value is not None} | {"error": found["error"]}, {
        name: kind for name, kind in FIELDS.items() if found[name] is not None
    })  # fmt: skip


def test_numbers_too_large_for_64_bits_stay_numbers(tmp_path: Path) -> None:
    path = modelfiles.saved(modelfiles.relu(dims=[2**31 - 1] * 6), tmp_path)
    found = report(path)
    check(found, FIELDS)
    assert found["totals"]["flops"] > 2**64
