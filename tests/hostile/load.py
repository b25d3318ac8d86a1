"""Load: `python tests/hostile/load.py --lints 10000 --processes 8`: memory over many lints, and several at once."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import modelfiles


def resident_bytes() -> int:
    """This process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def lint_often(count: int, measured_every: int, path: str) -> list[int]:
    """Lint one small model so many times through the API; resident bytes now and then."""
    from onnxlint import lint

    measured = []
    for number in range(count + 1):
        report = lint(path, "t4")
        assert report.error is None
        if number % measured_every == 0:
            gc.collect()
            measured.append(resident_bytes())
    assert len(os.listdir("/proc/self/fd")) < 50
    return measured


def at_once(processes: int, each: int, path: str) -> list[str]:
    """Lint in several processes at once; the distinct outputs."""
    readers = []
    for _ in range(processes):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            outputs = {modelfiles.run(path, "--output-format", "json", "-d", "hi3519").out for _ in range(each)}
            with os.fdopen(writer, "w") as pipe:
                pipe.write("\0".join(outputs))
            os._exit(0)
        os.close(writer)
        readers.append((child, reader))
    found: set[str] = set()
    for child, reader in readers:
        with os.fdopen(reader) as pipe:
            found |= set(pipe.read().split("\0"))
        assert os.waitpid(child, 0)[1] == 0
    return sorted(found)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lints", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path = modelfiles.saved(modelfiles.conv(), Path(place))
        start = time.monotonic()
        measured = lint_often(options.lints, max(1, options.lints // 10), path)
        took = time.monotonic() - start
        print(f"{options.lints} lints in {took:.0f} s ({1000 * took / options.lints:.1f} ms each), resident MiB:")
        print("  " + " ".join(f"{size / 2**20:.1f}" for size in measured))
        start = time.monotonic()
        outputs = at_once(options.processes, 20, path)
        print(f"{options.processes} processes × 20 lints in {time.monotonic() - start:.1f} s, "
              f"{len(outputs)} distinct output")  # fmt: skip


if __name__ == "__main__":
    main()
