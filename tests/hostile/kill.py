"""`kill -9` at random moments while a file is written: `python tests/hostile/kill.py --times 100`.

The file must hold the old content or the whole new one; what is left beside it are only hidden temporary files.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import modelfiles

OLD = "old\n"


def outcome(words: list[str], target: Path, new: str, delay_s: float) -> str:
    """Run the command in a child, kill it after the delay, and say what the target holds: old, new or torn."""
    target.write_text(OLD)
    child = os.fork()
    if child == 0:
        modelfiles.run(*words)
        os._exit(0)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = target.read_text()
    return "old" if found == OLD else "new" if found == new else "torn"


def outcomes(times: int, folder: Path, seed: int = 1) -> Counter[str]:
    """Kill so many runs of each command that writes a file."""
    rng = random.Random(seed)
    path = modelfiles.saved(modelfiles.conv(), folder)
    target = folder / "report"
    counted: Counter[str] = Counter()
    commands = [[path, "--output-format", "json", "-o", str(target)], ["profile", path, "-o", str(target)]]
    for words in commands:
        modelfiles.run(*words)
        start = time.monotonic()
        modelfiles.run(*words)
        took = time.monotonic() - start
        new = target.read_text()
        for _ in range(times // len(commands)):
            counted[outcome(words, target, new, rng.uniform(0, 1.3 * took))] += 1
    return counted


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        counted = outcomes(options.times, Path(place))
    print(dict(counted))
    sys.exit(1 if counted["torn"] else 0)


if __name__ == "__main__":
    main()
