"""Other tools on the corpus beside onnxlint: `python tests/hostile/peers.py [--every 4]`; needs onnx-doctor, onnx-tool.

Each case's file is given to each tool in a process of its own, forked from this one. A tool passes a case where the
process ends by itself within ten seconds of processor time and 1 GB, without a signal and without a traceback of an
exception that is none of the reader's own refusals.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile.corpus import CASES

SECONDS, MEMORY, MOST_MEMORY = 10, 1 << 30, 4 << 30
REFUSAL, TRACEBACK = 2, 3


def checker(path: str) -> None:
    """ONNX's own checker, then its shape inference with data propagation."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model)
    onnx.shape_inference.infer_shapes(model, data_prop=True)


def doctor(path: str) -> None:
    """`onnx-doctor check`."""
    from onnx_doctor._cli import main

    sys.argv = ["onnx-doctor", "check", path]
    main()


def tool(path: str) -> None:
    """onnx-tool's profile."""
    import onnx_tool

    onnx_tool.model_profile(path)


def ours(path: str) -> None:
    """`onnxlint -v`, where an internal error is a traceback."""
    from onnxlint.cli import run_main

    os.environ["ONNXLINT_DEBUG"] = "1"
    run_main(["-v", "--", path])


TOOLS: dict[str, Callable[[str], None]] = {
    "onnxlint": ours,
    "onnx checker + inference": checker,
    "onnx-doctor": doctor,
    "onnx-tool": tool,
}


def outcome(function: Callable[[str], None], words: list[str], folder: Path) -> str:
    """`passed`, or how the tool failed the case."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.setpgid(0, 0)
            os.chdir(folder)
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                function(words[-1])
        except SystemExit:
            code = 0
        except MemoryError:
            code = 4
        except Exception as error:
            ours = type(error).__module__.startswith(("onnx.", "google.", "onnx_ir")) or isinstance(error, OSError)
            code = REFUSAL if ours else TRACEBACK
        os._exit(code)
    start = time.monotonic()
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - start > 3 * SECONDS:
            os.killpg(child, signal.SIGKILL)
            os.wait4(child, 0)
            return "hung"
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if usage.ru_maxrss * 1024 > MEMORY or code == 4:
        return "more than 1 GB"
    if usage.ru_utime + usage.ru_stime > SECONDS:
        return "hung"
    return "traceback" if code == TRACEBACK else "passed"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first that is taken")
    options = parser.parse_args()
    import modelfiles
    import onnx

    of_onnxlint = ("profile", "rules", "words", "disk", "link", "race", "command", "measure")
    chosen = [c for n, c in CASES.items() if n.split(":")[0] not in of_onnxlint][options.first :: options.every]
    with tempfile.TemporaryDirectory() as place:
        path = modelfiles.saved(modelfiles.conv(), Path(place))
        onnx.load(path)
        for function in TOOLS.values():
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), suppress(SystemExit):
                function(path)
    for name, function in TOOLS.items():
        counted: Counter[str] = Counter()
        for case in chosen:
            with tempfile.TemporaryDirectory(prefix="hostile") as place:
                folder = Path(place)
                words = [word for word in case.make(folder) if word not in ("PROFILE", "--")]
                if "--max-file-mb" in words:
                    words = words[:1]
                counted[outcome(function, words, folder)] += 1
        print(f"{name}: {counted['passed']} of {len(chosen)} passed; {dict(counted)}", flush=True)


if __name__ == "__main__":
    main()
