"""Why a node does not run on the device. Each cause is one rule's to tell of, so that no node is reported twice."""

from __future__ import annotations

from typing import Literal

from onnxlint.graph import Graph, Node
from onnxlint.patterns.activations import activations
from onnxlint.support import Support, SupportTable

Cause = Literal["", "rank", "control", "window", "resize", "weight", "dtype", "activation", "operator"]

WINDOWED = frozenset(
    {"Conv", "ConvTranspose", "DeformConv", "AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"}
)
"""Operators that slide a window over a map, or are one over the whole of it."""
RESIZES = frozenset({"Resize", "Upsample"})
WINDOW_LIMITS = frozenset(
    {
        "min_kernel",
        "max_kernel",
        "max_kernel_area",
        "max_kernel_elements",
        "max_stride",
        "strides",
        "max_dilation",
        "dilations",
        "max_padding",
        "max_groups",
        "max_input_channels_per_group",
        "max_area",
    }
)
"""The limits of a Condition that speak of such a window, and of its groups."""


def exceeds_rank(graph: Graph, table: SupportTable, node: Node) -> bool:
    """The device has the node's operator, but not for tensors of so many dims."""
    limit = table.device.operators.max_rank
    if limit is None:
        return False
    types = graph.types.get
    for name in (*node.inputs, *node.outputs):
        known = types(name)
        if known is not None and known.shape is not None and len(known.shape) > limit and name:
            return table.by_name(node) != "unsupported"
    return False


def cause(graph: Graph, table: SupportTable, node: Node, support: Support) -> Cause:
    """Why the device does not run the node: the first that applies; "" where it runs, or nobody knows."""
    if support.status != "unsupported":
        return ""
    if exceeds_rank(graph, table, node):
        return "rank"
    if node.is_control_flow:
        return "control"
    if node.key in activations(graph):
        return "activation"
    if node.domain == "":
        limits = support.limits
        if node.op_type in RESIZES:
            return "resize"
        if limits and limits <= {"constant_weight"}:
            return "weight"
        if limits and limits <= WINDOW_LIMITS and node.op_type in WINDOWED:
            return "window"
        if limits and limits <= {"dtypes"}:
            return "dtype"
    return "operator"
