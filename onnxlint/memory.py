"""The peak of live activations over the schedule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from weakref import WeakKeyDictionary

import msgspec

from onnxlint.analysis import Analysis
from onnxlint.costs import CostModel
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE, VIEWS

Step = tuple[Node, ...]
_READY = 64
_SHARING = VIEWS | {"DequantizeLinear"}


class Peak(msgspec.Struct, frozen=True):
    """The most bytes of activations alive at once, at which kernel, and the values alive there, largest first."""

    bytes: int
    kernel: int
    alive: tuple[tuple[str, int], ...]


def peak_activation_bytes(analysis: Analysis) -> int:
    """The most bytes of activations alive at once, running the kernels in order, for the whole batch.

    A value lives from the kernel that writes it to the last one that reads it; a graph input from the start, an output
    to the end. A view (or the integers behind a Dequantize that vanished) shares its source's memory, and element-wise
    work writes over an input of the same size that nothing else needs any more. What stays inside a kernel takes none;
    a branch or loop adds the peak of its body.
    """
    return _peak(analysis)[0] * analysis.target.batch_factor


def activation_peak(analysis: Analysis) -> Peak:
    """Where that peak is, and of what it is made."""
    factor = analysis.target.batch_factor
    most, at = _peak(analysis)
    alive = sorted(_schedule(analysis).alive_at(at).items(), key=lambda entry: -entry[1])
    return Peak(most * factor, at, tuple((name, size * factor) for name, size in alive))


def greedy_order(analysis: Analysis) -> tuple[tuple[Node, ...], int]:
    """The run-time nodes in another order, kernel by kernel, what frees most first; and the most bytes alive in it.

    Each step looks at no more than the last few kernels that became ready: fast, and no promise that it holds less.
    """
    schedule = _schedule(analysis)
    steps = list(schedule.greedy())
    most, _ = _Schedule(analysis.graph, analysis.costs, steps).peak()
    return tuple(node for step in steps for node in step), most * analysis.target.batch_factor


def _peak(analysis: Analysis) -> tuple[int, int]:
    """For one sample, the most bytes and the kernel at which they are: a rule and the totals both ask."""
    if analysis not in _PEAKS:
        _PEAKS[analysis] = _schedule(analysis).peak()
    return _PEAKS[analysis]


_PEAKS: WeakKeyDictionary[Analysis, tuple[int, int]] = WeakKeyDictionary()


def _schedule(analysis: Analysis) -> _Schedule:
    return _Schedule(analysis.graph, analysis.costs, [kernel.nodes for kernel in analysis.kernels])


class _Schedule:
    """Steps in order, each a group of nodes that hold nothing between them."""

    def __init__(self, graph: Graph, costs: CostModel, steps: Sequence[Step]) -> None:
        self.graph, self.costs, self.steps = graph, costs, steps
        self.owner: dict[str, str] = {}
        for node in graph.compute_nodes:
            if node.op_type in _SHARING and node.inputs and node.outputs and self.is_view(node):
                self.owner[node.outputs[0]] = self.held(node.inputs[0])
        self.last: dict[str, int] = {}
        for index, step in enumerate(steps):
            for node in step:
                for name in node.reads if node.bodies else node.inputs:
                    self.last[self.held(name)] = index
        self.last.update((self.held(name), len(steps)) for name in graph.outputs)
        self.last.pop("", None)  # an input left out

    def is_view(self, node: Node) -> bool:
        if node.domain == "" and node.op_type in VIEWS:
            return True
        return node.op_type == "DequantizeLinear" and node.outputs[0] in self.costs.integers

    def held(self, name: str) -> str:
        """The value whose memory this one is."""
        return self.owner.get(name, name)

    def bytes(self, name: str) -> int:
        elements, bits = self.costs.size(name)
        return (elements * bits + 7) // 8

    def peak(self) -> tuple[int, int]:
        """The most bytes alive at once, and the step at which they are."""
        most, at = sum(self.bytes(name) for name in self.graph.inputs), 0
        for index, (now, _) in enumerate(self.moments()):
            if now > most:
                most, at = now, index
        return most, at

    def alive_at(self, index: int) -> dict[str, int]:
        """The values alive at a step, with their bytes."""
        for step, (_, alive) in enumerate(self.moments()):
            if step == index:
                return dict(alive)
        return {}

    def moments(self) -> Iterator[tuple[int, dict[str, int]]]:
        """Step by step, the most bytes that it holds, and the values alive when it has written its own."""
        alive = {name: self.bytes(name) for name in self.graph.inputs}
        expiring: dict[int, list[str]] = {}
        for name, index in self.last.items():
            expiring.setdefault(index, []).append(name)
        now = sum(alive.values())
        for index, step in enumerate(self.steps):
            dying = [name for name in expiring.get(index, ()) if name in alive]
            inner = [self.inside(node) for node in step if node.bodies and node.is_control_flow]
            most = now + max(0, *inner) if inner else now
            spare = self.overwritable(step, dying) if dying else []
            for name in self.written(step):
                alive[name] = size = self.bytes(name)
                now += size
                taken = next((old for old in spare if alive[old] == size), None) if spare else None
                if taken is not None:
                    spare.remove(taken)
                    now -= alive.pop(taken)
            yield max(most, now), alive
            for name in dying:
                now -= alive.pop(name, 0)

    def greedy(self) -> Iterator[Step]:
        """The steps, each behind those that it needs, what leaves least alive first."""
        writer = {name: index for index, step in enumerate(self.steps) for node in step for name in node.outputs}
        reads = [
            dict.fromkeys(name for node in step for name in node.reads if writer.get(name, index) != index)
            for index, step in enumerate(self.steps)
        ]
        readers: dict[str, list[int]] = {}
        left: dict[str, int] = {}
        for index, names in enumerate(reads):
            for name in names:
                readers.setdefault(name, []).append(index)
            for held in {self.held(name) for name in names}:
                left[held] = left.get(held, 0) + 1
        missing = [len(names) for names in reads]
        kept = {self.held(name) for name in self.graph.outputs}
        grows = [sum(self.bytes(name) for name in self.written(step)) for step in self.steps]
        ready = [index for index, count in enumerate(missing) if not count]
        while ready:
            near = range(max(0, len(ready) - _READY), len(ready))
            at = min(near, key=lambda at: (self.growth(reads[ready[at]], grows[ready[at]], left, kept), ready[at]))
            best = ready.pop(at)
            yield self.steps[best]
            for held in {self.held(name) for name in reads[best]}:
                left[held] -= 1
            for name in dict.fromkeys(name for node in self.steps[best] for name in node.outputs):
                for reader in readers.get(name, ()):
                    missing[reader] -= 1
                    if not missing[reader]:
                        ready.append(reader)

    def growth(self, reads: Iterable[str], written: int, left: Mapping[str, int], kept: Collection[str]) -> int:
        """Bytes that the step leaves alive more than before."""
        freed = {self.held(name) for name in reads}
        return written - sum(self.bytes(held) for held in freed if left[held] == 1 and held not in kept)

    def written(self, step: Step) -> list[str]:
        """What the step leaves in memory of its own."""
        names = self.costs.leaving(step)
        for node in step:
            if node.bodies and node.is_control_flow:
                names += node.outputs
        return [name for name in names if name in self.last and name not in self.owner]

    def overwritable(self, step: Step, dying: Sequence[str]) -> list[str]:
        """Those of the dying values that the step reads only element by element."""
        whole: set[str] = set()
        for node in step:
            if node.op_type not in ELEMENTWISE or node.domain:
                whole.update(map(self.held, node.reads))
        return [name for name in dying if name not in whole]

    def inside(self, node: Node) -> int:
        """The most that a body of the node holds besides what it takes from outside."""
        return max(
            _Schedule(body, self.costs.body(body), [(inner,) for inner in body.compute_nodes]).peak()[0]
            for body in node.bodies.values()
        )
