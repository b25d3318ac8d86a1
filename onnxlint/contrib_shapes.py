"""Output types of the operators outside ai.onnx: as the standard operator that they extend, or as their first input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxlint.scope import NodeDef
from onnxlint.tensor import TensorType

Standard = Callable[[NodeDef, str, str, int, tuple[str, ...]], list[TensorType | None]]

# contrib operator → (standard operator, its inputs among the contrib one's)
_EXTENDS = {
    "FusedConv": ("Conv", 3),
    "FusedGemm": ("Gemm", 3),
    "GemmFastGelu": ("MatMul", 2),
}
_SAME_AS_FIRST = frozenset(
    {
        "BiasGelu",
        "BiasAdd",
        "BiasDropout",
        "FastGelu",
        "Gelu",
        "QuickGelu",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
        "SimplifiedLayerNormalization",
        "GroupNorm",
        "RotaryEmbedding",
        "QLinearLeakyRelu",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "MultiHeadAttention",
        "GroupQueryAttention",
    }
)
_OPSET = 17


def contrib_types(
    node: NodeDef, inputs: Sequence[TensorType | None], standard: Standard
) -> list[TensorType | None]:
    """The outputs' types of a com.microsoft node, as far as they are known."""
    extended = _EXTENDS.get(node.op_type)
    if extended is not None:
        op_type, count = extended
        return standard(node, op_type, "", _OPSET, node.inputs[:count])
    if node.op_type in _SAME_AS_FIRST and inputs:
        return [inputs[0]]
    return []
