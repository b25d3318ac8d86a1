"""A channel shuffle, as it was found: what it permutes, and how.

A shuffle permutes the channels of a value by a transposed (groups × channels) table and moves nothing else. Packing of
queries, keys and values, windows, unfold and pixel shuffle move other axes too: they are none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlint.graph import Node
from onnxlint.values import Array


@dataclass(frozen=True, slots=True)
class Piece:
    """A value that holds `length` of the permuted channels from `start` on."""

    value: str
    start: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class ChannelShuffle:
    """Nodes that permute the channels of `sources` (joined along `axis`): channel i comes from `order[i]`.

    `shape` is that of the joined value; `outputs` is the whole permuted value, or the pieces it falls into.
    """

    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    outputs: tuple[Piece, ...]
    shape: tuple[int, ...]
    axis: int
    order: Array
    groups: int

    @property
    def channels(self) -> int:
        """The number of channels that are permuted."""
        return int(self.order.size)


def interleaved_groups(order: Array) -> int | None:
    """The groups of an order that reads a (groups × channels) table by columns, in blocks or one by one; else None."""
    breaks = np.flatnonzero(np.diff(order) != 1) + 1
    block = int(breaks[0]) if breaks.size else order.size
    if order.size % block or order.size == block:
        return None
    heads = order[::block]
    if np.any(heads % block) or np.any(order != np.repeat(heads, block) + np.tile(np.arange(block), heads.size)):
        return None
    heads = heads // block
    step = int(heads[1] - heads[0])
    if step < 2 or heads.size % step:
        return None
    groups = heads.size // step
    table = np.arange(heads.size).reshape(groups, step).T.reshape(-1)
    return groups if groups > 1 and np.array_equal(heads, table) else None
