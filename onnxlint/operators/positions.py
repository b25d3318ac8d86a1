"""Which inputs of an operator hold parameters, and which only say how: shapes, axes, bounds, scales, masks.

Only float and quantized constants are asked for, so integer inputs (shapes, axes, indices) are listed where a runtime
may also take a float or 8-bit tensor there, or for clarity.
"""

from __future__ import annotations

from collections.abc import Callable

from onnxlint.operators.registry import CONTRIB, NHWC

ALL = frozenset(range(64))


def _after(first: int) -> frozenset[int]:
    return ALL - frozenset(range(first))


def _at(*indices: int) -> frozenset[int]:
    return frozenset(indices)


_EITHER = {
    "QuantizeLinear": _after(1),
    "DequantizeLinear": _after(1),
    "QLinearConv": _at(1, 2, 4, 5, 6, 7),
    "QLinearConvTranspose": _at(1, 2, 4, 5, 6, 7),
    "Pad": _after(1),
    "Resize": _after(1),
    "Trilu": _after(1),
    "Range": ALL,
    "QLinearAveragePool": _after(1),
    "MaxUnpool": _after(1),
    "GatherND": _after(1),
}

_STANDARD = {
    **dict.fromkeys(
        ("Reshape", "Expand", "Tile", "Slice", "Clip", "Dropout", "TopK", "Split", "CenterCropPad"), _after(1)
    ),
    **dict.fromkeys(
        ("Squeeze", "Unsqueeze", "CumSum", "CumProd", "Upsample", "DFT", "AffineGrid", "Col2Im"), _after(1)
    ),
    **dict.fromkeys(("Gather", "GatherElements", "Compress", "ReverseSequence", "SplitToSequence"), _after(1)),
    **dict.fromkeys(("DynamicSlice", "BitShift", "CastLike", "SequenceAt", "SequenceErase"), _after(1)),
    **dict.fromkeys(("ConstantOfShape", "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix"), ALL),
    **dict.fromkeys(("Shape", "Size", "EyeLike", "OneHot", "RandomNormalLike", "RandomUniformLike"), ALL),
    **dict.fromkeys(
        (f"Reduce{n}" for n in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")),
        _after(1),
    ),
    "Where": _at(0),
    "Pow": _at(1),
    "Scatter": _at(1),
    "ScatterElements": _at(1),
    "ScatterND": _at(1),
    "TensorScatter": _at(2),
    "SequenceInsert": _at(2),
    "NonMaxSuppression": _after(2),
    "RoiAlign": _at(2),
    "STFT": _at(1, 3),  # the window is data
    "If": _at(0),
    "Loop": _at(0, 1),
    "QLinearMatMul": _at(1, 2, 4, 5, 6, 7),
    "MatMulInteger": _at(2, 3),
    "ConvInteger": _at(2, 3),
    "RNN": _at(4),
    "GRU": _at(4),
    "LSTM": _at(4),
    "Attention": _at(3, 6),
    "RotaryEmbedding": _at(3),
}

_CONTRIB = {
    "QLinearAdd": _at(1, 2, 4, 5, 6, 7),
    "QLinearMul": _at(1, 2, 4, 5, 6, 7),
    "QLinearWhere": _at(0, 2, 3, 5, 6, 7, 8),
    "MulInteger": _at(1, 3),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearReduceMean"), _after(1)),
    "QLinearGlobalAveragePool": _after(1),
    "QGemm": _at(1, 2, 4, 5, 7, 8),
    "QOrderedMatMul": _at(1, 3, 4, 7),
    "QOrderedGelu": _after(1),
    "QOrderedLayerNormalization": _at(1, 4),
    "QOrderedAttention": _at(1, 2, 3, 4, 8, 9, 10, 14, 15, 16, 17, 18),
    "QOrderedLongformerAttention": _at(1, 3, 5, 6, 7, 9, 11, 12, 13),
    "QuantizeWithOrder": _after(1),
    "DequantizeWithOrder": _after(1),
    "DequantizeBFP": _after(1),
    "MatMulIntegerToFloat": _at(2, 3, 4, 5),
    "DynamicQuantizeMatMul": _at(2, 3),
    "DynamicQuantizeLSTM": _at(4, 8, 9, 10, 11),
    "MatMulNBits": _at(2, 3, 4),
    "MatMulNBitsMlp": _at(4, 7),
    "MatMulNBitsQkv": _at(4, 7, 10),
    "MatMulNBitsQLoRA": _at(2, 4, 6),
    "MatMulPacked": _at(2),
    "MatMulBnb4": _at(2),
    "MatMulFpQ4": _at(2),
    "MatMulBlockQuantizedFp4Weight": _at(2, 3, 4),
    "MatMulBlockQuantizedFp8Weight": _at(2, 3),
    "GemmFloat8": _after(3),
    "GatherBlockQuantized": _after(1),
    "QMoE": _at(3, 6, 9, *range(11, 14), *range(15, 21)),
    "Attention": _at(3, 6),
    "QAttention": _at(3, 4, 5, 6, 7),
    "PackedAttention": _at(3, 4),
    "MultiHeadAttention": _at(4, 8, 9),
    "PackedMultiHeadAttention": _at(4, 5),
    "DecoderMaskedMultiHeadAttention": _at(3, 7, 8, 9),
    "DecoderMaskedSelfAttention": _at(3, 6, 7, 8),
    "GroupQueryAttention": _at(5, 6, 9, 12, 13),
    "SparseAttention": _at(5, 6, 7, 8),
    "DecoderAttention": _at(5, *range(8, 12)),
    "LongformerAttention": _at(3, 6),
    "EmbedLayerNormalization": _at(0, 1, 7, 8),
    "QEmbedLayerNormalization": _at(0, 1, *range(7, 18)),
    "RotaryEmbedding": _at(1),
    "MRotaryEmbedding": _at(1),
    "RelativePositionBias": _at(1, 2),
    "GatedRelativePositionBias": _at(6),
    "QLinearConcat": _at(0, 1),
    "ConvTransposeWithDynamicPads": _at(2),
    "CropAndResize": _after(2),
    "ExpandDims": _after(1),
    "TorchEmbedding": _after(1),
    "BiasDropout": _at(3, 4),
    "BitmaskBiasDropout": _at(3, 4),
    "BitmaskDropout": _after(1),
    "MaxpoolWithMask": _at(1),
}

_BY_DOMAIN = {"": _STANDARD | _EITHER, CONTRIB: _EITHER | _CONTRIB, NHWC: _EITHER}

RUNNING_STATISTICS: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "BatchNormalization"): (3, 4),
    (NHWC, "BatchNormalization"): (3, 4),
}
"""Inputs that training measures instead of learning."""


