"""A mutation fuzzer over whole lints: `python tests/hostile/fuzz.py --seconds 3600 --seed 1 --out /tmp/fuzz`.

Every input is linted in a child (JSON and terminal, two devices); what is no clean result is a crash: a signal, an
exception, an internal error, a rule that failed, an exit code beyond 0–2, more than ten seconds of processor time or a
hundred of wall time, more than 1 GB, a character in the output that a terminal or log obeys, or a report that is clean
though something could not be analysed. Crashes are kept under `--out`, one per signature.

`--coverage` reports which lines of the package ran, in its isolated children too (slower). `--wire` fuzzes the scanner
of the wire format alone with atheris. Both need `pip install '.[fuzz]'`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BATCH = 25
SECONDS, WALL_SECONDS, MEMORY = 10, 100, 1 << 30
FORMATS = (
    ("--output-format", "json", "-d", "t4", "-d", "hi3519"),
    ("-v", "-d", "cortex-a76", "--min-impact", "0"),
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def problem_of(data: bytes, index: int, path: Path) -> str | None:
    """Lint one input every way; the signature of what went wrong."""
    import modelfiles

    path.write_bytes(data)
    words = FORMATS[index % len(FORMATS)]
    try:
        result = modelfiles.run(str(path), *words)
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}tests{os.sep}" not in f.filename]
        at = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
        return f"{type(error).__name__} in {at}: {str(error)[:80]}"
    if result.code not in (0, 1, 2):
        return f"exit code {result.code}"
    if "internal error" in result.err or "Traceback" in result.err:
        return f"stderr: {result.err[:200]}"
    for line in (result.out + result.err).splitlines():
        if OBEYED.search(line):
            return f"obeyed character {OBEYED.search(line)[0]!r}"
    failed = re.search(r"rule \w+ failed \((\w+)[^\n]{0,80}", result.out)
    if failed:
        return failed[0]
    if "--output-format" in words:
        reports = json.loads(result.out)["reports"]
        if any(
            r["exit_code"] == 0 and (r["incomplete"] or r["error"] or (r["model"]["compute_nodes"] and not r["layers"]))
            for r in reports
        ):
            return "clean though not analysed"
    return None


def batch(inputs: list[bytes], first: int, state: mmap.mmap, out: Path) -> None:
    """The child: never returns."""
    os.environ["ONNXLINT_DEBUG"] = "1"
    path = out / f"current.{os.getpid()}.onnx"
    code = 0
    for offset, data in enumerate(inputs):
        state[:8] = struct.pack("<q", offset)
        before = _processor_s()
        try:
            problem = problem_of(data, first + offset, path)
        except BaseException as error:
            problem = f"harness: {type(error).__name__}: {error}"
        took = _processor_s() - before
        if problem is None and took > SECONDS:
            problem = f"took {took:.0f} s"
        peak = 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        if problem is None and peak > MEMORY:
            problem = "peak memory above 1 GB"
        if problem is not None:
            keep(data, problem, out)
            if peak > MEMORY:
                code = 3
                break
    path.unlink(missing_ok=True)
    os._exit(code)


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def digest(data: bytes) -> str:
    """A short name of an input, in letters so that signatures stay apart."""
    return hashlib.sha256(data).hexdigest()[:6].translate(str.maketrans("0123456789", "ghijklmnop"))


def keep(data: bytes, problem: str, out: Path) -> None:
    """Store an input by its problem; the first of each signature only."""
    name = hashlib.sha256(re.sub(r"\d+", "N", problem).encode()).hexdigest()[:12]
    if not (out / f"{name}.onnx").exists():
        (out / f"{name}.onnx").write_bytes(data)
        (out / f"{name}.txt").write_text(problem + "\n", errors="backslashreplace")
        print(f"FOUND {name}: {problem.encode('ascii', 'backslashreplace').decode()}", flush=True)


def fuzz(seconds: float, seed: int, out: Path, coverage: bool) -> int:
    """Fuzz until the time is over; returns the number of distinct problems."""
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    import modelfiles
    from hostile import mutate

    watched = _coverage(out) if coverage else None
    corpus = mutate.seeds(rng)
    state = mmap.mmap(-1, 8)
    (out / "warm.onnx").write_bytes(modelfiles.relu().SerializeToString())
    for words in FORMATS:
        modelfiles.run(str(out / "warm.onnx"), *words)
    print(f"{len(corpus)} seeds, seed {seed}", flush=True)
    start = last = time.monotonic()
    done = 0
    while time.monotonic() - start < seconds:
        inputs = [mutate.mutated(rng.choice(corpus), corpus, rng) for _ in range(BATCH)]
        at, began = 0, time.monotonic()
        while at < len(inputs):
            child = os.fork()
            if child == 0:
                batch(inputs[at:], done + at, state, out)
            status = waited(child, state)
            if status == 0:
                break
            offset = struct.unpack("<q", state[:8])[0]
            if status != 3:
                name = signal.Signals(-status).name if status < 0 else f"exit {status}"
                name = f"longer than {WALL_SECONDS} s" if name == "SIGKILL" else name
                keep(inputs[at + offset], f"the linting process died: {name} {digest(inputs[at + offset])}", out)
            at += offset + 1
        done += len(inputs)
        # what a lint survived is a seed for more, but not what nearly hangs
        if rng.random() < 0.3 and time.monotonic() - began < 0.6 * len(inputs):
            corpus[rng.randrange(len(corpus))] = rng.choice(inputs)
        if time.monotonic() - last > 60:
            last = time.monotonic()
            rate = done / (last - start)
            print(f"{last - start:.0f} s: {done} executions, {rate:.1f}/s, {_found(out)} problems", flush=True)
    print(f"end: {done} executions in {time.monotonic() - start:.0f} s, {_found(out)} problems", flush=True)
    if watched is not None:
        _report_coverage(watched, out)
    return _found(out)


def waited(child: int, state: mmap.mmap) -> int:
    """The child's exit status; it is killed where one input takes too long."""
    at, began = b"", time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if state[:8] != at:
            at, began = state[:8], time.monotonic()
        if time.monotonic() - began > WALL_SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _found(out: Path) -> int:
    return len(list(out.glob("*.txt")))


