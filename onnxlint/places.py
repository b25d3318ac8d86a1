"""Where the nodes of an edited graph stand: new ones where the first that is gone stood, all behind what they read."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from onnxlint.graph import Graph, Node
from onnxlint.ordering import CycleError


class Places:
    """The `nodes` of a graph without those `removed` and with those `made`, which stand where the first one stood.

    `rewired` are nodes that read something else, by key, `order` the wanted place of each node if not that which it
    has. Nothing is looked at but what changes: a node may stand before what it reads (see `ordered`).
    """

    def __init__(
        self,
        before: Graph,
        removed: Collection[str],
        made: Sequence[Node],
        rewired: Mapping[str, Node],
        order: Mapping[str, int] | None = None,
    ) -> None:
        self.before, self.removed, self.rewired = before, frozenset(removed), rewired
        self.is_reordered = order is not None
        self.place = before.position
        nodes = [*before.nodes]
        for key, node in rewired.items():
            nodes[self.place[key]] = node
        if order is not None:
            nodes.sort(key=lambda node: order[node.key])
            self.place = {node.key: index for index, node in enumerate(nodes)}
        self.gone = sorted(self.place[key] for key in removed)
        self.first = self.gone[0] if self.gone else 0
        self.made = {node.key: self.first + index for index, node in enumerate(made)}
        self.more = len(made)
        self.nodes = [*nodes[: self.first], *made]
        for index, behind in zip([self.first - 1, *self.gone], [*self.gone, len(nodes)], strict=True):
            self.nodes += nodes[index + 1 : behind]
        self.written = {name: node.key for node in made for name in node.outputs if name}
        self.read: dict[str, list[str]] = {}
        for node in chain(made, rewired.values()):
            for name in node.reads:
                self.read.setdefault(name, []).append(node.key)

    def of(self, key: str) -> int:
        """The place of the node of that key, -1 if there is none."""
        if key in self.made:
            return self.made[key]
        old = self.place.get(key, -1)
        if old < self.first:
            return old
        return -1 if key in self.removed else old + self.more - bisect_left(self.gone, old)

    def writer(self, name: str) -> int:
        """The place of the node that writes the value, -1 if none does."""
        key = self.written.get(name)
        if key is None:
            node = self.before.producer(name)
            if node is None:
                return -1
            key = node.key
        return self.of(key)

    def readers(self, name: str) -> list[int]:
        """The places of the nodes that read the value, or did so."""
        return [self.of(key) for key in (*self.read.get(name, ()), *[n.key for n in self.before.consumers(name)])]

    def late(self) -> set[int]:
        """The places of the nodes that stand before what they read."""
        suspects = {*self.made, *self.rewired, *(n.key for name in self.written for n in self.before.consumers(name))}
        places = range(len(self.nodes)) if self.is_reordered else map(self.of, suspects)
        return {at for at in places if at >= 0 and any(self.writer(name) >= at for name in self.nodes[at].reads)}

    def ordered(self) -> tuple[list[Node], list[Node]]:
        """The nodes in order, and which of them had to wait for what they read; raises CycleError."""
        return in_order(self.nodes, self.late(), self.writer, self.readers)


def in_order(
    nodes: Sequence[Node],
    late: Collection[int],
    writer: Callable[[str], int],
    readers: Callable[[str], Iterable[int]],
) -> tuple[list[Node], list[Node]]:
    """The nodes so that each comes behind what it reads, the first ones first, and which of them had to wait.

    `late` are the positions of all nodes that stand before what they read. `writer` gives the position of the node that
    writes a value, or -1, `readers` those of the nodes that read it. Raises CycleError.
    """
    done: list[Node] = []
    waits: dict[str, list[int]] = {}
    missing: dict[int, int] = {}
    moved: list[Node] = []
    withheld: set[str] = set()
    # nothing happens but at those that are late, at what is waited for, and at what reads a value withheld
    wanting, stops, index = frozenset(late), sorted(late), 0
    while stops:
        stop = heapq.heappop(stops)
        if stop < index:
            continue
        done += nodes[index:stop]
        node, index = nodes[stop], stop + 1
        is_late = stop in wanting
        wanted = {name: writer(name) for name in node.reads if name in withheld or (is_late and writer(name) >= stop)}
        if wanted:
            moved.append(node)
            missing[stop] = len(wanted)
            for name, source in wanted.items():
                waits.setdefault(name, []).append(stop)
                if source > stop:
                    heapq.heappush(stops, source)
            for name in filter(None, node.outputs):
                withheld.add(name)
                for reader in readers(name):
                    if reader > stop:
                        heapq.heappush(stops, reader)
            continue
        done.append(node)
        if not waits.keys().isdisjoint(node.outputs):
            done += _released(nodes, node, waits, missing, withheld)
    if missing:
        raise CycleError(min(missing))
    done += nodes[index:]
    return done, moved


def _released(
    nodes: Sequence[Node], first: Node, waits: dict[str, list[int]], missing: dict[int, int], withheld: set[str]
) -> Iterator[Node]:
    """What has waited for nothing but the first node, or for what is released by it, the first ones first."""
    node, ready = first, list[int]()
    while True:
        withheld.difference_update(node.outputs)
        for name in node.outputs:
            for index in waits.pop(name, ()):
                missing[index] -= 1
                if not missing[index]:
                    del missing[index]
                    heapq.heappush(ready, index)
        if not ready:
            return
        node = nodes[heapq.heappop(ready)]
        yield node
