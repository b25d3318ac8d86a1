"""Fork-join regions: what lies between the last point that all of it comes from and the node that joins it again."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import reduce

from onnxlint.graph import Graph, Node

JOINS = frozenset({"Concat", "Add", "Sum", "Mul", "Max", "Mean"})
_MAX_NODES = 128
_OUTSIDE = -1


@dataclass(frozen=True, slots=True)
class Region:
    """`joins` (one node, or a run of the same sum), the `inner` nodes that lead nowhere else, and `branches`.

    A branch is a joined value that only the join reads, computed inside. `inputs` are the values from outside.
    """

    joins: tuple[Node, ...]
    inner: tuple[Node, ...]
    branches: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def output(self) -> str:
        """The joined value."""
        return self.joins[-1].outputs[0]

    @property
    def name(self) -> str:
        """The scope that all named nodes share, or the joined value's name where they share none."""
        parts = [node.name.split("/")[:-1] for node in self.inner if "/" in node.name]
        shared = []
        for level in zip(*parts, strict=False):
            if len(set(level)) > 1:
                break
            shared.append(level[0])
        return "/".join(shared) if parts and any(shared) else self.output


def regions(graph: Graph, least_branches: int) -> Iterator[Region]:
    """The outermost fork-join regions with that many branches, in execution order; each node is in one at most.

    A node is inside where it lies below the join's immediate dominator and all that reads it lies inside, so that the
    join post-dominates it: cells that read two earlier cells are found, too. Larger regions than a cell are left out.
    """
    nodes = graph.compute_nodes
    if not any(node.op_type in JOINS for node in nodes):
        return
    index = {node.key: i for i, node in enumerate(nodes)}
    before = [_before(graph, node, index) for node in nodes]
    dominator: dict[int, int] = {}
    taken: set[int] = set()
    tried: set[int] = set()
    for last in range(len(nodes) - 1, -1, -1):
        if nodes[last].op_type not in JOINS or len(before[last]) < 2 or last in taken or last in tried:
            continue
        joins, operands = _joined(graph, nodes[last], index)
        branches = [name for name in operands if graph.sole_reader(name) is not None and _inside(graph, name, index)]
        if len(branches) < least_branches or len(branches) > _MAX_NODES:
            # a part of the run joins no more than the whole; the parts of an overlong one are no cells either
            tried.update(index[node.key] for node in joins)
            continue
        dominator = dominator or _dominators(before)
        inner = _inner(graph, nodes, index, before, {index[node.key] for node in joins}, dominator[last])
        branches = [name for name in branches if (p := graph.producer(name)) is not None and index[p.key] in inner]
        if len(branches) >= least_branches and not inner & taken:
            taken |= inner | {index[node.key] for node in joins}
            yield _region(graph, joins, [nodes[i] for i in sorted(inner)], branches)


def distinct_branches(graph: Graph, region: Region, operators: Set[str]) -> int:
    """How many values are joined, those that lead back to the same nodes of `operators` counted once."""
    inside = {node.key for node in region.inner}
    ends: set[str] = set()
    bare = 0
    for branch in region.branches:
        last = _last_operators(graph, branch, inside, operators)
        ends |= last
        bare += not last
    return len(ends) + bare


def _last_operators(graph: Graph, branch: str, inside: set[str], operators: Set[str]) -> set[str]:
    found: set[str] = set()
    pending, seen = [branch], {branch}
    while pending:
        node = graph.producer(pending.pop())
        if node is None or node.key not in inside:
            continue
        if node.op_type in operators:
            found.add(node.key)
            continue
        pending += [name for name in node.inputs if name and name not in seen]
        seen.update(node.inputs)
    return found


def _before(graph: Graph, node: Node, index: dict[str, int]) -> list[int]:
    writers = [graph.producer(name) for name in node.reads]
    return sorted({index[w.key] for w in writers if w is not None and w.key in index}) or [_OUTSIDE]


