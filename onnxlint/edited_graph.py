"""A graph after edits: what they leave alone is taken from the graph before them, not found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from onnxlint.graph import Graph, Node, dequantizes


@dataclass(frozen=True, eq=False, kw_only=True)
class EditedGraph(Graph):
    """A Graph that differs from `base` by the nodes that are `gone`, those that are `new`, and some types.

    A node that reads another value than before is gone and new at once. `moved` are the other nodes that left their
    place in the order, `retyped` the values that have another type than in `base`, or had none there.
    """

    base: Graph
    gone: tuple[Node, ...]
    new: tuple[Node, ...]
    moved: tuple[Node, ...] = ()
    retyped: frozenset[str] = frozenset()

    @cached_property
    def _marks(self) -> dict[str, tuple[object, ...]]:
        return {}

    def mark(self, node: Node) -> tuple[object, ...]:
        """As of a Graph, found once: what runs where and what it costs are asked of the same few nodes."""
        found = self._marks.get(node.key)
        if found is None:
            found = self._marks[node.key] = super().mark(node)
        return found

    @cached_property
    def reread(self) -> tuple[str, ...]:
        """The values that other nodes read than before, or that the same ones read in another order."""
        return tuple(dict.fromkeys(name for node in (*self.gone, *self.new, *self.moved) for name in node.reads))

    @cached_property
    def recast(self) -> frozenset[str]:
        """The values that have another type than in `base`, or are constant here or there alone."""
        return self.retyped.union(*self._constants_lost_and_found)

    @cached_property
    def touched(self) -> frozenset[str]:
        """The keys of the nodes that `base` does not have, has besides, or has with values of another kind."""
        keys = {node.key for node in (*self.gone, *self.new)}
        writers, readers, before = self._producers, self._consumers, self.base._consumers
        for name in self.recast:
            if name in writers:
                keys.add(writers[name].key)
            keys.update([node.key for node in readers.get(name, ())])
            if name in self._reread:
                keys.update([node.key for node in before.get(name, ())])
        return frozenset(keys)

    @property
    def has_same_nodes(self) -> bool:
        """The nodes are those of `base`, in the same order: the edits only declared types."""
        return not (self.gone or self.new or self.moved)

    @cached_property
    def position(self) -> dict[str, int]:
        """Node key → place in execution order."""
        return self.base.position if self.has_same_nodes else super().position

    @cached_property
    def compute_nodes(self) -> tuple[Node, ...]:
        """The nodes that are work at run time, in execution order."""
        return self.base.compute_nodes if self.has_same_nodes else super().compute_nodes

    @cached_property
    def _reread(self) -> frozenset[str]:
        return frozenset(self.reread)

    def is_left_alone(self, name: str) -> bool:
        """The value is read by the nodes that read it in `base`, and is an output if it was one there."""
        return name not in self._reread and (name in self.is_output) == (name in self.base.is_output)

    def touching(self, name: str) -> Iterator[Node]:
        """What writes the value and what reads it, here or in `base`."""
        yield from self.around(name)
        writer = self.base.producer(name)
        if writer is not None:
            yield writer
        if name in self._reread:
            yield from self.base.consumers(name)

    def around(self, name: str) -> Iterator[Node]:
        """What writes the value and what reads it."""
        writer = self.producer(name)
        if writer is not None:
            yield writer
        yield from self.consumers(name)

    @cached_property
    def _producers(self) -> dict[str, Node]:
        if self.has_same_nodes:
            return self.base._producers
        producers = dict(self.base._producers)
        for node in self.gone:
            for name in node.outputs:
                producers.pop(name, None)
        producers |= {name: node for node in self.new for name in node.outputs if name}
        return producers

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        if self.has_same_nodes:
            return self.base._consumers
        readers = dict(self.base._consumers)
        gone, position = frozenset(self.gone), self.position
        more: dict[str, list[Node]] = {}
        for node in self.new:
            for name in node.reads:
                more.setdefault(name, []).append(node)
        for name in self.reread:
            found = [node for node in readers.pop(name, ()) if node not in gone] + more.get(name, [])
            if found:
                readers[name] = sorted(found, key=lambda node: position[node.key])
        return readers

    @cached_property
    def _readers_found(self) -> dict[str, list[Node]]:
        return {}

    def readers(self, name: str) -> list[Node]:
        """The consumers that are work at run time, found where asked for: a what-if asks of few values."""
        found = self._readers_found.get(name)
        if found is None:
            found = [node for node in self.consumers(name) if node.role == "compute"]
            self._readers_found[name] = found
        return found

    @cached_property
    def writers(self) -> dict[str, list[str]]:
        """Key of a run-time node, in execution order → the run-time nodes that write what it takes in."""
        if self.has_same_nodes:
            return self.base.writers
        before, changed = self.base.writers, {node.key for node in self.new}
        for node in (*self.gone, *self.new):
            for name in node.outputs:
                changed.update([reader.key for reader in self.consumers(name)])

        def found(node: Node) -> list[str]:
            if node.key not in changed:
                return before[node.key]
            writers = map(self.producer, filter(None, node.inputs))
            return [writer.key for writer in writers if writer is not None and writer.role == "compute"]

        return {node.key: found(node) for node in self.compute_nodes}

    @cached_property
    def has_dequantized(self) -> bool:
        """Some run-time node is a DequantizeLinear."""
        return any(dequantizes(node) for node in (self.nodes if self.base.has_dequantized else self.new))

    @cached_property
    def _constants_lost_and_found(self) -> tuple[set[str], set[str]]:
        """The values that are constant in `base` alone, and those that are so here alone."""
        before = self.base._constants
        lost = {name for node in self.gone if node.role != "compute" for name in node.outputs}
        found = {name for node in self.new if node.role != "compute" for name in node.outputs}
        if self.weights is not self.base.weights:
            found |= self.weights - self.base.weights
        return lost - found - self.weights, found - before

    @cached_property
    def _constants(self) -> frozenset[str]:
        lost, found = self._constants_lost_and_found
        before = self.base._constants
        return before.difference(lost).union(found) if lost or found else before
