"""Runs the corpus: `python tests/hostile/run.py [--only PREFIX] [--jobs 2] [--ways …] [--strace] [--spawn]`.

Each case is linted in a process of its own, in a folder of its own, three ways: for the terminal, as JSON, and as the
profile's CSV (`--ways structure roofline` asks for those, `--ways device rule measure …` for other commands). A process
must end by itself within ten seconds of processor time and 1 GB, with an exit code of 0, 1 or 2 as the case expects,
without a traceback, and print nothing that a terminal, a CI log or a spreadsheet obeys.

By default processes are forked from this one; `--spawn` starts a new interpreter each. `--strace` watches them and fails
on every file outside the folder that is opened, looked up, run or connected to: by what the descriptor leads to where the
system says so, links and relative paths resolved. Its report lists what was allowed: what the interpreter and the package
hold, what the runtime asks of the system, and what stands on the command line.
"""

# ruff: noqa: E501, SIM115
from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from hostile.corpus import ANY, CASES, ERROR, INCOMPLETE, LINTED, Case  # noqa: E402
from hostile.corpus_system import stop_meanwhile  # noqa: E402

SECONDS, WALL_SECONDS, MEMORY = 10.0, 60.0, 1 << 30
PROFILES = {
    "csv": ("--output-format", "csv"),
    "structure": ("--structure",),
    "roofline": ("--roofline", "-d", "t4"),
    "roofline-csv": ("--roofline", "-d", "t4", "--output-format", "csv"),
}
RACES = 10
WAYS = ("terminal", "json", "csv")
# other commands on what a case has for them: a profile, a folder of rules, a model; None where it has none
OTHERS: dict[str, Callable[[list[str]], list[str] | None]] = {
    "device": lambda words: ["device", _behind("-d", words)] if "-d" in words else None,
    "rule": lambda words: ["rule", "--rules", _behind("--rules", words)] if "--rules" in words else None,
    "rule-test": lambda words: ["rule", "--test", _behind("--rules", words)] if "--rules" in words else None,
    "measure": lambda words: ["measure", "-d", "generic", "--seconds", "0.1", *words] if _is_lint(words) else None,
    "weights": lambda words: ["--weights", "always", *words] if _is_lint(words) else None,
    "depth": lambda words: ["profile", "--depth", "2", *words] if _is_lint(words) else None,
    "node": lambda words: ["profile", "--by", "node", *words] if _is_lint(words) else None,
}
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
COMMAND = re.compile(
    r"##[a-z]*\[|(^|\s)::(error|warning|notice|debug|group|add-|set-|save-|stop-)[^\n]*::", re.IGNORECASE
)
# what the interpreter and the runtime read of the system
READABLE = (sys.prefix, sys.base_prefix, sys.exec_prefix, str(TESTS.parent), *dict.fromkeys(sys.path), "/usr/", "/lib", "/etc/ld.so",
            "/sys/devices/system/", "/sys/bus/pci/", "/sys/devices/pci", "/sys/fs/cgroup", "/proc/self/", "/proc/cpuinfo", "/proc/stat", "/proc/meminfo", "/etc/localtime",
            "/dev/null", "/dev/urandom", "/proc/sys/", "/etc/ssl/openssl.cnf", "/etc/locale.alias", "/etc/os-release")  # fmt: skip
_NETWORK = ("connect", "bind", "listen", "accept", "sendto", "sendmsg", "execve", "execveat")
_LOOKS = (
    "stat",
    "lstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "statfs",
    "getcwd",
    "chdir",
    "mkdir",
)
ALLOWED: Counter[str] = Counter()
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
_AT = re.compile(r'(?:AT_FDCWD(?:<((?:[^<>])*)>)?|\d+<((?:[^<>])*)>)?,? ?"((?:[^"\\]|\\.)*)"')
_LED_TO = re.compile(r"= \d+<([^<>]*)>$")


@dataclass(frozen=True)
class Ended:
    """One process as it ended."""

    code: int
    out: bytes
    err: bytes
    processor_s: float
    wall_s: float
    peak_bytes: int
    opened: tuple[str, ...] = ()


def _behind(option: str, words: list[str]) -> str:
    return words[words.index(option) + 1]


