"""How long a lint with all rules takes against costs alone (reading and analysis): one line for each model and device.

    python tests/benchmarks/rules_per_costs.py MODEL... --device rk3588 --device t4

Without models, the networks of tests/zoo that have most nodes. Seconds of CPU time, the least of a few tries.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.describe import layers, totals
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.load import load
from onnxlint.pricing import priced_findings
from onnxlint.registry import installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for

NETWORKS = ("nasnet_mobile", "vit_tiny", "mobilevit_s", "mobileformer_294m")
DEVICES = ("rk3588", "hi3519", "t4")
TRIES = 3


def seconds(proto: Callable[[], onnx.ModelProto], device: str) -> tuple[float, float]:
    """CPU seconds of costs alone, and of the rules on top of them."""
    start = time.process_time()
    model = read_model(proto(), Settings())
    analysis = Analysis(model.graph, target_for(load_device(device)))
    totals(analysis), layers(analysis)
    between = time.process_time()
    context = Context(analysis, model.bound.assumed, model.unused, model.weights)
    rules = [rule for rule in installed_rules() if not (rule.rule.needs_weights and model.weights.why_not)]
    priced_findings(context, rules, Settings())
    end = time.process_time()
    return between - start, end - between


def best(proto: Callable[[], onnx.ModelProto], device: str, tries: int = TRIES) -> tuple[float, float]:
    """The least of a few tries, each by itself."""
    found = []
    for _ in range(tries):
        gc.collect()
        found.append(seconds(proto, device))
    return min(costs for costs, _ in found), min(rules for _, rules in found)


def _loaded(path: Path) -> onnx.ModelProto:
    return load(path, Settings().max_file_mb).proto


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--device", action="append")
    options = parser.parse_args()
    protos: dict[str, Callable[[], onnx.ModelProto]] = {path.stem: partial(_loaded, path) for path in options.models}
    if not protos:
        protos = {name: partial(build, name) for name in NETWORKS}
    gc.disable()  # as the command line does
    print(f"{'network':32} {'device':10} {'costs ms':>9} {'rules ms':>9} {'all/costs':>9}")
    for name, proto in protos.items():
        for device in options.device or DEVICES:
            costs, rules = best(proto, device)
            print(f"{name[:32]:32} {device:10} {costs * 1e3:9.0f} {rules * 1e3:9.0f} {1 + rules / costs:9.2f}")


if __name__ == "__main__":
    main()
