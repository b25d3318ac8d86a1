"""Changes between feature maps and tokens, and between channels first and last, with those that leave the device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.moves import CROSSINGS, Move, moves
from onnxlint.patterns.placement import WINDOWED, cause
from onnxlint.support import SupportTable

_LEAST = 2


@dataclass(frozen=True, slots=True)
class LayoutChanges:
    """Two changes or more, and their transpositions that the device does not run."""

    moves: tuple[Move, ...] = ()
    leaving: tuple[Node, ...] = ()


def _is_of_scores(graph: Graph, move: Move) -> bool:
    """What it brings is an operand of products of two computed values: queries and keys of one head, no tokens."""
    readers = graph.readers(move.output)
    return bool(readers) and all(
        node.op_type == "MatMul" and not any(graph.is_constant(name) for name in node.inputs) for node in readers
    )


def _has_maps(graph: Graph) -> bool:
    """Something slides a window over height and width."""
    sliding = (node for node in graph.compute_nodes if node.op_type in WINDOWED or "Conv" in node.op_type)
    return any(graph.type_of(node.outputs[0]).rank == 4 for node in sliding)


@lru_cache(maxsize=2)
def layout_changes(graph: Graph, table: SupportTable) -> LayoutChanges:
    """All of them but those through more dims than the device holds; none where there is but one, or no map at all."""
    if not _has_maps(graph):
        return LayoutChanges()
    found: list[Move] = []
    leaving: list[Node] = []
    for move in moves(graph):
        if move.kind not in CROSSINGS or _is_of_scores(graph, move):
            continue
        causes = {node.key: cause(graph, table, node, table.of(graph, node)) for node in move.transposes}
        if "rank" not in causes.values():
            found.append(move)
            leaving += [node for node in move.transposes if causes[node.key] == "operator"]
    return LayoutChanges(tuple(found), tuple(leaving)) if len(found) >= _LEAST else LayoutChanges()