def _is_lint(words: list[str]) -> bool:
    """One model and no option but how much of it may be read."""
    return not {word for word in words if word[:1] == "-" and word not in ("--", "--max-file-mb")}


def words_of(words: Sequence[str], way: str) -> list[str] | None:
    """The command line for a case's words, None where the way is not for them.

    "PROFILE" among the words asks for the profile's table instead.
    """
    given = [word for word in words if word != "PROFILE"]
    if way in OTHERS:
        return OTHERS[way](given)
    if way in PROFILES:
        return ["profile", *PROFILES[way], *given]
    if "PROFILE" in words and way == "terminal":
        return ["profile", *given]
    return ["--output-format", "json", *given] if way == "json" else ["-v", *given]


def run(
    words: Sequence[str],
    folder: Path,
    *,
    spawn: bool = False,
    strace: bool = False,
    before: Callable[[], None] | None = None,
) -> Ended:
    """Run the command line in a process of its own, in the folder, `before` first."""
    trace = folder.parent / "trace"
    command = [sys.executable, "-m", "onnxlint", *words]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        release, held = socket.socketpair()
        child = os.fork()
        if child == 0:
            release.close()
            _child(words, folder, (out.fileno(), err.fileno()), command if spawn else None, before, held)
        held.close()
        release.recv(1)  # it is ready
        watcher = _watch(child, trace) if strace else None
        release.close()
        while True:
            ended, status, usage = os.wait4(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - start > WALL_SECONDS:
                os.killpg(child, signal.SIGKILL)
                _, status, usage = os.wait4(child, 0)
                break
            time.sleep(0.005)
        wall = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        if watcher is not None:
            watcher.wait()
        opened = tuple(_opened(trace, folder, words)) if strace else ()
        used = usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status)
        return Ended(code, out.read(), err.read(), used, wall, usage.ru_maxrss * 1024, opened)


def _child(
    words: Sequence[str],
    folder: Path,
    streams: tuple[int, int],
    command: Sequence[str] | None,
    before: Callable[[], None] | None,
    held: socket.socket,
) -> None:
    code = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
        os.environ.pop("ONNXLINT_DEBUG", None)
        if before is not None:
            before()
        held.send(b"r")
        held.recv(1)  # until it is watched, if it is to be
        held.close()
        if command is not None:
            os.execvp(command[0], command)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
        from onnxlint.cli import run_main

        code = run_main(list(words))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _watch(child: int, trace: Path) -> subprocess.Popen[bytes]:
    """Strace on a process that waits, with all that it will start."""
    asked = ["-f", "-qq", "-y", "-s", "5000", "-e", "trace=%file,%network", "-o", str(trace), "-p", str(child)]
    watcher = subprocess.Popen(["strace", *asked])
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        time.sleep(0.001)
    return watcher


def _opened(trace: Path, folder: Path, words: Sequence[str]) -> list[str]:
    """The files that were asked for and are neither the system's, nor in the folder, nor named on the command line."""
    named = {place for word in words for place in (os.path.normpath(folder / word), os.path.realpath(folder / word))}
    own = os.path.realpath(folder)
    above = {str(parent) for parent in Path(own).parents}
    found, scratch = [], os.path.join(tempfile.gettempdir(), "onnxlint")
    below = (os.path.join(place, name) for place, *names in os.walk(own) for name in (*names[0], *names[1]))
    linked = {os.path.realpath(path) for path in below if os.path.islink(path)}
    for line in trace.read_text(errors="replace").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        path, given = _path_of(call[3], own), _given(call[3], own)
        reads = call[2] not in _LOOKS
        if call[2] in _NETWORK:
            if call[2] == "execve" and path == sys.executable:  # started by `--spawn`
                continue
            found.append(f"{call[2]} {call[3][:80]}")
        elif path is None or path == own or path.startswith((own + "/", scratch)):
            continue
        elif {path, given} & named or "/" in named or any(place.startswith(path + "/") for place in named if not reads):
            ALLOWED["named on the command line"] += 1
        elif any(os.path.dirname(path) == os.path.dirname(n) and f"/.{os.path.basename(n)}." in path for n in named):
            ALLOWED["beside an output that is named on the command line"] += 1
        elif not reads and path in linked:
            ALLOWED["looked up: whether a link leads to a folder"] += 1
        elif path.startswith(READABLE) or re.match(r"/proc/\d+(/|$)", path):
            ALLOWED[_place(path)] += 1
        elif not reads and (path in above or path in ("/proc", "/proc/self") or " ENOENT " in line):
            ALLOWED["looked up: folders above, absent files"] += 1
        else:
            found.append(f"{call[2]} {path}")
    trace.unlink(missing_ok=True)
    return found