def _dominators(before: list[list[int]]) -> dict[int, int]:
    """Each node's immediate dominator, by position; -1 stands in front of all.

    Writers stand before their readers, so that a node's is the nearest common ancestor of its writers' in the tree of
    those found so far. (networkx has it for any graph, but takes a quarter of a second to import.)
    """
    tree = _Tree()
    for here, writers in enumerate(before):
        tree.add(here, reduce(tree.common, writers))
    return tree.above


class _Tree:
    """A tree that grows by leaves; `far` are ancestors further up, so that a way up takes a logarithm of steps."""

    def __init__(self) -> None:
        self.above, self.far, self.depth = {_OUTSIDE: _OUTSIDE}, {_OUTSIDE: _OUTSIDE}, {_OUTSIDE: 0}

    def add(self, leaf: int, parent: int) -> None:
        """Hang the leaf below the parent."""
        far, depth = self.far, self.depth
        self.above[leaf], depth[leaf] = parent, depth[parent] + 1
        middle = far[parent]
        is_even = depth[parent] - depth[middle] == depth[middle] - depth[far[middle]]
        far[leaf] = far[middle] if is_even else parent

    def common(self, one: int, other: int) -> int:
        """The nearest that both are below, or are."""
        above, far, depth = self.above, self.far, self.depth
        low, high = (one, other) if depth[one] > depth[other] else (other, one)
        while depth[low] > depth[high]:
            low = far[low] if depth[far[low]] >= depth[high] else above[low]
        while low != high:
            low, high = (far[low], far[high]) if far[low] != far[high] else (above[low], above[high])
        return low


def _inside(graph: Graph, name: str, index: dict[str, int]) -> bool:
    producer = graph.producer(name)
    return producer is not None and producer.key in index


def _joined(graph: Graph, join: Node, index: dict[str, int]) -> tuple[list[Node], list[str]]:
    """The join with the same sums before it, and the values that they join."""
    joins, operands = [join], []
    pending, seen = deque(join.inputs), {join.key}
    while pending:
        name = pending.popleft()
        producer = graph.producer(name)
        chained = producer is not None and producer.op_type == join.op_type != "Concat" and producer.key in index
        if chained and producer is not None and graph.sole_reader(name) is not None and producer.key not in seen:
            seen.add(producer.key)  # a sum of a value and itself names it twice
            joins.append(producer)
            pending += producer.inputs
        elif name:
            operands.append(name)
    return joins[::-1], operands


def _inner(
    graph: Graph, nodes: tuple[Node, ...], index: dict[str, int], before: list[list[int]], joins: set[int], fork: int
) -> set[int]:
    """The positions of all nodes behind `fork` whose values are read inside alone; none if they are too many."""
    inner: set[int] = set()
    seen = {i for join in joins for i in before[join]} - joins
    pending = [-i for i in seen]
    heapq.heapify(pending)
    while pending:
        # the latest first: all its readers have been decided by then
        here = -heapq.heappop(pending)
        if here <= fork:
            break
        readers = {index.get(n.key, _OUTSIDE) for name in nodes[here].outputs if name for n in graph.consumers(name)}
        if not readers <= inner | joins or any(name in graph.is_output for name in nodes[here].outputs):
            continue
        inner.add(here)
        if len(inner) > _MAX_NODES:
            return set()
        for writer in before[here]:
            if writer not in seen:
                seen.add(writer)
                heapq.heappush(pending, -writer)
    return inner


def _region(graph: Graph, joins: list[Node], inner: list[Node], branches: list[str]) -> Region:
    written = {name for node in (*inner, *joins) for name in node.outputs}
    read = dict.fromkeys(name for node in (*inner, *joins) for name in node.inputs if name)
    inputs = tuple(name for name in read if name not in written and not graph.is_constant(name))
    return Region(tuple(joins), tuple(inner), tuple(branches), inputs)
