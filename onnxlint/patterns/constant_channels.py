"""Channels whose value is a constant, and how far it can be followed until a dense layer takes it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxlint.graph import Graph, Node
from onnxlint.patterns.permutations import is_dense, only_reader
from onnxlint.values import Array
from onnxlint.weights import WeightValues

_MAX_STEPS = 12
_SAME = frozenset({"Identity", "Dropout", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Flatten"})


@dataclass(frozen=True, slots=True)
class Followed:
    """The convolution that reads dead channels, and their constants there."""

    reader: Node
    constants: Array

    @property
    def is_removable(self) -> Array:
        """Which channels leave no trace: zeros, and any constant where no padding makes a border of other values."""
        unpadded = not any(self.reader.attr("pads", [])) and self.reader.attr("auto_pad", b"NOTSET") == b"NOTSET"
        removable: Array = (self.constants == 0) | unpadded
        return removable


def follow(graph: Graph, weights: WeightValues, writer: Node, channels: Array, constants: Array) -> Followed | None:
    """Where constants of `channels` (axis 1 of the writer's result) arrive, through what treats each channel alone."""
    value = writer.outputs[0]
    for _ in range(_MAX_STEPS):
        node = only_reader(graph, value)
        if node is None or node.domain or not node.outputs:
            return None
        if node.op_type == "Conv" and node.inputs[0] == value and is_dense(graph, node):
            return Followed(node, constants)
        step = _STEPS.get(node.op_type)
        if node.op_type == "BatchNormalization":
            moved = normalized(weights, node, channels, constants)
            if moved is None:
                return None
            constants = moved
        elif step is not None:
            constants = step(node, graph, constants)
        elif node.op_type not in _SAME or graph.type_of(node.outputs[0]).rank != graph.type_of(value).rank:
            return None
        value = node.outputs[0]
    return None


def normalized(weights: WeightValues, node: Node, channels: Array, constants: Array) -> Array | None:
    """The constants behind a BatchNormalization."""
    parts = [weights(name) for name in node.inputs[1:5]]
    if len(parts) < 4 or any(part is None or part.ndim != 1 or len(part) <= channels.max() for part in parts):
        return None
    gamma, beta, mean, variance = (part[channels].astype(np.float64) for part in parts if part is not None)
    moved: Array = gamma * (constants - mean) / np.sqrt(variance + node.attr("epsilon", 1e-5)) + beta
    return moved


def _clipped(node: Node, graph: Graph, constants: Array) -> Array:
    bounds = [graph.values.get(name) if name else None for name in (*node.inputs[1:], "", "")[:2]]
    low, high = (float(b.reshape(-1)[0]) if b is not None and b.size else None for b in bounds)
    low, high = node.attr("min", low), node.attr("max", high)
    return np.clip(constants, -np.inf if low is None else low, np.inf if high is None else high)


_STEPS: dict[str, Callable[[Node, Graph, Array], Array]] = {
    "Relu": lambda _, __, constants: np.maximum(constants, 0),
    "LeakyRelu": lambda node, _, c: np.where(c < 0, c * node.attr("alpha", 0.01), c),
    "HardSwish": lambda _, __, c: c * np.clip(c / 6 + 0.5, 0, 1),
    "Clip": _clipped,
}