def _coverage(out: Path) -> object:
    import coverage

    watched = coverage.Coverage(data_file=str(out / "coverage"), data_suffix=True, source_pkgs=["onnxlint"])
    watched.start()
    leave = os._exit

    def saved(code: int) -> None:
        current = coverage.Coverage.current()
        if current is not None:
            current.stop()
            current.save()
        leave(code)

    os._exit = saved  # type: ignore[assignment]
    from onnxlint import isolated

    apart = isolated._run_child

    def watched_child(function: Callable[[], bytes], *more: Any) -> None:
        def answered() -> bytes:
            try:
                return function()
            finally:  # once it has answered it is killed
                current = coverage.Coverage.current()
                if current is not None:
                    current.stop()
                    current.save()

        apart(answered, *more)

    isolated._run_child = watched_child
    return watched


def _report_coverage(watched: object, out: Path) -> None:
    import coverage

    watched.stop()  # type: ignore[attr-defined]
    watched.save()  # type: ignore[attr-defined]
    whole = coverage.Coverage(data_file=str(out / "coverage"))
    whole.combine([str(out)])
    text = io.StringIO()
    whole.report(file=text, skip_empty=True)
    print(text.getvalue(), flush=True)


def fuzz_wire(seconds: float, seed: int, out: Path) -> None:
    """Atheris over the scanner, from small models on: what protobuf parses must parse without its bodies too.

    The models then agree in everything but the bodies; what the scanner refuses, it refuses with WireError.
    """
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["onnxlint.wire"]):
        from onnxlint.wire import WireError, strip_tensors
    import onnx
    from hostile import mutate

    corpus = out / "wire"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in mutate.seeds(random.Random(seed)):
        if len(data) < 4096:
            (corpus / digest(data)).write_bytes(data)

    def skeleton(data: bytes) -> list[object]:
        graph = onnx.ModelProto.FromString(data).graph
        nodes: list[object] = [(n.op_type, *n.input, *n.output, len(n.attribute)) for n in graph.node]
        return nodes + [(t.name, t.data_type, *t.dims) for t in graph.initializer]

    def one(data: bytes) -> None:
        large = 1 + 16 * (data[-1] if data else 0)
        try:
            stripped = strip_tensors(data, large)
        except WireError:
            return
        assert len(stripped) <= len(data)
        try:
            whole = skeleton(data)
        except Exception:
            return
        assert skeleton(stripped) == whole

    limits = [f"-max_total_time={int(seconds)}", f"-seed={seed}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=1024"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={out}/", str(corpus)], one)
    atheris.Fuzz()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("/tmp/onnxlint-fuzz"))
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--wire", action="store_true")
    options = parser.parse_args()
    if options.wire:
        fuzz_wire(options.seconds, options.seed, options.out)
        return
    sys.exit(1 if fuzz(options.seconds, options.seed, options.out, options.coverage) else 0)


if __name__ == "__main__":
    main()
