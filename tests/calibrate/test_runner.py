"""A calibration of a few benchmarks: what it writes, that it goes on where it stopped, that it never half writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import onnx
import pytest

from onnxlint.calibrate import networks, runner
from onnxlint.calibrate.benchmarks import Benchmark, benchmarks
from onnxlint.calibrate.command import summary
from onnxlint.calibrate.runner import CalibrationError, Plan, calibrate, in_turns, kind_of
from onnxlint.calibrate.sessions import RuntimeProblem
from onnxlint.cli import run_main
from onnxlint.device import load_device

NAMES = ("conv1x1_64_64_7", "conv3x3_32_32_14", "matmul_16_256_256", "neg_64_7", "add_64_7", "launch_1", "sigmoid_64_7")
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_runner import few, one_network
from onnxlint.calibrate import networks
from onnxlint.calibrate.runner import Plan, calibrate
networks.networks = one_network
calibrate(Plan(Path(sys.argv[1]), budget_s=30.0, force=True), chosen=few())
"""


def few() -> list[Benchmark]:
    return [benchmark for benchmark in benchmarks() if benchmark.name in NAMES]


def one_network() -> object:
    return iter([entry for entry in all_networks() if entry[0] == "inverted"])


all_networks = networks.networks


@pytest.fixture
def _one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "networks", one_network)


@pytest.mark.usefixtures("_one")
def test_a_tiny_calibration_writes_a_profile_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    seen: list[str] = []
    written = calibrate(Plan(path, "box", budget_s=0.5), lambda done, total, now: seen.append(now), few())
    device = load_device(str(path))
    assert device.name == "box"
    assert device.trust == "calibrated"
    assert device.calibration is not None
    assert device.calibration.benchmarks == len(NAMES) == written.benchmarks
    assert device.calibration.held_out == 1
    assert device.calibration.held_out_error is not None
    assert device.calibration.reference_ms > 0
    assert device.attainable.sets[0].shapes["pointwise"].half_outputs >= 0
    assert seen[-1] == "fitting"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_one")
def test_a_spent_budget_leaves_out_all_but_one_of_each_kind_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    names = ("matmul_1_64_64", "conv1x1_64_64_7", "conv1x1_48_48_14", "matmul_6_192_192", "neg_64_7")
    written = calibrate(Plan(path, budget_s=0.0), chosen=[b for b in benchmarks() if b.name in names])
    assert (written.benchmarks, written.held_out, written.left_out) == (3, 1, 2)
    assert "2 of 6 benchmarks were not run" in summary(path, written)


def test_benchmarks_come_by_turns() -> None:
    work = in_turns(benchmarks())
    assert sorted(b.name for b in work) == sorted(b.name for b in benchmarks())
    half = Counter(kind_of(benchmark.name) for benchmark in work[: len(work) // 2])
    for kind, count in Counter(kind_of(benchmark.name) for benchmark in work).items():
        assert abs(half[kind] - count / 2) <= 1


@pytest.mark.parametrize("budget", ["1s", "0.2m", "29"])
def test_a_budget_that_can_not_be_met_is_refused(budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["calibrate", "--budget", budget, "-o", "never.toml"]) == 2
    assert "give 30s or more" in capsys.readouterr().err
    assert not Path("never.toml").exists()


@pytest.mark.usefixtures("_one")
def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "box.toml"
    timed: list[str] = []
    plain = runner._Timing.timed

    def stop_at_third(self: runner._Timing, model: object, seconds: float) -> object:
        if len(timed) == 3:
            raise KeyboardInterrupt
        timed.append(model.graph.name)  # type: ignore[attr-defined]
        return plain(self, model, seconds)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(runner._Timing, "timed", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            calibrate(Plan(path, budget_s=0.5), chosen=few())
    assert not path.exists()
    partial = next(tmp_path.iterdir())
    with partial.open("a") as file:
        file.write('{"name": "torn')
    again: list[str] = []

    def count(self: runner._Timing, model: object, seconds: float) -> object:
        again.append(model.graph.name)  # type: ignore[attr-defined]
        return plain(self, model, seconds)  # type: ignore[arg-type]

    monkeypatch.setattr(runner._Timing, "timed", count)
    calibrate(Plan(path, budget_s=0.5), chosen=few())
    assert not set(timed) & set(again)
    assert len(timed) + len(again) == len(NAMES) + 1
    assert load_device(str(path)).calibration is not None


def test_killed_it_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text("the old one")
    here = str(Path(__file__).resolve().parent)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), here])
    partial = tmp_path / ".box.toml.partial"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if partial.exists() and partial.read_text().count("\n") > 2:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert path.read_text() == "the old one"


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "box.toml"
    path.write_text("mine")
    assert run_main(["calibrate", "--output-file", str(path)]) == 2
    assert path.read_text() == "mine"
    error = capsys.readouterr().err
    assert error.startswith("onnxlint: ")
    assert error.count("\n") == 1
    assert "--force" in error


@pytest.mark.parametrize(
    "words", [["--provider", "Nope"], ["--budget", "soon"], ["--name", "../x"], ["--threads", "0"]], ids=lambda w: w[0]
)
def test_what_can_not_be_is_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_main(["calibrate", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_unknown_provider_and_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeProblem, match="CPU"):
        calibrate(Plan(tmp_path / "x.toml", provider="Nope"))
    with pytest.raises(CalibrationError):
        calibrate(Plan(tmp_path / "x.toml", name="UPPER"))


def test_networks_stand_evenly_among_the_benchmarks() -> None:
    benchmarks = [Benchmark(f"b{index}", "conv", onnx.ModelProto) for index in range(30)]
    whole = [Benchmark(f"n{index}", runner.NETWORK, onnx.ModelProto) for index in range(3)]
    order = [one.name for one in runner.among(benchmarks, whole)]
    assert sorted(order) == sorted(one.name for one in (*benchmarks, *whole))
    assert [order.index(f"n{index}") for index in range(3)] == pytest.approx([5, 16, 27], abs=1)
    assert runner.among([], whole) == whole
    assert runner.among(benchmarks, []) == benchmarks