def _path_of(arguments: str, folder: str) -> str | None:
    """Where a call leads: what its descriptor is, or its path from where it starts."""
    if led := _LED_TO.search(arguments):
        return led[1] if led[1].startswith("/") else None
    return _given(arguments, folder)


def _given(arguments: str, folder: str) -> str | None:
    at = _AT.match(arguments)
    if at is None or not at[3]:  # a descriptor that is open
        return None
    path = at[3].encode("latin-1", "replace").decode("unicode_escape", "replace")
    return os.path.normpath(os.path.join(at[1] or at[2] or folder, path))


def _place(path: str) -> str:
    """What of the system a path is, for the list of what was allowed."""
    for prefix, place in (
        (str(TESTS.parent), "the package"),
        (sys.prefix, "the interpreter's packages"),
        (sys.base_prefix, "the interpreter"),
    ):
        if path.startswith(prefix):
            return place
    return re.sub(r"\d+", "N", path) if path.startswith(("/proc", "/sys", "/dev", "/etc")) else path.split("/")[1]


def problems_of(case: Case, way: str, ended: Ended) -> list[str]:
    """What is wrong with how the process ended."""
    found = []
    if ended.code not in (0, 1, 2):
        return [f"ended with {ended.code}"]
    text = ended.out.decode("utf-8", "surrogateescape") + "\n" + ended.err.decode("utf-8", "surrogateescape")
    if said := re.search(r"(Traceback|internal error)[^\n]*", text):
        found.append(f"says {said[0][:160]}")
    if (rule := re.search(r"rule \w+ failed[^\n]{0,100}", text)) and not case.name.startswith("rules:"):
        found.append(rule[0])
    if ended.processor_s > SECONDS or ended.wall_s > WALL_SECONDS:
        found.append(f"took {ended.processor_s:.0f} s ({ended.wall_s:.0f} s of wall time)")
    if ended.peak_bytes > MEMORY:
        found.append(f"needed {ended.peak_bytes >> 20} MiB")
    if obeyed := OBEYED.search(text):
        found.append(f"prints {obeyed[0]!a}")
    if COMMAND.search(text):
        found.append(f"prints the command {COMMAND.search(text)[0]!a}")
    if ended.opened:
        found.append(f"opens {ended.opened[:3]}")
    if ended.err.count(b"\n") > 2 and "models that are none" not in case.name:
        found.append("says more than a line on stderr")
    found += _unexpected(case, way, ended)
    return found


def _unexpected(case: Case, way: str, ended: Ended) -> list[str]:
    codes = {ERROR: (2,), LINTED: (0, 1), INCOMPLETE: (1,), ANY: (0, 1, 2)}[ANY if way in OTHERS else case.expected]
    # the profile takes one model; a folder or a device list is a usage error there
    if ended.code not in codes and not (way in PROFILES and ended.code == 2 and _is_many(case)):
        return [f"exit code {ended.code} where {case.expected} is expected: {ended.err[:120]!a}"]
    if way == "json" and ended.out:
        content = json.loads(ended.out, parse_constant=_no_number)
        reports = content.get("reports", [content])
        incomplete = [problem for report in reports for problem in report["incomplete"]]
        if case.expected == INCOMPLETE and not incomplete:
            return ["is reported as complete"]
        if any(report["exit_code"] == 0 and report["incomplete"] for report in reports):
            return ["is reported clean though incomplete"]
    if way.endswith("csv") and ended.out and ended.code != 2:
        for row in csv.reader(io.StringIO(ended.out.decode())):
            if any(cell[:1] in ("=", "@", "+") for cell in row):
                return [f"has a formula in a cell: {row[:2]}"]
    return []


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _is_many(case: Case) -> bool:
    return "in a folder" in case.name or case.name.startswith(
        (
            "file: folder link",
            "words:",
            "rules:",
            "profile:",
            "path:",
            "link:",
            "attack: a linked folder",
            "attack: a folder named",
            "size: 20,000",
            "size: a folder",
            "size: 50 models",
            "size: 200 models",
        )
    )


