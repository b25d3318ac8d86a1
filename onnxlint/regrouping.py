"""The kernels of an edited graph: those far from what the edits touch are taken over as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from onnxlint.edited_graph import EditedGraph
from onnxlint.grouping import Grouping
from onnxlint.kernels import Kernel
from onnxlint.placement import Placement

_MOST_TOUCHED = 0.5
"""The part of the nodes above which looking for what is left alone takes longer than finding all again."""


class Regrouping(Grouping):
    """Groups an edited graph as a Grouping made anew would, from the Grouping of the graph before the edits.

    A kernel is found again if the edits, or a kernel found before it that is another now, touch a node that its finding
    looked at. With Dequantize nodes about, the form of a node may depend on far away ones: then all are found again.
    """

    def __init__(self, graph: EditedGraph, placement: Placement, before: Grouping) -> None:
        self.edited, self.before = graph, before
        self.suspects: set[str] = set()
        self.found_again: list[Kernel] = []
        self.looked_up: set[str] = set()
        super().__init__(graph, placement, before.on_device, before.on_host)

    def run(self) -> None:
        """Find all kernels, in execution order."""
        before = self.before
        few = len(self.edited.touched) < _MOST_TOUCHED * len(self.graph.compute_nodes)
        if not few or self.integers or before.integers:
            super().run()
            return
        self.looked_ahead = dict(before.looked_ahead)
        self.residuals = dict(before.residuals)
        self.suspect(self.edited_nodes())
        self.suspect(self.moved_between_machines())
        first, suspects, taken = before.first, self.suspects, self.taken
        kernels, keys, sources = self.kernels, self.keys, self.sources
        known, keys_known = before.kernels, before.keys
        tells = bool(self.residuals) or self.blocks is not None
        for node in self.graph.compute_nodes:
            key = node.key
            if key in taken:
                continue
            source = first.get(key, -1)
            if source >= 0 and key not in suspects:
                kernels.append(known[source])
                keys.append(keys_known[source])
                sources.append(source)
                taken.update(keys_known[source])
                if tells:
                    self.tell_again(key, known[source])
            else:
                self.looked_ahead.pop(key, None)
                self.residuals.pop(key, None)
                kernel = self.kernel_from(node)
                self.found_again.append(kernel)
                self.take_again(kernel, source)

    def tell_again(self, key: str, kernel: Kernel) -> None:
        """Tell those behind a kernel that begins with that node, and is taken over as it was, what it told before."""
        self.added.update(self.residuals.get(key, ()))
        blocks, others = self.blocks, self.before.blocks
        if blocks is not None and others is not None:
            blocks.values.update([name for name in kernel.nodes[-1].outputs if name in others.values])

    def take_again(self, kernel: Kernel, source: int) -> None:
        """Add a kernel found again, which began with the node of the one of that index if any did."""
        keys = [node.key for node in kernel.nodes]
        has_same_keys = source >= 0 and keys == self.before.keys[source]
        self.add(kernel, keys, source if has_same_keys and self.is_unchanged_kernel(kernel, source) else -1)
        if not (has_same_keys and self.tells_the_same(kernel, source)):
            self.suspect_behind(kernel, keys, source)

    def edited_nodes(self) -> set[str]:
        """The keys of the nodes that write or read a value of which anything is new."""
        graph, base = self.edited, self.edited.base
        nodes = (*graph.gone, *graph.new, *graph.moved)
        names = set(chain.from_iterable([node.outputs for node in nodes]))
        names |= graph.is_output ^ base.is_output
        # who else reads an input or a constant is nothing to a kernel
        names.update([name for name in graph.reread if graph.producer(name) or base.producer(name)])
        wrote = [writer.key for name in graph.recast if (writer := base.producer(name)) is not None]
        return graph.touching(names - graph.recast).union(graph.touched, wrote)

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
        watchers, looked_up, suspects = self.before.watchers, self.looked_up, self.suspects
        for key in keys:
            if key not in looked_up:  # a join of many has as many watchers, and is touched as often
                looked_up.add(key)
                found = watchers.get(key)
                if found is not None:
                    suspects.update(found)

    def suspect_behind(self, kernel: Kernel, keys: list[str], source: int) -> None:
        """Let those behind the kernel be found again, and behind those that had its nodes."""
        before = self.before
        others = {watcher for key in keys if (watcher := before.kernel_of.get(key)) is not None}
        if source >= 0:
            others.add(source)
        nodes = [*kernel.nodes, *chain.from_iterable([before.kernels[index].nodes for index in others])]
        names = {*self.residuals.get(keys[0], ()), *before.residuals.get(keys[0], ())}
        names.update(chain.from_iterable([node.outputs for node in nodes]))
        self.suspect(chain(keys, *[before.keys[index] for index in others], self.edited.around(names)))

    def is_unchanged_kernel(self, kernel: Kernel, source: int) -> bool:
        """It has the nodes of the one of that index, and they read and leave what they did."""
        graph, other = self.edited, self.before.kernels[source]
        return (
            kernel.nodes == other.nodes
            and (kernel.group, kernel.on_host, kernel.is_free) == (other.group, other.on_host, other.is_free)
            and graph.touched.isdisjoint(self.before.keys[source])
            and all(graph.is_left_alone(name) for node in kernel.nodes for name in node.outputs)
        )

    def tells_the_same(self, kernel: Kernel, source: int) -> bool:
        """It tells the kernels behind it what the one of that index did, whose keys it has."""
        key, other = kernel.main.key, self.before.kernels[source]
        out = kernel.nodes[-1].outputs
        blocks, others = self.blocks, self.before.blocks
        return (
            (kernel.on_host, kernel.is_free) == (other.on_host, other.is_free)
            and self.residuals.get(key) == self.before.residuals.get(key)
            and (
                blocks is None
                or others is None
                or [n in blocks.values for n in out] == [n in others.values for n in out]
            )
        )
