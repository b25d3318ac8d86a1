"""An order in which everything stands behind what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet


class CycleError(Exception):
    """Some things need each other; `index` is the first of a cycle."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def execution_order(needs: Sequence[AbstractSet[int]]) -> list[int]:
    """The indices so that each comes behind those it `needs`, the lowest first; raises CycleError."""
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return list(range(len(needs)))
    # most files are in order and do without networkx, which takes a fifth of the start-up
    import networkx

    network: networkx.DiGraph[int] = networkx.DiGraph()
    network.add_nodes_from(range(len(needs)))
    network.add_edges_from((source, index) for index, need in enumerate(needs) for source in need)
    try:
        return list(networkx.lexicographical_topological_sort(network))
    except networkx.NetworkXUnfeasible:
        raise CycleError(min(networkx.find_cycle(network))[0]) from None
