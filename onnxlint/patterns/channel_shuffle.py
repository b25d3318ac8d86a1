"""Channel shuffles in every spelling: views and Transposes, stacks, Gathers, interleaving Concats, strided slices."""

from __future__ import annotations

from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.shuffle_pieces import shuffle_of_gather, shuffle_of_pieces, shuffle_of_slices
from onnxlint.patterns.shuffle_runs import shuffle_of_run, shuffle_of_stack
from onnxlint.patterns.shuffles import ChannelShuffle


@lru_cache(maxsize=2)
def channel_shuffles(graph: Graph) -> tuple[ChannelShuffle, ...]:
    """Every channel shuffle of the graph, in execution order."""
    found: list[ChannelShuffle] = []
    taken: set[str] = set()
    for node in graph.compute_nodes:
        if node.key in taken or node.domain:
            continue
        shuffle = _starting_at(graph, node)
        if shuffle is not None and taken.isdisjoint(member.key for member in shuffle.nodes):
            taken.update(member.key for member in shuffle.nodes)
            found.append(shuffle)
    return tuple(found)


def _starting_at(graph: Graph, node: Node) -> ChannelShuffle | None:
    if node.op_type == "Concat":
        return shuffle_of_pieces(graph, node) or shuffle_of_stack(graph, node)
    if node.op_type == "Transpose" or node.op_type in VIEWS:
        return shuffle_of_run(graph, node)
    if node.op_type == "Gather":
        return shuffle_of_gather(graph, node) or shuffle_of_slices(graph, node)
    return shuffle_of_slices(graph, node) if node.op_type == "Slice" else None
