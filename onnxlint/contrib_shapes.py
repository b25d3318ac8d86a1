"""Output types outside ai.onnx: as the standard operator that is extended, or by a rule of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxlint.attributes import attribute
from onnxlint.resolved import NodeDef
from onnxlint.tensor import FLOAT, QUANTIZED, TensorType

Types = Sequence[TensorType | None]
Ask = Callable[[NodeDef, str, Types], list[TensorType | None]]
"""The standard operator of that name, with the node's attributes, on inputs of these types."""
Rule = Callable[[NodeDef, Sequence[TensorType], Ask], list[TensorType | None]]

DOMAINS = frozenset({"com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"})
_RULES: dict[str, tuple[Rule, int]] = {}


def contrib_types(node: NodeDef, inputs: Types, ask: Ask) -> list[TensorType | None]:
    """The outputs' types of a node that onnx has no schema for, as far as they are known."""
    rule, needed = _RULES.get(node.op_type, (None, 0))
    if rule is None:
        return []
    given = [kind if kind is not None else TensorType(0, None) for kind in inputs]
    if len(given) < needed or not all(kind.is_known for kind in given[:1]):
        return []
    try:
        return rule(node, given, ask)
    except Exception:  # whatever a stranger's ranks and attributes provoke: no type
        return []


def _number(node: NodeDef, name: str, default: int = 0) -> int:
    return int(attribute(node.attributes, name, default))


def _register(rule: Rule, needed: int, *op_types: str) -> None:
    _RULES.update(dict.fromkeys(op_types, (rule, needed)))


