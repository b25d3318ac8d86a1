"""Channels that a machine pads to its multiples: what part of a layer's work that is, and which widths are at fault."""

from __future__ import annotations

from onnxlint.channels import channels_of
from onnxlint.device_tables import Alignment
from onnxlint.graph import Graph, Node
from onnxlint.kernels import MATRIX_PRODUCTS
from onnxlint.patterns.axis_roles import POSITIONS, Axis, axis_roles, is_only, projected
from onnxlint.patterns.permutations import UNARY

_NOT_CHOSEN = POSITIONS | {"head"}
_HEAD = UNARY | {"Flatten", "Reshape", "Squeeze", "Softmax", "LogSoftmax", "Add", "ReduceMean", "GlobalAveragePool"}
_MAX_HEAD = 8
_IMAGE = 3


def up(width: int, multiple: int) -> int:
    """The width that a machine of that multiple computes."""
    return -(-width // multiple) * multiple


def padding(graph: Graph, node: Node, alignment: Alignment) -> tuple[float, frozenset[int]]:
    """The part of a layer's work that is padding, and its unaligned widths, without those that nobody chooses."""
    channels = channels_of(graph, node)
    if channels is None or not all(map(graph.is_constant, node.inputs[1:2])):
        return 0.0, frozenset()
    into, out, is_depthwise, _ = channels
    if (is_depthwise or into % alignment.input_channels == 0) and out % alignment.output_channels == 0:
        return 0.0, frozenset()
    before = _channels_read(graph, node)
    is_chosen = not is_depthwise and into > _IMAGE and not is_only(before, _NOT_CHOSEN)
    chosen = [(into, alignment.input_channels)] if is_chosen else []
    if out > 1 and not is_only(projected(before, out), _NOT_CHOSEN) and not _is_last(graph, node):
        chosen.append((out, alignment.output_channels))
    unaligned = frozenset(width for width, multiple in chosen if width % multiple)
    if alignment.mode == "cliff":
        return (1 - 1 / alignment.cliff_factor if unaligned else 0.0), unaligned
    cost, real = 1, 1
    for width, multiple in chosen:
        cost, real = cost * up(width, multiple), real * width
    return 1 - real / cost, unaligned


def _channels_read(graph: Graph, node: Node) -> Axis:
    """What the axis that the weights multiply counts."""
    axes = axis_roles(graph).get(node.inputs[0], ())
    place = -1 if node.op_type in MATRIX_PRODUCTS else 1
    return axes[place] if len(axes) > 1 else ()


def _is_last(graph: Graph, node: Node) -> bool:
    """Nothing but activations and views stands between the layer and an output of the graph."""
    value = node.outputs[0]
    for _ in range(_MAX_HEAD):
        if value in graph.is_output:
            return True
        readers = graph.readers(value)
        if len(readers) != 1 or readers[0].op_type not in _HEAD:
            return False
        value = readers[0].outputs[0]
    return False
