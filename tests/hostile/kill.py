"""`kill -9` at random moments while files are written: `python tests/hostile/kill.py --times 100 [--only calibrate]`.

Each file must hold the old content or the whole new one; what is left beside it are only hidden temporary files. A
calibration of a few benchmarks is killed and begun again and again: what it had measured is there the next time.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import modelfiles

OLD = "old\n"
BENCHMARKS = (
    "conv1x1_64_64_7",
    "conv3x3_32_32_14",
    "matmul_16_256_256",
    "neg_64_7",
    "add_64_7",
    "launch_1",
    "launch_8",
)


def killed(function: Callable[[], object], delay_s: float) -> bool:
    """Run the function in a child and kill it after the delay; whether it was still at work then."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        function()
        os._exit(0)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def writers(folder: Path, *, measures: bool = True) -> Iterator[tuple[list[str], Path, bool]]:
    """The commands that write a file: their words, the file, and whether it is one that may not be there before."""
    path, target = modelfiles.saved(modelfiles.conv(), folder), folder / "report"
    yield [path, "--output-format", "json", "-o", str(target)], target, False
    yield [path, "-v", "-o", str(target)], target, False
    yield ["profile", path, "-o", str(target)], target, False
    yield ["profile", path, "--structure", "--output-format", "json", "-o", str(target)], target, False
    yield ["rule", "--new", str(folder / "operators" / "slow-one")], folder / "operators" / "slow_one.py", True
    if measures:
        measured = ["measure", path, "-d", "generic", "--seconds", "0.1", "--output-format", "json"]
        yield [*measured, "-o", str(target)], target, False


def outcomes(times: int, folder: Path, seed: int = 1, *, measures: bool = True) -> Counter[str]:
    """Kill so many runs of each command that writes a file: which content was found, and how often nothing was left."""
    rng = random.Random(seed)
    counted: Counter[str] = Counter()
    for words, target, is_new in writers(folder, measures=measures):
        modelfiles.run(*words)
        whole = complete(target)
        assert whole, words
        if is_new:
            target.unlink()
        start = time.monotonic()
        modelfiles.run(*words)
        took = time.monotonic() - start
        for _ in range(times):
            target.unlink(missing_ok=True)
            if not is_new:
                target.write_text(OLD)
            killed(lambda words=words: modelfiles.run(*words), rng.uniform(0, 1.3 * took))
            found = target.read_text() if target.exists() else None
            is_old = found is None if is_new else found == OLD
            counted["old" if is_old else "new" if complete(target) else "torn"] += 1
            counted["with a temporary file"] += any(".report." in name for name in os.listdir(folder))
            for path in folder.glob(".report.*"):
                path.unlink()
        shutil.rmtree(folder / "operators", ignore_errors=True)
    return counted


def complete(path: Path) -> bool:
    """The file ends as a report, a table, a rule or a profile does (times of a measurement differ from run to run)."""
    text = path.read_text()
    if text.startswith(("{", "[")):
        import json

        try:
            json.loads(text)
        except ValueError:
            return False
        return True
    if path.suffix == ".py":
        compile(text, str(path), "exec")
        return text.rstrip().endswith("]")
    return text != OLD and text.endswith("\n")


def calibrations(times: int, folder: Path, seed: int = 1) -> Counter[str]:
    """Kill so many runs of a small calibration, each of which goes on where the one before it stopped."""
    from onnxlint.calibrate import networks, runner
    from onnxlint.calibrate.benchmarks import benchmarks
    from onnxlint.device import load_device

    chosen = [one for one in benchmarks() if one.name in BENCHMARKS]
    network = [entry for entry in networks.networks() if entry[0] == "inverted"]
    networks.networks = lambda: iter(network)
    profile, partial = folder / "box.toml", folder / ".box.toml.partial"
    plan = runner.Plan(profile, "box", budget_s=0.4, force=True)
    start = time.monotonic()
    runner.calibrate(plan, chosen=chosen)
    took = time.monotonic() - start
    rng = random.Random(seed)
    counted: Counter[str] = Counter()
    profile.write_text(OLD)
    before = 0
    for _ in range(times):
        was_running = killed(lambda: runner.calibrate(plan, chosen=chosen), rng.uniform(0, 1.2 * took))
        if profile.read_text() == OLD:
            counted["old profile"] += 1
        else:
            assert load_device(str(profile)).calibration is not None
            counted["new profile"] += 1
            profile.write_text(OLD)
        results = partial.read_bytes().count(b"\n") - 1 if partial.exists() else 0
        if was_running and results < before:
            # the last kill came between the new profile and the removal of what it was made of, or results were lost
            counted["results lost" if partial.exists() else "results done with"] += 1
        counted["went on"] += before > 0 and results >= before
        before = results
    runner.calibrate(plan, chosen=chosen)
    counted["loads in the end"] += load_device(str(profile)).calibration is not None
    assert not partial.exists()
    return counted


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--only", choices=("reports", "calibrate"))
    options = parser.parse_args()
    torn = 0
    with tempfile.TemporaryDirectory() as place:
        if options.only != "calibrate":
            counted = outcomes(options.times, Path(place))
            torn += counted["torn"]
            print("reports:", dict(counted), flush=True)
        if options.only != "reports":
            counted = calibrations(options.times, Path(place))
            torn += counted["results lost"]
            print("calibrations:", dict(counted), flush=True)
    sys.exit(1 if torn else 0)


if __name__ == "__main__":
    main()
