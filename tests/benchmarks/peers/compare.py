"""onnx-tool, onnx-opcounter and onnxlint on the same models in one run: counts, seconds, peak memory.

An extra, not part of the test suite. In a scratch environment:

    python -m venv peers && peers/bin/pip install . onnx-tool onnx-opcounter
    peers/bin/python tests/benchmarks/peers/compare.py [--rounds 5] [--full /tmp]

The models are the light ones of the onnx wheel, and a ResNet-50 of 102 MB and a VGG-19 of 575 MB, built by the zoo with
noise for weights and written to the folder `--full`. The independent count multiplies the shapes that ONNX Runtime saw
while it ran the model, all its optimizations off. Each tool runs in a process of its own, the tools of a round one
after the other; the ratio is the median over rounds of (faster peer / onnxlint). `command` is the whole process,
imports included; `call` is the analysis alone, a second time in a warm process. Memory is the process's peak.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

TOOLS = ("onnxlint", "onnx-tool", "onnx-opcounter")
PEERS = TOOLS[1:]
Result = dict[str, Any]


def onnxlint(path: str) -> tuple[int, int]:
    """Everything that `onnxlint profile` computes."""
    from onnxlint.device import load_device
    from onnxlint.engine import lint_graph, read_model
    from onnxlint.load import load
    from onnxlint.settings import Settings

    totals = lint_graph(read_model(load(path).proto, Settings()), load_device("generic"), [], Settings()).totals
    assert totals is not None
    return totals.macs, totals.params


def onnx_tool(path: str) -> tuple[int, int]:
    """As its README profiles a model."""
    import onnx_tool as tool

    graph = tool.Model(path).graph
    graph.shape_infer(None)
    graph.profile()
    return int(graph.macs[0]), int(graph.params)


def onnx_opcounter(path: str) -> tuple[int, int]:
    """As its command line does."""
    import onnx
    from onnx_opcounter import calculate_macs, calculate_params

    model = onnx.load_model(path)
    return int(calculate_macs(model)), int(calculate_params(model))


def independent(path: str) -> tuple[int, int]:
    """Convolutions and products from the shapes that were run; the elements that reach operators as constants."""
    import numpy as np
    import onnx
    import onnxruntime

    model = onnx.load(path)
    fixed = {tensor.name for tensor in model.graph.initializer}
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    stated = {info.name for info in graph.graph.output}
    names = [name for node in model.graph.node for name in node.output if name and name not in stated]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, ["CPUExecutionProvider"])
    feeds = {info.name: np.ones(info.shape, np.float32) for info in session.get_inputs() if info.name not in fixed}
    shapes = {
        info.name: np.shape(result)
        for info, result in zip(session.get_outputs(), session.run(None, feeds), strict=True)
    }
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes |= {name: feed.shape for name, feed in feeds.items()}
    live, weights, macs = set(feeds), set[str](), 0
    for node in model.graph.node:
        if not live.intersection(node.input):
            continue
        live.update(node.output)
        if node.op_type != "Reshape":
            weights |= {name for name in node.input if name and name not in live}
        out = math.prod(shapes[node.output[0]])
        if node.op_type == "Conv":
            macs += out * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            macs += out * shapes[node.input[0]][0 if turned else -1]
    return macs, sum(math.prod(shapes[name]) for name in weights)


FUNCTIONS = {"onnxlint": onnxlint, "onnx-tool": onnx_tool, "onnx-opcounter": onnx_opcounter, "independent": independent}


def work(tool: str, path: str) -> None:
    """One tool in this process, twice: the first call warms up, the second is timed."""
    result: Result = {}
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            result["macs"], result["params"] = FUNCTIONS[tool](path)
            if tool != "independent" and "--once" not in sys.argv:
                start = time.perf_counter()
                FUNCTIONS[tool](path)
                result["call"] = time.perf_counter() - start
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {str(error)[:80]}"
    print(json.dumps(result | {"peak_mib": _peak_kib() / 1024}))


def _peak_kib() -> int:
    """The larger of this process's peak and its children's (onnxlint infers shapes in a fork)."""
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def run(tool: str, path: str, *, once: bool) -> Result:
    """One tool in a process of its own, with its seconds and peak memory."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--work", tool, path, *(["--once"] if once else [])]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - start
    result: Result = json.loads(ended.stdout) if ended.stdout else {"error": f"exit code {ended.returncode}"}
    return {"peak_mib": 0} | result | {"command": seconds}


def compare(name: str, path: str, rounds: int) -> bool:
    """Print one model's lines; true where onnxlint's counts are the independent ones."""
    truth = run("independent", path, once=True)
    run("onnxlint", path, once=True)  # the file is in the system's cache from here on
    timed = [{tool: run(tool, path, once=True) for tool in TOOLS} for _ in range(rounds)]
    warm = {tool: run(tool, path, once=False) for tool in TOOLS}
    print(
        f"\n{name}: {os.path.getsize(path) / 1e6:.1f} MB, {truth.get('macs', 0):,} MACs, "
        f"{truth.get('params', 0):,} params"
    )
    for tool in TOOLS:
        first = timed[0][tool]
        command = statistics.median(result[tool]["command"] for result in timed)
        peak = max(result[tool]["peak_mib"] for result in timed)
        counts = first.get("error") or f"{first['macs']:,} MACs{_off(first['macs'], truth.get('macs'))}, "
        if not first.get("error"):
            counts += f"{first['params']:,} params{_off(first['params'], truth.get('params'))}"
        call = warm[tool].get("call")
        print(f"  {tool:15s} {command:6.2f} s command, {call or 0:6.3f} s call, {peak:6.0f} MiB   {counts}")
    for measure in ("command", "call"):
        ratios = [
            min(result[peer][measure] for peer in PEERS if measure in result[peer]) / result["onnxlint"][measure]
            for result in (timed if measure == "command" else [warm])
            if any(measure in result[peer] for peer in PEERS) and measure in result["onnxlint"]
        ]
        if ratios:
            print(f"  {measure}: {statistics.median(ratios):.1f}x faster than the faster peer")
    ours = timed[0]["onnxlint"]
    return (ours.get("macs"), ours.get("params")) == (truth.get("macs"), truth.get("params"))


def _off(found: int, truth: int | None) -> str:
    return "" if not truth else " (exact)" if found == truth else f" ({(found - truth) / truth:+.1%})"


def build(name: str, path: str) -> None:
    """A network of the zoo with its weights in the file."""
    import onnx

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from zoo import build
    from zoo.weights import fill

    onnx.save(fill(build(name)), path)


def main() -> int:
    """Compare on all models; exit code 1 where a count of ours is not exact."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", type=Path, default=None, help="a folder for the models of 102 and 575 MB")
    parser.add_argument("--only", default="", help="models whose name contains this")
    options = parser.parse_args()
    folder = files("onnx.backend.test") / "data" / "light"
    models = {path.name: str(path) for path in folder.iterdir() if path.name.endswith(".onnx")}
    if options.full is not None:
        for name in ("resnet50", "vgg19"):
            path = options.full / f"{name}.onnx"
            if not path.exists():  # in a process of its own, whose memory is not this one's
                subprocess.run([sys.executable, __file__, "--build", name, str(path)], check=True)
            models[f"{name} with weights"] = str(path)
    exact = [compare(name, models[name], options.rounds) for name in sorted(models) if options.only in name]
    print(f"\nonnxlint's counts are exact on {sum(exact)} of {len(exact)} models")
    return 0 if all(exact) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["--build"]:
        build(sys.argv[2], sys.argv[3])
    else:
        sys.exit(main())