def run_case(case: Case, ways: Sequence[str] = WAYS, **options: bool) -> tuple[list[str], float, int]:
    """Run a case every way: its problems, the longest processor time, the highest peak."""
    if options.get("spawn") and case.before is not None and not case.spawns:
        return [], 0.0, 0
    problems, seconds, peak = [], 0.0, 0
    times = RACES if case.name.startswith("race:") and len(ways) > 1 else 1
    for way in ("raw",) if case.raw else tuple(ways) * times:
        with tempfile.TemporaryDirectory(prefix="hostile", ignore_cleanup_errors=True) as place:
            folder = Path(place) / "f"
            folder.mkdir()
            words = case.make(folder)
            if way in PROFILES and {"--rules", "--select", "--output-format", "--weights"} & set(words):
                continue
            line = words if case.raw else words_of(words, way)
            if line is None:
                continue
            ended = run(line, folder, before=case.before, **options)
            problems += [f"{way}: {problem}" for problem in (*problems_of(case, way, ended), *case.after(folder))]
            stop_meanwhile(folder)
            seconds, peak = max(seconds, ended.processor_s), max(peak, ended.peak_bytes)
    return problems, seconds, peak


def warm_up() -> None:
    """Import everything before the processes are forked."""
    import modelfiles

    with tempfile.TemporaryDirectory() as place:
        path = modelfiles.saved(modelfiles.conv(), Path(place))
        for way in WAYS:
            modelfiles.run(*(words_of([path], way) or ()))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name begins so, or holds it after a *")
    parser.add_argument("--every", type=int, default=1, help="take one case in so many")
    parser.add_argument("--first", type=int, default=0, help="the first that is taken")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=(*WAYS, *PROFILES, *OTHERS))
    parser.add_argument("--strace", action="store_true")
    parser.add_argument("--spawn", action="store_true")
    options = parser.parse_args()
    if options.strace and not shutil.which("strace"):
        parser.error("strace is not installed")
    wanted = options.only.removeprefix("*")
    chosen = [c for n, c in CASES.items() if (wanted in n if options.only.startswith("*") else n.startswith(wanted))]
    chosen = chosen[options.first :: options.every]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warm_up()
    with tempfile.NamedTemporaryFile("w+", suffix=".jsonl") as results:
        workers = []
        for shard in range(options.jobs):
            worker = os.fork()
            if worker == 0:
                for case in chosen[shard :: options.jobs]:
                    try:
                        problems, seconds, peak = run_case(
                            case, options.ways, spawn=options.spawn, strace=options.strace
                        )
                    except Exception as error:
                        problems, seconds, peak = [f"the harness failed: {type(error).__name__}: {error}"], 0.0, 0
                    line = json.dumps([case.name, case.expected, problems, seconds, peak, ALLOWED]) + "\n"
                    ALLOWED.clear()
                    with open(results.name, "a") as file:
                        file.write(line)
                    for problem in problems:
                        print(f"{case.name!a}: {problem}", flush=True)
                os._exit(0)
            workers.append(worker)
        for worker in workers:
            os.waitpid(worker, 0)
        rows = [json.loads(line) for line in open(results.name)]
    report(rows)
    sys.exit(1 if any(row[2] for row in rows) or len(rows) != len(chosen) else 0)


def report(rows: list[list[object]]) -> None:
    """A table by category."""
    print(f"{'category':12}{'cases':>7}{'passed':>8}{'longest':>10}{'peak':>10}")
    groups = Counter(str(row[0]).split(":")[0] for row in rows)
    for group in [*groups, ""]:
        own = [row for row in rows if str(row[0]).startswith(f"{group}:") or not group]
        longest, peak = max(float(row[3]) for row in own), max(int(row[4]) for row in own)
        passed = sum(not row[2] for row in own)
        print(f"{group or 'all':12}{len(own):7}{passed:8}{longest:8.1f} s{peak >> 20:6} MiB")
    allowed: Counter[str] = sum((Counter(row[5]) for row in rows), Counter())  # type: ignore[arg-type]
    if allowed:
        print("asked for outside of the folder and allowed:")
        for place, count in allowed.most_common():
            print(f"{count:9}  {place!a}")


if __name__ == "__main__":
    main()
