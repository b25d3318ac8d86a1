"""A kernel: the nodes of one launch, and the class of arithmetic that prices it."""

from __future__ import annotations

import msgspec

from onnxlint.device_runtime import BlockedLayout
from onnxlint.device_types import KernelClass
from onnxlint.graph import Graph, Node
from onnxlint.layout import takes_blocks

CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "QLinearConv", "FusedConv", "NhwcConv", "NhwcFusedConv"})
TRANSPOSED = frozenset({"ConvTranspose"})
MATRIX_PRODUCTS = frozenset(
    {
        "Gemm",
        "MatMul",
        "MatMulInteger",
        "QLinearMatMul",
        "Einsum",
        "FusedGemm",
        "FusedMatMul",
        "MatMulNBits",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "QGemm",
        "GemmFastGelu",
    }
)
"""Convolutions and products, in their float, integer and fused forms."""
RECURRENT = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"})
ATTENTION = frozenset(
    {"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "DecoderMaskedMultiHeadAttention"}
)
ATTENTION_GROUP = "Attention"
ANCHORS = CONVOLUTIONS | TRANSPOSED | MATRIX_PRODUCTS
MULTIPLIERS = ANCHORS | RECURRENT | ATTENTION
"""Operators whose arithmetic is multiply-accumulates."""
_FACTOR_BEHIND_SCALES = frozenset({"QLinearConv", "QLinearMatMul", "QGemm"})


class Kernel(msgspec.Struct, frozen=True, eq=False):
    """Nodes of one launch in execution order; `main` carries the class, `is_free` marks one that moves nothing.

    `group` is the name of the runtime's operator that they form.
    """

    nodes: tuple[Node, ...]
    main: Node
    kernel_class: KernelClass
    is_free: bool = False
    on_host: bool = False
    group: str = ""

    @property
    def label(self) -> str:
        """The operators in order: `Conv+Relu`."""
        return "+".join([node.op_type for node in self.nodes])


def classify(graph: Graph, node: Node, blocked: BlockedLayout | None = None) -> KernelClass:
    """The class of arithmetic that prices a node: a convolution by kernel size and groups, else by operator.

    `blocked`: the layout without which a convolution is lowered to matrix products.
    """
    if node.op_type in CONVOLUTIONS or node.op_type in TRANSPOSED:
        weight = graph.type_of(weight_of(node)).shape if len(node.inputs) > 1 else None
        groups = int(node.attr("group", 1))
        if blocked is not None and weight is not None and not takes_blocks(node, weight, groups, blocked):
            return "lowered"
        spatial = [size for size in (weight or ())[2:] if size is not None]
        if groups > 1:
            per_group = weight[1] if weight is not None and len(weight) > 1 else None
            return "depthwise" if per_group == 1 else "grouped"
        if spatial and max(spatial) == 1:
            return "pointwise"
        steps = {*node.attr("strides", [1]), *node.attr("dilations", [1])}
        return "conv3x3" if spatial == [3, 3] and steps == {1} and node.op_type in CONVOLUTIONS else "conv"
    if node.op_type in MATRIX_PRODUCTS:
        return "gemm"
    if node.op_type in RECURRENT:
        return "recurrent"
    return "attention" if node.op_type in ATTENTION else "vector"


def weight_of(node: Node) -> str:
    """The input that holds a convolution's weights, or a product's second factor."""
    return node.inputs[3] if node.op_type in _FACTOR_BEHIND_SCALES and len(node.inputs) > 3 else node.inputs[1]
