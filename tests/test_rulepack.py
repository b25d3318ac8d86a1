"""A pack of a third party: installed beside onnxlint, its rules are found, explained, tested and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import onnx
import pytest

from onnxlint.rule import example_model

# an older one builds no wheel by itself; the extra `dev` brings a newer one
pytestmark = pytest.mark.skipif(int(version("setuptools").split(".")[0]) < 77, reason="setuptools is older than 77")
PACK = Path(__file__).parent / "rulepack"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the pack was installed into, by pip and without the network."""
    source = tmp_path_factory.mktemp("source") / "pack"
    shutil.copytree(PACK, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [*command, "--no-compile", "--disable-pip-version-check", "--target", str(target), str(source)], check=True
    )
    return target


def onnxlint(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-P", "-m", "onnxlint", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_installed_pack_is_found_and_run(site: Path, tmp_path: Path) -> None:
    page = onnxlint(site, "rule", "ACME001")
    assert page.returncode == 0
    assert "ACME001 input-multiple (delivery, warning)" in page.stdout
    model = tmp_path / "model.onnx"
    onnx.save(example_model("odd (float[1,3,240,240] x) => (float[1,3,240,240] y) { y = Relu(x) }"), model)
    run = onnxlint(site, str(model), "--output-format", "json")
    assert run.returncode == 1
    found = {finding["rule"]: finding for finding in json.loads(run.stdout)["findings"]}
    assert found["ACME001"]["nodes"] == ["y"]
    for word in ("ACME", "delivery", "input-multiple"):
        chosen = onnxlint(site, str(model), "--select", word, "--output-format", "json")
        assert {finding["rule"] for finding in json.loads(chosen.stdout)["findings"]} == {"ACME001"}
    assert onnxlint(site, str(model), "--ignore", "ACME001", "--fail-on", "warning").returncode == 0


def test_its_examples_pass_where_they_lie(site: Path) -> None:
    run = onnxlint(site, "rule", "--test", str(PACK / "acme_onnxlint_rules"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.endswith("1 rule: all 2 pass\n")


def test_without_the_pack_its_rule_is_unknown() -> None:
    run = subprocess.run([sys.executable, "-P", "-m", "onnxlint", "rule", "ACME001"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "unknown rule 'ACME001'" in run.stderr
