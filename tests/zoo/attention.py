"""Attention: transformer layers over tokens (batch, tokens, features) as PyTorch's exporter writes them."""

from __future__ import annotations

from typing import Literal

from .builder import NetworkBuilder

Packing = Literal["split", "gather"]


def unpack_qkv(b: NetworkBuilder, x: str, heads: int, packing: Packing) -> list[str]:
    """Queries, keys and values (batch, heads, tokens, features) out of one linear layer by a 5-D transpose."""
    batch, tokens, features = b.shapes[x][0], b.size(x, 1), b.size(x, 2)
    qkv = b.matmul_linear(x, 3 * features)
    qkv = b.transpose(b.reshape(qkv, (batch, tokens, 3, heads, features // heads)), 2, 0, 3, 1, 4)
    if packing == "gather":
        return [b.gather(qkv, index, axis=0) for index in range(3)]
    return [b.squeeze(part, 0) for part in b.split(qkv, [1, 1, 1], axis=0)]


def merge_heads(b: NetworkBuilder, x: str) -> str:
    """(batch, heads, tokens, features) to (batch, tokens, heads * features)."""
    merged = b.transpose(x, 0, 2, 1, 3)
    return b.reshape(merged, (b.shapes[x][0], b.size(x, 2), b.size(x, 1) * b.size(x, 3)))


def packed_attention(b: NetworkBuilder, x: str, heads: int, packing: Packing = "split") -> str:
    """Multi-head self-attention of vision transformers; both factors scaled by the fourth root, as exported."""
    query, key, value = unpack_qkv(b, x, heads, packing)
    root = (b.size(x, 2) // heads) ** -0.25
    scores = b.matmul(b.mul(query, b.constant(root)), b.mul(b.transpose(key, 0, 1, 3, 2), b.constant(root)))
    return b.matmul_linear(merge_heads(b, b.matmul(b.softmax(scores), value)), b.size(x, 2))


def mlp(b: NetworkBuilder, x: str, hidden: int, activation: Literal["gelu", "silu"] = "gelu") -> str:
    """Two linear layers."""
    y = b.matmul_linear(x, hidden)
    return b.matmul_linear(b.gelu(y) if activation == "gelu" else b.silu(y), b.size(x, -1))


def pre_norm_block(
    b: NetworkBuilder,
    x: str,
    heads: int,
    ratio: float = 4,
    packing: Packing = "split",
    activation: Literal["gelu", "silu"] = "gelu",
    epsilon: float = 1e-6,
) -> str:
    """Transformer block: attention and MLP, each behind a LayerNorm and summed with its input."""
    x = b.add(x, packed_attention(b, b.layer_norm(x, epsilon), heads, packing))
    return b.add(x, mlp(b, b.layer_norm(x, epsilon), int(b.size(x, -1) * ratio), activation))
