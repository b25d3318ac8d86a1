"""An order in which everything stands behind what it needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet


class CycleError(Exception):
    """Some things need each other; `index` is the first that is stuck."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def execution_order(needs: Sequence[AbstractSet[int]]) -> list[int]:
    """The indices so that each comes behind those it `needs`: as given where that holds; raises CycleError."""
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return list(range(len(needs)))
    readers: list[list[int]] = [[] for _ in needs]
    for index, need in enumerate(needs):
        for source in need:
            readers[source].append(index)
    missing = [len(need) for need in needs]
    ready = deque(index for index, count in enumerate(missing) if not count)
    order: list[int] = []
    while ready:
        index = ready.popleft()
        order.append(index)
        for reader in readers[index]:
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if len(order) < len(needs):
        raise CycleError(next(index for index, count in enumerate(missing) if count))
    return order
