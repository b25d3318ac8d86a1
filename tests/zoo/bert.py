"""BERT (arXiv 1810.04805), DistilBERT (arXiv 1910.01108) and TinyBERT (arXiv 1909.10351) encoders."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import onnx
from onnx import TensorProto

from .attention import merge_heads, mlp
from .builder import NetworkBuilder
from .graph import Options

VOCABULARY = 30522
POSITIONS = 512


def bert(
    layers: int = 12,
    width: int = 768,
    hidden: int = 3072,
    heads: int = 12,
    length: int = 128,
    segments: bool = True,
    pooler: bool = True,
    **options: Unpack[Options],
) -> onnx.ModelProto:
    """BERT: embeddings, post-norm transformer layers, a pooler over the first token."""
    b = NetworkBuilder(f"bert_{layers}l_{width}", **options)
    ids = b.input("input_ids", (length,), TensorProto.INT64)
    mask = b.input("attention_mask", (length,), TensorProto.INT64)
    b.at("embeddings")
    x = _embedded(b, ids, VOCABULARY, width)
    if segments:
        b.at("")
        kinds = b.input("token_type_ids", (length,), TensorProto.INT64)
        b.at("embeddings")
        x = b.add(x, _embedded(b, kinds, 2, width))
    table = b.parameter("positions", (POSITIONS, width), "bias")
    positions = b.op("Gather", [table, b.constant([range(length)], np.int64)], (1, length, width), axis=0)
    x = b.layer_norm(b.add(x, positions), 1e-12)
    b.at("mask")
    allowed = b.op("Cast", [b.unsqueeze(mask, 1, 2)], (b.batch, 1, 1, length), to=TensorProto.FLOAT)
    blocked = b.mul(b.sub(b.constant(1.0), allowed), b.constant(-3.4e38))
    for layer in range(layers):
        b.at(f"layer.{layer}")
        x = b.layer_norm(b.add(_attention(b, x, blocked, heads), x), 1e-12)
        x = b.layer_norm(b.add(mlp(b, x, hidden), x), 1e-12)
    if not pooler:
        return b.finish(x)
    b.at("pooler")
    return b.finish(x, b.unary("Tanh", b.linear(b.gather(x, 0, axis=1), width)))


def _embedded(b: NetworkBuilder, ids: str, rows: int, width: int) -> str:
    return b.op("Gather", [b.parameter("table", (rows, width), "bias"), ids], (*b.shapes[ids], width), axis=0)


def _attention(b: NetworkBuilder, x: str, blocked: str, heads: int) -> str:
    """Self-attention with three separate projections, an additive mask, and an output projection."""
    batch, tokens, width = b.shapes[x][0], b.size(x, 1), b.size(x, 2)

    def project(*perm: int) -> str:
        return b.transpose(b.reshape(b.matmul_linear(x, width), (batch, tokens, heads, width // heads)), *perm)

    query, key, value = project(0, 2, 1, 3), project(0, 2, 3, 1), project(0, 2, 1, 3)
    scores = b.div(b.matmul(query, key), b.constant((width // heads) ** 0.5))
    mixed = b.matmul(b.softmax(b.add(scores, blocked)), value)
    return b.matmul_linear(merge_heads(b, mixed), width)


def bert_base(**options: Unpack[Options]) -> onnx.ModelProto:
    """BERT-base: 12 layers of width 768."""
    return bert(**options)


def distilbert(**options: Unpack[Options]) -> onnx.ModelProto:
    """DistilBERT: 6 layers of width 768, no segment embedding, no pooler."""
    return bert(6, segments=False, pooler=False, **options)


def tinybert_4l_312(**options: Unpack[Options]) -> onnx.ModelProto:
    """TinyBERT: 4 layers of width 312, hidden 1200."""
    return bert(4, 312, 1200, **options)
