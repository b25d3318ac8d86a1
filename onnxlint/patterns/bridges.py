"""Bridges: attention between a feature map and a few tokens that stand beside it, to the tokens and from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.attention import Attention, attentions
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.walk import data_inputs, private_before

MOST_TOKENS = 16
_LEAST_RATIO = 4
_MAX_STEPS = 10


@dataclass(frozen=True, slots=True)
class Bridge:
    """One attention between `tokens` tokens and `places` positions; `to_tokens` tells its direction.

    `join` adds its result to `kept`; `nodes` are all that lead there alone: what goes with the bridge.
    """

    attention: Attention
    to_tokens: bool
    nodes: tuple[Node, ...]
    join: Node | None
    kept: str

    @property
    def tokens(self) -> int:
        """The few."""
        return min(self.attention.queries, self.attention.keys)

    @property
    def places(self) -> int:
        """The many."""
        return max(self.attention.queries, self.attention.keys)


@lru_cache(maxsize=2)
def bridges(graph: Graph) -> tuple[Bridge, ...]:
    """Every bridge, in execution order; none where the graph has them in one direction alone (pooling, decoding)."""
    found: list[Bridge] = []
    for one in attentions(graph):
        few, many = sorted((one.queries, one.keys))
        if not 1 < few <= MOST_TOKENS or many < _LEAST_RATIO * few:
            continue
        join, kept, nodes = _joined(graph, one)
        found.append(Bridge(one, one.queries == few, nodes, join, kept))
    return tuple(found) if len({bridge.to_tokens for bridge in found}) == 2 else ()


def _joined(graph: Graph, one: Attention) -> tuple[Node | None, str, tuple[Node, ...]]:
    """The sum that takes the attention's result in, what it is added to, and the nodes that lead there alone."""
    value = one.output
    for _ in range(_MAX_STEPS):
        reader = only_reader(graph, value)
        if reader is None:
            break
        inputs = data_inputs(graph, reader)
        if reader.op_type == "Add" and len(inputs) == 2:
            kept = next(name for name in inputs if name != value)
            if graph.type_of(kept).shape == graph.type_of(reader.outputs[0]).shape:
                return reader, kept, tuple(private_before(graph, value))
            break
        if len(inputs) > 1:
            break
        value = reader.outputs[0]
    return None, "", one.nodes
