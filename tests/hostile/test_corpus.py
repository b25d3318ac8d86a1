"""A sample of the hostile corpus, lint after lint, kills while writing: the long forms are scripts beside this file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import modelfiles
import pytest
from hostile import fuzz, kill, load, mutate, sweep
from hostile.corpus import CASES
from hostile.run import run_case, warm_up

HERE = Path(__file__).resolve().parent
ALWAYS = (
    "file: fifo", "file: sparse 64 GB", "wire: 5 million empty nodes", "wire: graphs 3000 deep", "graph: 2^5000 paths",
    "constant: an outer sum of 1024 each", "native: Split into 2 of 3", "native: GatherND in a body by [2, -1] (2)",
    "external: location 0", "rules: in the folder, not asked for", "invalid: Conv without inputs",
    "invalid: Conv in 2^40 groups", "invalid: Transpose by 9, 9, -3", "invalid: MaxPool by 0",
    "disk: lint as json, a file that may not grow", "disk: rule --new, a file that may not grow",
    "disk: calibrate, files that may not grow", "disk: device to a full output", "link: lint as json to a link to old",
    "link: two that lead to their own folder, as a glob", "rules: a pipe", "rules: import that loops",
    "profile: bomb of dotted keys", "profile: chip of escapes, shown", "profile: a pipe, device",
    "race: a file that is rewritten in its place", "lie: LogSoftmax of int64", "lie: output of another type",
)  # fmt: skip
# each takes most of its ten seconds: run.py runs them
LONG = {"graph: chain of 100000", "graph: fan-out of 100000"} | {n for n in CASES if n.startswith(("race:", "size:"))}
FOUND = tuple(name for name in CASES if name.startswith("found:"))
SAMPLE = tuple(
    dict.fromkeys((*ALWAYS, *FOUND, *random.Random(3).sample(sorted(set(CASES) - {*ALWAYS, *FOUND, *LONG}), 60)))
)


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm_up()


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 2000


@pytest.mark.parametrize("name", SAMPLE, ids=ascii)
def test_a_hostile_input(name: str) -> None:
    way = ("terminal", "json", "csv")[len(name) % 3] if name not in ALWAYS else "json"
    problems, _, _ = run_case(CASES[name], (way,))
    assert problems == []


def test_a_new_interpreter_runs_nothing_of_the_folder() -> None:
    Path("/tmp/onnxlint-hostile-ran").unlink(missing_ok=True)
    assert run_case(CASES["rules: in the folder, not asked for"], ("json", "csv"), spawn=True)[0] == []
    assert not Path("/tmp/onnxlint-hostile-ran").exists()


def test_the_script_runs_nothing_of_the_folder(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("onnxlint")
    if not script.exists():
        pytest.skip("the script is not installed here")
    words = CASES["rules: in the folder, not asked for"].make(tmp_path)
    for name in ("onnxlint", "contextlib", "importlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)\n")
    result = subprocess.run([script, *words], cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert result.returncode in (0, 1), result.stderr


def test_lint_after_lint_takes_no_more_memory(tmp_path: Path) -> None:
    """In an interpreter of its own: what other tests leave behind frees and takes pages at any moment."""
    path = modelfiles.saved(modelfiles.conv(), tmp_path)
    code = "import load, sys; load.lint_often(20, 10, sys.argv[1]); print(*load.lint_often(60, 20, sys.argv[1]))"
    ran = subprocess.run([sys.executable, "-c", code, path], cwd=HERE, capture_output=True, text=True, timeout=300)
    measured = [int(word) for word in ran.stdout.split()]
    assert measured, ran.stderr
    assert measured[-1] - measured[0] < 3 << 20, measured


def test_lints_at_once_do_not_interfere(tmp_path: Path) -> None:
    assert len(load.at_once(8, 2, modelfiles.saved(modelfiles.conv(), tmp_path))) == 1


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    assert kill.outcomes(3, tmp_path, measures=False)["torn"] == 0


def test_a_short_fuzz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONNXLINT_DEBUG", raising=False)
    rng = random.Random(5)
    corpus = mutate.seeds(rng, node_cases=20)
    for number in range(25):
        data = mutate.mutated(rng.choice(corpus), corpus, rng)
        assert fuzz.problem_of(data, number, tmp_path / "model.onnx") is None
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_short_sweep() -> None:
    for at, (what, model) in enumerate(sweep.every_example()):
        if at % 401 == 7:
            assert sweep.failures(model, sweep.DEVICES[at % len(sweep.DEVICES)]) == [], what
