"""Time networks and ShuffleNetV2's experiments on an NVIDIA GPU through PyTorch, as rows for fit_profiles.py.

    python tests/benchmarks/time_on_gpu.py --device h100 --output published.csv [--seconds 400] [NETWORK ...]

Needs torch and timm. Half precision, channels last, no gradients, BatchNorm as a layer of its own as eager PyTorch has
it. Each network is captured into a CUDA graph, so that launches from Python cost nothing; replays are timed by CUDA
events after a warm-up, and the row is the median of several groups of replays. A row is written as soon as it is
measured: an interrupted run loses nothing. What cannot be captured is named on stderr and left out.
"""

from __future__ import annotations

import argparse
import csv
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BATCHES = (1, 64)
COLUMNS = (
    "device", "network", "precision", "latency_ms", "use", "source", "notes", "batch", "measured", "family",
)  # fmt: skip
GROUPS, GROUP_S, WARM_UP_S = 9, 0.02, 0.1
REPEATS = 10


def conv_bn(torch: Any, into: int, out: int, kernel: int, groups: int = 1) -> list[Any]:
    """A convolution without bias and its BatchNorm."""
    nn = torch.nn
    return [nn.Conv2d(into, out, kernel, padding=kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)]


def experiment(torch: Any, name: str) -> tuple[Any, int]:
    """One of ShuffleNetV2's stacks, named as fit_networks.py names it, and its input's channels (56×56)."""
    nn = torch.nn
    table, *rest = name.split("_")
    layers: list[Any] = []
    if table == "g1":
        into, out = (int(text) for text in rest)
        for _ in range(REPEATS):
            layers += [*conv_bn(torch, into, out, 1), nn.ReLU(), *conv_bn(torch, out, into, 1), nn.ReLU()]
        return nn.Sequential(*layers), into
    if table == "g2":
        groups, channels = (int(text) for text in rest)
        channels = -(-channels // groups) * groups
        for _ in range(REPEATS):
            layers += [*conv_bn(torch, channels, channels, 1, groups), nn.ReLU()]
        return nn.Sequential(*layers), channels
    if table == "g3":
        count, width = int(rest[0]), round(int(rest[2]) / int(rest[0]) ** 0.5)
        for _ in range(REPEATS):
            units = [nn.Sequential(*conv_bn(torch, width, width, 1), nn.ReLU()) for _ in range(count)]
            layers += [summed(torch, units)] if rest[1] == "parallel" else units
        return nn.Sequential(*layers), width
    relu, shortcut, channels = rest[0] == "relu", rest[1] == "shortcut", int(rest[2])
    for _ in range(REPEATS):
        act = [nn.ReLU()] if relu else []
        body = nn.Sequential(
            *conv_bn(torch, channels, channels // 2, 1), *act,
            *conv_bn(torch, channels // 2, channels // 2, 3), *act, *conv_bn(torch, channels // 2, channels, 1),
        )  # fmt: skip
        layers += [summed(torch, [body, nn.Identity()]) if shortcut else body, *act]
    return nn.Sequential(*layers), channels


def summed(torch: Any, branches: list[Any]) -> Any:
    """A module that adds what its branches compute."""

    class Added(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.branches = torch.nn.ModuleList(branches)

        def forward(self, x: Any) -> Any:
            total = self.branches[0](x)
            for branch in self.branches[1:]:
                total = total + branch(x)
            return total

    return Added()


def experiments() -> list[str]:
    """The names of the paper's stacks."""
    with (HERE / "published_shufflenetv2.csv").open(encoding="utf-8", newline="") as file:
        names = dict.fromkeys(row["network"] for row in csv.DictReader(file))
    return [name for name in names if name[:2] in {"g1", "g2", "g3", "g4"}]


def networks() -> dict[str, str]:
    """timm's networks of the RTX 3090's table, each with its family."""
    with (HERE / "published_timm_rtx3090.csv").open(encoding="utf-8", newline="") as file:
        return {row["network"]: row["family"] for row in csv.DictReader(file)}


def built(torch: Any, name: str) -> tuple[Any, tuple[int, int, int]]:
    """The module, ready to run, and its input's dims without the batch."""
    with torch.device("cuda"):
        if name.startswith("timm:"):
            import timm
            from timm.utils.model import reparameterize_model

            model = reparameterize_model(timm.create_model(name.removeprefix("timm:"), pretrained=False).eval())
            dims = tuple(model.pretrained_cfg["input_size"])
        else:
            model, channels = experiment(torch, name)
            dims = (channels, 56, 56)
    return model.eval().cuda().half().to(memory_format=torch.channels_last), dims


def seconds_of(torch: Any, call: Callable[[], Any]) -> float:
    """Median seconds of one replay of the captured call."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    begin, replays = time.perf_counter(), 0
    while time.perf_counter() - begin < WARM_UP_S:
        graph.replay()
        torch.cuda.synchronize()
        replays += 1
    count = max(3, round(GROUP_S / ((time.perf_counter() - begin) / replays)))
    found = []
    for _ in range(GROUPS):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            graph.replay()
        stop.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(stop) * 1e-3 / count)
    return statistics.median(found)


def measured(torch: Any, names: list[str], until: float) -> Iterator[tuple[str, int, float, tuple[int, int, int]]]:
    """(name, batch, milliseconds, dims) of everything that can be captured before the time is up."""
    for name in names:
        if time.perf_counter() > until:
            print(f"time is up before {name}", file=sys.stderr)
            return
        try:
            model, dims = built(torch, name)
        except Exception as error:  # a benchmark's rows are independent: the next network is tried
            print(f"{name}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
            continue
        for batch in BATCHES:
            try:
                x = torch.randn(batch, *dims, device="cuda").half().contiguous(memory_format=torch.channels_last)
                with torch.inference_mode():
                    yield name, batch, 1e3 * seconds_of(torch, lambda model=model, x=x: model(x)), dims
            except Exception as error:
                print(f"{name}, batch {batch}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
                torch.cuda.synchronize()
        del model
        gc.collect()
        torch.cuda.empty_cache()


def main() -> None:
    """Write the rows."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("networks", nargs="*", help="names as the tables have them; none: all")
    parser.add_argument("--device", required=True, help="the profile's name, for the rows")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3600.0, help="start no network after so long")
    arguments = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    until = time.perf_counter() + arguments.seconds
    families = networks()
    names = arguments.networks or [*experiments(), *families]
    source = f"tests/benchmarks/time_on_gpu.py on one {torch.cuda.get_device_name()}"
    how = f"PyTorch {torch.__version__}, CUDA graph, fp16, channels last"
    with arguments.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, batch, ms, dims in measured(torch, names, until):
            notes = f"{how}; {'x'.join(map(str, dims))}"
            found = (f"{ms:.4f}", "fit", source, notes, batch, "latency", families.get(name, ""))
            writer.writerow([arguments.device, name, "fp16", *found])
            file.flush()
            print(f"{name} batch {batch}: {ms:.4f} ms", flush=True)


if __name__ == "__main__":
    main()