def is_parameter_input(domain: str, op_type: str, index: int) -> bool:
    """A float or quantized constant at this input is data: a weight, bias, embedding, token or table."""
    if domain == CONTRIB and op_type == "QLinearConcat" and index > 2:
        return index % 3 == 2  # (tensor, scale, zero point) each
    return index not in _BY_DOMAIN.get(domain, {}).get(op_type, ())


def is_learnable_input(domain: str, op_type: str, index: int) -> bool:
    """A parameter at this input is learned: all but BatchNorm's running mean and variance."""
    learned = index not in RUNNING_STATISTICS.get((domain, op_type), ())
    return learned and is_parameter_input(domain, op_type, index)


# inputs of 4-bit (or `bits`-bit) weights that com.microsoft stores in bytes
_PACKED = {
    "MatMulNBits": (1, "bits"),
    "MatMulNBitsMlp": (3, "bits"),
    "MatMulNBitsQkv": (3, "bits"),
    "MatMulNBitsQLoRA": (1, "bits"),
    "MatMulBnb4": (1, ""),
    "MatMulFpQ4": (1, ""),
    "MatMulBlockQuantizedFp4Weight": (1, ""),
    "GatherBlockQuantized": (0, "bits"),
    "QMoE": (2, "expert_weight_bits"),
}
_FURTHER = {"MatMulNBitsQLoRA": (3, 5), "MatMulNBitsMlp": (6,), "MatMulNBitsQkv": (6, 9), "QMoE": (5, 8)}


def weights_per_element(domain: str, op_type: str, index: int, number: Callable[[str, int], int]) -> int:
    """How many weights one stored byte at this input holds: 2 for 4-bit weights, 1 where nothing is packed.

    `number` gives an integer attribute or the default, as `Call.number` does. It holds for byte tensors only: int4
    tensors are packed by their element type.
    """
    first, name = _PACKED.get(op_type, (-1, "")) if domain == CONTRIB else (-1, "")
    if index != first and index not in (_FURTHER.get(op_type, ()) if domain == CONTRIB else ()):
        return 1
    if op_type == "MatMulNBitsQLoRA" and index != first:
        name = "lora_bits"
    bits = number(name, 4) if name else 4
    return 8 // bits if 0 < bits <= 8 else 1
