"""What can be said of this machine: its processor, the runtime, the block of its convolutions' layout."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

import onnx

from onnxlint.calibrate.graphs import Builder
from onnxlint.calibrate.sessions import RuntimeProblem, open_session, runtime

_CPUINFO = Path("/proc/cpuinfo")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_NCHWC = "com.microsoft.nchwc"


def processor_name() -> str:
    """The processor as it names itself."""
    try:
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Hardware", "cpu model") and value.strip():
                return " ".join(value.split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def second_level_kib(default: int = 1024) -> int:
    """KiB of one core's second-level cache, as Linux tells it; `default` where it doesn't."""
    try:
        for index in sorted(_CACHES.iterdir()):
            if index.name.startswith("index") and (index / "level").read_text(encoding="ascii").strip() == "2":
                return int((index / "size").read_text(encoding="ascii").strip().removesuffix("K"))
    except (OSError, ValueError):
        pass
    return default


def runtime_name() -> str:
    """`onnxruntime 1.20.0`."""
    return f"onnxruntime {runtime().__version__}"


def layout_block(provider: str) -> int:
    """Channels in a block of the layout that the runtime gives its convolutions here; 1 where it has none.

    The runtime pads the weights of a convolution of four output channels to one block: its own graph shows it.
    """
    graph = Builder("block")
    x = graph.conv(graph.input(1, 64, 8, 8), (64, 4), 3)
    with tempfile.TemporaryDirectory(prefix="onnxlint") as folder:
        path = Path(folder) / "optimized.onnx"
        try:
            open_session(graph.finish(x), threads=1, provider=provider, optimized_path=str(path))
            optimized = onnx.load(str(path))
        except (RuntimeProblem, OSError):
            return 1
    weights = {tensor.name: tensor for tensor in optimized.graph.initializer}
    for node in optimized.graph.node:
        if node.domain == _NCHWC and node.op_type == "Conv" and node.input[1] in weights:
            return int(weights[node.input[1]].dims[0])
    return 1
