"""ONNX Runtime sessions that are fit to be timed: one operator queue, N threads, inputs that are ready."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx

from onnxlint.streams import Refusal
from onnxlint.text import printable

_DTYPES: dict[str, type] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation")
Feeds = Mapping[str, np.ndarray[Any, Any]]


class RuntimeProblem(Refusal):
    """ONNX Runtime lacks the provider, or can't run the model; `str()` is one line."""


class OutOfMemory(RuntimeProblem):
    """ONNX Runtime asked for more memory than the process may have."""


def runtime() -> ModuleType:
    """The onnxruntime module, told before it is imported that it is not to report what it runs.

    The wheels of 1.32 hold a telemetry client, which begins a database in the user's cache folder with each session.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def provider_named(name: str) -> str:
    """The installed execution provider of this name, `CPU` for `CPUExecutionProvider`; raises RuntimeProblem."""
    onnxruntime = runtime()
    available: list[str] = onnxruntime.get_available_providers()
    short = {full.removesuffix("ExecutionProvider").lower(): full for full in available}
    found = short.get(name.lower().removesuffix("executionprovider"))
    if found is None:
        known = ", ".join(full.removesuffix("ExecutionProvider") for full in available)
        raise RuntimeProblem(
            f"the installed onnxruntime has no execution provider {printable(name)!r} (it has {known})"
        )
    return found


def open_session(
    model: onnx.ModelProto | str | Path,
    *,
    threads: int,
    provider: str = "CPUExecutionProvider",
    profile_prefix: str | None = None,
    optimized_path: str | None = None,
) -> Any:
    """A session of `threads` threads at all optimizations; raises RuntimeProblem for a model that can't be run."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    # denormals, which trained networks rarely meet and noise does, would slow arithmetic many times
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    # else the threads of one session would spin beside the run of the next
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile_prefix is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile_prefix
    if optimized_path is not None:
        options.optimized_model_filepath = optimized_path
    providers = [provider] if provider == "CPUExecutionProvider" else [provider, "CPUExecutionProvider"]
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:
        raise problem_of("ONNX Runtime can't load it", error) from None


def problem_of(failed: str, error: BaseException) -> RuntimeProblem:
    """What `failed`, and the first line of why, shortened; OutOfMemory, in words of our own, where memory gave out."""
    if any(said in str(error) for said in _NO_MEMORY):
        return OutOfMemory(f"{failed}: it needs more memory than it may have")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return RuntimeProblem(f"{failed}: {lines[0][:300]}")


def noise_feeds(session: Any, shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Seeded noise for every input: normal floats, zeros and ones for integers (valid as indices and masks)."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, np.ndarray[Any, Any]] = {}
    for value in session.get_inputs():
        dtype = _DTYPES.get(value.type)
        if dtype is None:
            raise RuntimeProblem(f"input {value.name!r} is a {value.type}, which can't be filled with noise")
        dims = shapes.get(value.name) or tuple(d if isinstance(d, int) and d > 0 else 1 for d in value.shape)
        if np.issubdtype(dtype, np.floating):
            feeds[value.name] = rng.standard_normal(dims).astype(dtype)
        else:
            feeds[value.name] = rng.integers(0, 2, dims).astype(dtype)
    return feeds


class Workload:
    """A session with its inputs bound once, so that a run is nothing but a run."""

    def __init__(self, session: Any, feeds: Feeds) -> None:
        self.session = session
        self._feeds = dict(feeds)
        self._binding = session.io_binding()
        for name, values in self._feeds.items():
            self._binding.bind_cpu_input(name, values)
        for value in session.get_outputs():
            self._binding.bind_output(value.name)

    def __call__(self) -> None:
        """Run once; raises RuntimeProblem."""
        try:
            self.session.run_with_iobinding(self._binding)
        except Exception as error:
            raise problem_of("ONNX Runtime can't run it", error) from None
