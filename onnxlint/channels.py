"""The channels and sides of a convolution or product, and what a machine's channel multiples make of them."""

from __future__ import annotations

from math import inf, prod

from onnxlint.device import Device
from onnxlint.device_tables import Alignment
from onnxlint.graph import Graph, Node
from onnxlint.kernels import CONVOLUTIONS, MATRIX_PRODUCTS, weight_of
from onnxlint.tensor import UnknownShape

Channels = tuple[int, int, bool, bool]
"""Per group: in, out, whether depthwise, whether pointwise."""


def channels_of(graph: Graph, node: Node) -> Channels | None:
    """A convolution's or matrix product's channels per group: (in, out, depthwise, pointwise); None if unknown.

    A depthwise convolution gives all its channels as `out`; a matrix product counts as pointwise with in = K, out = N.
    """
    try:
        if node.op_type in CONVOLUTIONS:
            out, into, *kernel = graph.type_of(weight_of(node)).dims
            groups = int(node.attr("group", 1))
            if groups > 1 and into == 1:
                return (1, out, True, False) if out else None
            found = (into, out // max(1, groups), False, all(size == 1 for size in kernel))
        elif node.op_type in MATRIX_PRODUCTS and node.op_type != "Einsum":
            left, right = graph.type_of(node.inputs[0]).dims, graph.type_of(node.outputs[0]).dims
            found = (left[0] if node.attr("transA", 0) else left[-1], right[-1], False, True)
        else:
            return None
    except (UnknownShape, ValueError, IndexError):
        return None
    return found if found[0] and found[1] else None


def sides_of(graph: Graph, node: Node, channels: Channels | None) -> tuple[float, float, float]:
    """Outputs, depth and positions of a convolution or product: columns, elements summed up, rows; inf if unknown."""
    if channels is None:
        return inf, inf, inf
    into, out, is_depthwise, _ = channels
    try:
        dims = graph.type_of(node.outputs[0]).dims
        if node.op_type in CONVOLUTIONS:
            window = prod(graph.type_of(weight_of(node)).dims[2:])
            positions = prod(dims[2:]) * dims[0]
            return (1, window, positions) if is_depthwise else (out, window * into, positions)
        constant = graph.is_constant(weight_of(node))
        return out, into, prod(dims[:-1]) if constant else dims[-2]
    except (UnknownShape, IndexError):
        return inf, inf, inf


def window_elements(graph: Graph, node: Node) -> int:
    """Elements of a convolution's kernel in one channel, 0 where they are unknown."""
    try:
        return prod(graph.type_of(weight_of(node)).dims[2:])
    except UnknownShape:
        return 0


def padding(node: Node, channels: Channels | None, device: Device) -> tuple[float, float]:
    """By what factor the machine's channel multiples inflate a node's MACs, and its slowdown off a cliff."""
    if channels is None:
        return 1.0, 1.0
    alignment = device.alignment
    into, out, is_depthwise, is_pointwise = channels
    floor = alignment.pointwise_input_floor if is_pointwise else 1
    if is_depthwise:
        padded, real = _up(out, alignment.output_channels), out
    else:
        padded = max(_up(into, alignment.input_channels), floor) * _up(out, alignment.output_channels)
        real = into * out
    groups = int(node.attr("group", 1)) if node.op_type in CONVOLUTIONS else 1
    if groups > 1 and not is_depthwise and alignment.mode == "internal":
        _, wide, tall, tiles = tiles_of(alignment, into, out, groups, floor)
        padded, real = wide * tall * tiles, into * out * groups
    unit = alignment.group_multiple
    if unit is not None and not is_depthwise and node.op_type in CONVOLUTIONS and int(node.attr("group", 1)) > 1:
        return 1.0, alignment.cliff_factor if into % unit or out % unit else 1.0
    if alignment.mode == "cliff":
        return 1.0, alignment.cliff_factor if padded != real else 1.0
    return padded / real, 1.0


def tiles_of(alignment: Alignment, into: int, out: int, groups: int, floor: int = 1) -> tuple[int, int, int, int]:
    """How many groups of so many channels a tile holds, its padded channels in and out, the number of tiles."""
    most = max(alignment.input_channels // into, alignment.output_channels // out, 1) if alignment.shared_groups else 1

    def sides(shared: int) -> tuple[int, int, int, int]:
        wide = max(_up(shared * into, alignment.input_channels), floor)
        return shared, wide, _up(shared * out, alignment.output_channels), -(-groups // shared)

    return min(map(sides, range(1, min(groups, most) + 1)), key=lambda found: prod(found[1:]))


def padded_copies(node: Node, graph: Graph, device: Device) -> list[str]:
    """The input and output of a dense convolution that are copied because their channels are not aligned."""
    channels = channels_of(graph, node) if device.alignment.copies and node.op_type in CONVOLUTIONS else None
    if channels is None or int(node.attr("group", 1)) > 1:
        return []
    into, out, *_ = channels
    copies = [node.inputs[0]] if into % device.alignment.input_channels else []
    return copies + ([node.outputs[0]] if out % device.alignment.output_channels else [])


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
