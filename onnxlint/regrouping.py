"""The kernels of an edited graph: those far from what the edits touch are taken over as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from onnxlint.edited_graph import EditedGraph
from onnxlint.graph import Node
from onnxlint.grouping import Grouping
from onnxlint.groups import Rules
from onnxlint.kernels import Kernel
from onnxlint.placement import Placement

_MOST_TOUCHED = 0.5
"""The part of the nodes above which looking for what is left alone takes longer than finding all again."""


class Regrouping(Grouping):
    """Groups an edited graph as a Grouping made anew would, from the Grouping of the graph before the edits.

    A kernel is found again if the edits, or a kernel found before it that is another now, touch a node that its finding
    looked at. With Dequantize nodes about, the form of a node may depend on far away ones: then all are found again.
    """

    def __init__(
        self, graph: EditedGraph, placement: Placement, on_device: Rules, on_host: Rules, before: Grouping
    ) -> None:
        self.edited, self.before = graph, before
        self.suspects: set[str] = set()
        self.found_again: list[Kernel] = []
        self.looked_up: set[str] = set()
        super().__init__(graph, placement, on_device, on_host)

    def run(self) -> None:
        """Find all kernels, in execution order."""
        before = self.before
        few = len(self.edited.touched) < _MOST_TOUCHED * len(self.graph.compute_nodes)
        if not few or self.integers or before.integers:
            super().run()
            return
        self.looked_ahead = dict(before.looked_ahead)
        self.residuals = dict(before.residuals)
        self.suspect(node.key for node in self.edited_nodes())
        self.suspect(self.moved_between_machines())
        first, suspects = before.first, self.suspects
        for node in self.graph.compute_nodes:
            if node.key in self.taken:
                continue
            source = first.get(node.key, -1)
            if source >= 0 and node.key not in suspects:
                self.take_over(source)
            else:
                self.looked_ahead.pop(node.key, None)
                self.residuals.pop(node.key, None)
                kernel = self.kernel_from(node)
                self.found_again.append(kernel)
                self.add(kernel, [node.key for node in kernel.nodes], self.unchanged(kernel))
                self.compare(kernel, self.keys[-1])

    def take_over(self, source: int) -> None:
        """Take the kernel of that index as it was."""
        kernel = self.before.kernels[source]
        self.add(kernel, self.before.keys[source], source)
        self.added.update(self.residuals.get(kernel.main.key, ()))
        blocks, others = self.blocks, self.before.blocks
        if blocks is not None and others is not None:
            blocks.values.update(name for name in kernel.nodes[-1].outputs if name in others.values)

    def edited_nodes(self) -> Iterator[Node]:
        """The nodes that write or read a value of which anything is new."""
        graph, base = self.edited, self.edited.base
        names = {name for node in (*graph.gone, *graph.new, *graph.moved) for name in node.outputs}
        names |= graph.recast | (graph.is_output ^ base.is_output)
        # who else reads an input or a constant is nothing to a kernel
        names.update(name for name in graph.reread if graph.producer(name) or base.producer(name))
        yield from graph.gone
        yield from graph.new
        for name in names:
            yield from graph.touching(name)

    def moved_between_machines(self) -> Iterator[str]:
        """The nodes that run on the other machine now, or whose partition moved away from that of what they read."""
        now, then = self.placement, self.before.placement
        if not now.on_host and not then.on_host:
            return
        yield from now.on_host ^ then.on_host
        then_level = then.level.get
        moved = {key: level - then_level(key, level) for key, level in now.level.items()}
        if not any(moved.values()):
            return
        for key, writers in self.graph.writers.items():
            own = moved[key]
            for writer in writers:
                if moved[writer] != own:
                    yield key
                    yield writer

    def found_watchers(self) -> dict[str, list[str]]:
        """Those of kernels that are no more stay: at worst, one is found again for nothing."""
        if not self.found_again:
            return super().found_watchers()
        found = dict(self.before.watchers)
        for key, watchers in self.watching(self.found_again).items():
            found[key] = [*found.get(key, ()), *watchers]
        return found

    def suspect(self, keys: Iterable[str]) -> None:
        """The kernels that have these nodes, or looked at them, are found again."""
        watchers = self.before.watchers
        for key in keys:
            if key not in self.looked_up:  # a join of many has as many watchers, and is touched as often
                self.looked_up.add(key)
                self.suspects.update(watchers.get(key, ()))

    def compare(self, kernel: Kernel, keys: list[str]) -> None:
        """Let those behind the kernel be found again if it is another than before, or leaves its values otherwise."""
        before = self.before
        others = {watcher for key in keys if (watcher := before.kernel_of.get(key)) is not None}
        others.update(index for index in (before.first.get(kernel.main.key),) if index is not None)
        if len(others) == 1 and self.is_as_before(kernel, keys, next(iter(others))):
            return
        nodes = [*kernel.nodes, *chain.from_iterable(before.kernels[index].nodes for index in others)]
        named = {*self.residuals.get(kernel.main.key, ()), *before.residuals.get(kernel.main.key, ())}
        names = named.union(*(node.outputs for node in nodes))
        self.suspect(chain(keys, *(before.keys[index] for index in others)))
        self.suspect(node.key for name in names for node in self.edited.around(name))

    def unchanged(self, kernel: Kernel) -> int:
        """The index that the kernel had if it has the nodes it had, and they read and leave what they did; else -1."""
        graph, source = self.edited, self.before.first.get(kernel.main.key, -1)
        if source < 0:
            return -1
        other = self.before.kernels[source]
        same = (
            kernel.nodes == other.nodes
            and (kernel.group, kernel.on_host, kernel.is_free) == (other.group, other.on_host, other.is_free)
            and all(node.key not in graph.touched for node in kernel.nodes)
            and all(graph.is_left_alone(name) for node in kernel.nodes for name in node.outputs)
        )
        return source if same else -1

    def is_as_before(self, kernel: Kernel, keys: list[str], source: int) -> bool:
        """It has nodes of the same keys as the one of that index, and tells the same to the kernels behind it."""
        other = self.before.kernels[source]
        key, out = kernel.main.key, kernel.nodes[-1].outputs
        blocks, others = self.blocks, self.before.blocks
        return (
            keys == self.before.keys[source]
            and (kernel.on_host, kernel.is_free) == (other.on_host, other.is_free)
            and self.residuals.get(key) == self.before.residuals.get(key)
            and (
                blocks is None
                or others is None
                or [n in blocks.values for n in out] == [n in others.values for n in out]
            )
        )
