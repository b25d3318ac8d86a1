"""Graphs after edits as models that ONNX Runtime runs, to prove that a fix called exact computes the same.

The shapes of Reshapes and the sizes of Splits follow from the types that the edits state; other constants are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from onnxlint.engine import read_model
from onnxlint.finding import Edit
from onnxlint.graph import Graph
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.values import Array
from onnxlint.whatif import apply

Weights = Callable[[str, tuple[int, ...], int], Array]
"""Name, dims and element type (onnx.TensorProto.DataType) of a weight → its values."""


def graph_of(text: str) -> Graph:
    """The graph written as ONNX text."""
    return read_model(example_model(text), Settings()).graph


def no_weights(name: str, dims: tuple[int, ...], dtype: int) -> Array:
    """For graphs whose constants all follow from types."""
    raise AssertionError(f"{name} is a constant whose values do not follow from types")


def run(graph: Graph, weights: Weights, feed: dict[str, Array]) -> list[Array]:
    """The outputs of the graph's run-time nodes with these weights."""
    used = dict.fromkeys(name for node in graph.compute_nodes for name in node.inputs if name)
    constants = [name for name in used if graph.is_constant(name)]
    implied = dict(_implied(graph))
    values = {
        name: graph.values[name]
        if name in graph.values
        else implied[name]
        if name in implied
        else _weight(graph, name, weights)
        for name in constants
    }
    nodes = []
    for node in graph.compute_nodes:
        proto = helper.make_node(node.op_type, list(node.inputs), list(node.outputs), domain=node.domain)
        proto.attribute.extend(node.attributes.values())
        nodes.append(proto)
    proto = helper.make_graph(
        nodes,
        "edited",
        [helper.make_tensor_value_info(n, graph.type_of(n).dtype, graph.type_of(n).shape) for n in graph.inputs],
        [helper.make_tensor_value_info(n, graph.type_of(n).dtype, graph.type_of(n).shape) for n in graph.outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    opset = max((node.version for node in graph.compute_nodes if node.domain == ""), default=17)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(proto, opset_imports=imports, ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)  # type: ignore[no-any-return]


def _weight(graph: Graph, name: str, weights: Weights) -> Array:
    known = graph.type_of(name)
    return weights(name, known.dims, known.dtype)


def _implied(graph: Graph) -> Iterator[tuple[str, Array]]:
    for node in graph.compute_nodes:
        if node.op_type == "Reshape":
            yield node.inputs[1], np.array(graph.type_of(node.outputs[0]).dims)
        if node.op_type == "Split" and len(node.inputs) > 1:
            parts = [graph.type_of(part).dims for part in node.outputs]
            yield node.inputs[1], np.array([dims[node.attr("axis", 0)] for dims in parts])


def same_outputs(
    graph: Graph, edits: Iterable[Edit], before: Weights = no_weights, after: Weights | None = None
) -> bool:
    """The graph's outputs are the same with and without the edits, on random inputs."""
    after, random = after or before, np.random.default_rng(0)
    feed = {n: random.standard_normal(graph.type_of(n).dims).astype(np.float32) for n in graph.inputs}
    old, new = run(graph, before, feed), run(apply(graph, edits), after, feed)
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(old, new, strict=True))
