"""Small models by hand, and what ONNX Runtime sees when it runs one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxlint.analysis import Analysis
from onnxlint.binding import Bindings
from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.report import Report
from onnxlint.settings import Settings
from onnxlint.target import target_for

FLOAT = TensorProto.FLOAT


def weight(name: str, *dims: int, dtype: Any = np.float32) -> onnx.TensorProto:
    """An initializer of small numbers, never 0."""
    values = np.arange(1, 1 + int(np.prod(dims, dtype=np.int64))) % 7 + 1
    return numpy_helper.from_array(values.reshape(dims).astype(dtype), name)


def constant(name: str, value: Any, dtype: Any = np.int64) -> onnx.TensorProto:
    """An initializer of this value."""
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def value(name: str, dims: Sequence[int | str | None] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, dtype, dims)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    initializers: Sequence[onnx.TensorProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    opset: int = 17,
    domains: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A ModelProto whose outputs state no shape."""
    results = [value(name, None) if isinstance(name, str) else name for name in outputs]
    graph = helper.make_graph(list(nodes), "g", list(inputs), results, list(initializers))
    imports = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **(domains or {})}.items()]
    made = helper.make_model(graph, opset_imports=imports, functions=list(functions))
    made.ir_version = 10
    return made


def lint(proto: onnx.ModelProto, device: str = "generic", **bindings: Any) -> Report:
    """The report without rules; `batch`, `dims` and `shapes` bind."""
    settings = Settings(bindings=Bindings(**bindings))
    return lint_graph(read_model(proto, settings), load_device(device), [], settings)


def analyse(proto: onnx.ModelProto, device: str = "generic", precision: Any = None) -> Analysis:
    """The analysis on a device."""
    return Analysis(read_model(proto, Settings()).graph, target_for(load_device(device), precision))


def observed(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shape of every value of the main graph as ONNX Runtime computes it, its optimizations off."""
    import onnxruntime

    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    stated = {info.name for info in whole.graph.output}
    for node in proto.graph.node:
        whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name and name not in stated)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(whole.SerializeToString(), options, ["CPUExecutionProvider"])
    results = session.run(None, dict(feeds))
    found = {info.name: np.shape(result) for info, result in zip(session.get_outputs(), results, strict=True)}
    found |= {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    return found | {name: feed.shape for name, feed in feeds.items()}
