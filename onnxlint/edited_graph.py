"""A graph after edits: what they leave alone is taken from the graph before them, not found again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
        nodes = (*self.gone, *self.new, *self.moved)
        names = dict.fromkeys(name for node in nodes for name in (node.reads if node.bodies else node.inputs))
        names.pop("", None)
        return tuple(names)

    @cached_property
    def recast(self) -> frozenset[str]:
        """The values that have another type than in `base`, or are constant here or there alone."""
        return self.retyped.union(*self._constants_lost_and_found)

    @cached_property
    def touched(self) -> frozenset[str]:
        """The keys of the nodes that `base` does not have, has besides, or has with values of another kind."""
        keys = {node.key for node in (*self.gone, *self.new)}
        keys |= self.around(self.recast)
        for name in self.recast & self._reread:
            keys.update([node.key for node in self.base.consumers(name)])
        return frozenset(keys)

    @property
    def has_same_wiring(self) -> bool:
        """The nodes are those of `base`, and read the same constants."""
        return self.has_same_nodes and not any(self._constants_lost_and_found)

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
        if self.has_same_nodes:
            return self.base.compute_nodes
        return tuple([node for node in self.nodes if node.role == "compute"])

    @cached_property
    def _reread(self) -> frozenset[str]:
        return frozenset(self.reread)

    def is_left_alone(self, name: str) -> bool:
        """The value is read by the nodes that read it in `base`, and is an output if it was one there."""
        return name not in self._reread and (name in self.is_output) == (name in self.base.is_output)

    def touching(self, names: Collection[str]) -> set[str]:
        """The keys of what writes the values and what reads them, here or in `base`."""
        keys = self.around(names)
        for name in names:
            writer = self.base.producer(name)
            if writer is not None:
                keys.add(writer.key)
            if name in self._reread:
                keys.update([node.key for node in self.base.consumers(name)])
        return keys

    def around(self, names: Iterable[str]) -> set[str]:
        """The keys of what writes the values and what reads them."""
        keys: set[str] = set()
        producers, consumers = self._producers.get, self._consumers.get
        for name in names:
            writer, readers = producers(name), consumers(name)
            if writer is not None:
                keys.add(writer.key)
            if readers is not None:
                keys.update([node.key for node in readers])
        return keys

    @cached_property
    def _producers(self) -> dict[str, Node]:
        if self.has_same_nodes:
            return self.base._producers
        producers = self.base._producers.copy()
        for node in self.gone:
            for name in node.outputs:
                producers.pop(name, None)
        producers.update([(name, node) for node in self.new for name in node.outputs if name])
        return producers

    @cached_property
    def _by_key(self) -> dict[str, Node | None]:
        nodes = dict(self.base._by_key) if isinstance(self.base, EditedGraph) else {}
        nodes |= {node.key: None for node in self.gone}
        return nodes | {node.key: node for node in self.new}

    @cached_property
    def _root(self) -> Graph:
        """The graph before all edits: the nodes that `_by_key` does not have are as there."""
        return self.base._root if isinstance(self.base, EditedGraph) else self.base

    def get(self, key: str) -> Node | None:
        """The node of that key, or None."""
        return self._by_key[key] if key in self._by_key else self._root.get(key)

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        before = self.base._consumers
        if self.has_same_nodes:
            return before
        more: dict[str, list[Node]] = {}
        for node in self.new:
            for name in node.reads:
                more.setdefault(name, []).append(node)
        consumers, position, gone = before.copy(), self.position, frozenset(self.gone)
        for name in self.reread:
            found = [node for node in before.get(name, ()) if node not in gone]
            found += more.get(name, ())
            if len(found) > 1:
                found.sort(key=lambda node: position[node.key])
            consumers[name] = found
        return consumers

    @cached_property
    def writers(self) -> dict[str, list[str]]:
        """Key of a run-time node, in execution order → the run-time nodes that write what it takes in."""
        if self.has_same_nodes:
            return self.base.writers
        before, changed = self.base.writers, {node.key for node in self.new}
        for node in (*self.gone, *self.new):
            for name in node.outputs:
                changed.update([reader.key for reader in self.consumers(name)])

        writers: dict[str, list[str]] = {}
        producers = self._producers.get
        for node in self.compute_nodes:
            key = node.key
            if key in changed:
                found = [producers(name) for name in node.inputs if name]
                writers[key] = [writer.key for writer in found if writer is not None and writer.role == "compute"]
            else:
                writers[key] = before[key]
        return writers

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
        if lost:
            before -= lost
        return before | found if found else before