def _same(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    return [inputs[0]] * (1 if node.op_type not in _SKIPS else 4)


_SKIPS = frozenset({"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SkipGroupNorm"})
_register(_same, 1, *_SKIPS, "BiasGelu", "BiasAdd", "BiasDropout", "FastGelu", "Gelu", "QuickGelu", "GroupNorm")
_register(_same, 1, "SimplifiedLayerNormalization", "RotaryEmbedding", "QLinearLeakyRelu", "QLinearSigmoid")
_register(_same, 1, "QLinearSoftmax", "Inverse", "Trilu", "BiasSoftmax", "BiasSplitGelu", "QOrderedGelu", "Affine")
_register(_same, 1, "ReorderInput", "QOrderedLayerNormalization")


def _extends(op_type: str, *taken: int) -> Rule:
    """The standard operator on some of the inputs; the result has the first one's element type."""

    def rule(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
        chosen = [TensorType(FLOAT, inputs[index].shape) for index in taken if index < len(inputs)]
        return [_of(inputs[0].dtype, kind) for kind in ask(node, op_type, chosen)]

    return rule


def _of(dtype: int, kind: TensorType | None) -> TensorType | None:
    return None if kind is None else TensorType(dtype, kind.shape)


_register(_extends("Conv", 0, 1), 2, "FusedConv", "Conv")
_register(_extends("Conv", 0, 3), 4, "QLinearConv")
_register(_extends("Gemm", 0, 1), 2, "FusedGemm")
_register(_extends("MatMul", 0, 1), 2, "GemmFastGelu", "SparseToDenseMatMul", "MatMulInteger16")
_register(_extends("Add", 0, 3), 4, "QLinearAdd", "QLinearMul")
_register(_extends("Where", 0, 1, 4), 5, "QLinearWhere")
_register(_extends("MaxPool", 0), 1, "MaxPool")
_register(_extends("AveragePool", 0), 1, "AveragePool")
_register(_extends("GlobalAveragePool", 0), 1, "GlobalAveragePool", "GlobalMaxPool")


def _float_product(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    chosen = [TensorType(FLOAT, kind.shape) for kind in inputs[:2]]
    return [_of(FLOAT, kind) for kind in ask(node, "MatMul", chosen)]


_register(_float_product, 2, "MatMulIntegerToFloat", "DynamicQuantizeMatMul")


def _fused_matmul(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    shapes = []
    for kind, name, batch in zip(inputs, ("transA", "transB"), ("transBatchA", "transBatchB"), strict=False):
        dims = list(kind.dims)
        if _number(node, batch):
            dims = [*dims[1:-1], dims[0], dims[-1]]
        if _number(node, name) and len(dims) > 1:
            dims[-2:] = dims[:-3:-1]
        shapes.append(TensorType(FLOAT, tuple(dims)))
    return [_of(inputs[0].dtype, kind) for kind in ask(node, "MatMul", shapes)]


_register(_fused_matmul, 2, "FusedMatMul", "TransposeMatMul", "FusedMatMulActivation")


def _n_bits(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    return [TensorType(inputs[0].dtype, (*inputs[0].dims[:-1], _number(node, "N")))]


_register(_n_bits, 2, "MatMulNBits", "MatMulBnb4", "MatMulPacked", "MatMulNBitsQLoRA")


def _q_gemm(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    is_quantized = len(node.inputs) > 8 and bool(node.inputs[8])
    shapes = [TensorType(FLOAT, inputs[index].shape) for index in (0, 3)]
    return [_of(inputs[0].dtype if is_quantized else FLOAT, kind) for kind in ask(node, "Gemm", shapes)]


_register(_q_gemm, 6, "QGemm")


def _q_concat(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    return ask(node, "Concat", [TensorType(inputs[2].dtype, kind.shape) for kind in inputs[2::3]])


_register(_q_concat, 3, "QLinearConcat")


def _channels_last(op_type: str, weight: int | None = None, always: bool = False) -> Rule:
    """A convolution or pool over NHWC data, asked about in NCHW."""

    def rule(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
        last = always or _number(node, "channels_last")
        dims = inputs[0].dims
        shapes = [TensorType(FLOAT, (dims[0], dims[-1], *dims[1:-1]) if last else dims)]
        if weight is not None:
            shapes.append(TensorType(FLOAT, inputs[weight].shape))
        found = ask(node, op_type, shapes)[0]
        if found is None or not found.is_known:
            return []
        out = found.dims
        return [TensorType(inputs[0].dtype, (out[0], *out[2:], out[1]) if last else out)]

    return rule


_register(_channels_last("GlobalAveragePool"), 1, "QLinearGlobalAveragePool")
_register(_channels_last("AveragePool"), 1, "QLinearAveragePool")
_register(_channels_last("MaxPool", always=True), 1, "NhwcMaxPool")
_register(_channels_last("Conv", 1, always=True), 2, "NhwcConv", "NhwcFusedConv")


def _reduce_mean(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    dims = inputs[0].dims
    axes = {axis % len(dims) for axis in attribute(node.attributes, "axes", range(len(dims)))}
    if _number(node, "keepdims", 1):
        return [TensorType(inputs[0].dtype, tuple(1 if i in axes else d for i, d in enumerate(dims)))]
    return [TensorType(inputs[0].dtype, tuple(d for i, d in enumerate(dims) if i not in axes))]


_register(_reduce_mean, 1, "QLinearReduceMean")


def _quantize(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    if node.op_type == "DequantizeLinear":
        return [TensorType(inputs[1].dtype or FLOAT, inputs[0].shape)]
    return [TensorType(inputs[2].dtype if len(inputs) > 2 and inputs[2].dtype in QUANTIZED else 2, inputs[0].shape)]


_register(_quantize, 2, "QuantizeLinear", "DequantizeLinear")


def _reorder_output(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    batch, channels, *space = inputs[0].dims
    channels = _number(node, "channels", channels)
    last = _number(node, "channels_last")
    return [TensorType(inputs[0].dtype, (batch, *space, channels) if last else (batch, channels, *space))]


_register(_reorder_output, 1, "ReorderOutput")


def _attention(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    """Input (B, S, D), weights (D, q + k + v widths); past at input 4 (QAttention: 8)."""
    (batch, length, _), merged = inputs[0].dims, inputs[1].dims[1]
    sizes = attribute(node.attributes, "qkv_hidden_sizes") or [merged // 3] * 3
    past, dtype = (4, inputs[0].dtype) if node.op_type == "Attention" else (8, FLOAT)
    before = inputs[past].dims[3] if len(inputs) > past and inputs[past].shape else 0
    heads = _number(node, "num_heads", 1)
    present = (2, batch, heads, before + length, sizes[1] // heads)
    return [TensorType(dtype, (batch, length, sizes[2])), TensorType(dtype, present)]


_register(_attention, 2, "Attention", "QAttention")


def _multi_head(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    """Query (B, S, D), value (B, L, Dv) or (B, heads, L, d); packed forms have five dims."""
    query, dtype, heads = inputs[0].dims, inputs[0].dtype, _number(node, "num_heads", 1)
    width, new = (query[2] * query[4], query[1]) if len(query) == 5 else (query[2], query[1])
    key_width = width
    if len(inputs) > 2 and inputs[2].shape:
        value = inputs[2].dims
        width, new = (value[1] * value[3], value[2]) if len(value) == 4 else (value[2], value[1])
    before = inputs[6].dims[2] if len(inputs) > 6 and inputs[6].shape else 0
    presents = [(query[0], heads, before + new, size // heads) for size in (key_width, width)]
    return [TensorType(dtype, dims) for dims in ((query[0], query[1], width), *presents)]


_register(_multi_head, 1, "MultiHeadAttention")


def _group_query(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    batch, length, width = inputs[0].dims
    heads, groups = _number(node, "num_heads", 1), _number(node, "kv_num_heads", 1)
    is_packed = len(inputs) < 2 or inputs[1].shape is None
    size = width // (heads + 2 * groups) if is_packed else width // heads
    before = inputs[3].dims[2] if len(inputs) > 3 and inputs[3].shape else 0
    present = TensorType(inputs[0].dtype, (batch, groups, before + length, size))
    return [TensorType(inputs[0].dtype, (batch, length, heads * size)), present, present]


_register(_group_query, 1, "GroupQueryAttention")


def _embed(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    batch, length = inputs[0].dims
    table = inputs[2]
    whole = TensorType(table.dtype, (batch, length, table.dims[1]))
    return [whole, TensorType(6, (batch,)), whole]


_register(_embed, 3, "EmbedLayerNormalization")


def _lstm(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    """X (S, B, input), R transposed: (directions, hidden, 4·hidden)."""
    (steps, batch, _), directions = inputs[0].dims, inputs[2].dims[0]
    hidden = _number(node, "hidden_size", min(inputs[2].dims[1:]))
    state = TensorType(FLOAT, (directions, batch, hidden))
    return [TensorType(FLOAT, (steps, directions, batch, hidden)), state, state]


_register(_lstm, 3, "DynamicQuantizeLSTM")


def _gather_block(node: NodeDef, inputs: Sequence[TensorType], ask: Ask) -> list[TensorType | None]:
    data, where = list(inputs[0].dims), inputs[1].dims
    if inputs[0].dtype == 2 and _number(node, "bits", 4) < 8:
        data[-1] *= 8 // _number(node, "bits", 4)
    axis = _number(node, "gather_axis") % len(data)
    return [TensorType(inputs[2].dtype, (*data[:axis], *where, *data[axis + 1 :]))]


_register(_gather_block, 3, "GatherBlockQuantized")
