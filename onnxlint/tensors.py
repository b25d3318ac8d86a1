"""Every tensor of a model, wherever it hides."""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def all_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initializers, sparse ones, attributes, those of bodies, functions and training; without recursion."""
    graphs = [proto.graph, *(g for t in proto.training_info for g in (t.initialization, t.algorithm))]
    attributes: list[onnx.AttributeProto] = []
    nodes: list[onnx.NodeProto] = []
    for function in proto.functions:
        nodes += function.node
        attributes += function.attribute_proto
    while graphs or nodes or attributes:
        while graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield sparse.values
                yield sparse.indices
            nodes += graph.node
        for node in nodes:
            attributes += node.attribute
        nodes = []
        for attribute in attributes:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (*((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
                           *attribute.sparse_tensors):  # fmt: skip
                yield sparse.values
                yield sparse.indices
            if attribute.HasField("g"):
                graphs.append(attribute.g)
            graphs += attribute.graphs
        attributes = []
