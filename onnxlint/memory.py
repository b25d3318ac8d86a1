"""The peak of live activations over the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxlint.analysis import Analysis
from onnxlint.costs import CostModel
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE, VIEWS

Step = tuple[Node, ...]


def peak_activation_bytes(analysis: Analysis) -> int:
    """The most bytes of activations alive at once, running the kernels in order, for the whole batch.

    A value lives from the kernel that writes it to the last one that reads it; a graph input from the start, an output
    to the end. A view (or the integers behind a Dequantize that vanished) shares its source's memory, and element-wise
    work writes over an input of the same size that nothing else needs any more. What stays inside a kernel takes none;
    a branch or loop adds the peak of its body.
    """
    steps = [kernel.nodes for kernel in analysis.kernels]
    return _Schedule(analysis.graph, analysis.costs, steps).peak() * analysis.target.batch_factor


class _Schedule:
    """Steps in order, each a group of nodes that hold nothing between them."""

    def __init__(self, graph: Graph, costs: CostModel, steps: Sequence[Step]) -> None:
        self.graph, self.costs, self.steps = graph, costs, steps
        self.owner: dict[str, str] = {}
        for node in graph.compute_nodes:
            if node.inputs and node.outputs and self.is_view(node):
                self.owner[node.outputs[0]] = self.held(node.inputs[0])
        self.last: dict[str, int] = {}
        for index, step in enumerate(steps):
            for node in step:
                for name in _reads(node):
                    self.last[self.held(name)] = index
        self.last.update((self.held(name), len(steps)) for name in graph.outputs)

    def is_view(self, node: Node) -> bool:
        if node.domain == "" and node.op_type in VIEWS:
            return True
        return node.op_type == "DequantizeLinear" and node.outputs[0] in self.costs.integers

    def held(self, name: str) -> str:
        """The value whose memory this one is."""
        return self.owner.get(name, name)

    def bytes(self, name: str) -> int:
        return self.costs.bytes(name, self.costs.size(name)[0])

    def peak(self) -> int:
        alive = {name: self.bytes(name) for name in self.graph.inputs}
        expiring: dict[int, list[str]] = {}
        for name, index in self.last.items():
            expiring.setdefault(index, []).append(name)
        now = peak = sum(alive.values())
        for index, step in enumerate(self.steps):
            dying = [name for name in expiring.get(index, ()) if name in alive]
            peak = max([peak, *(now + self.inside(node) for node in step if node.is_control_flow)])
            spare = self.overwritable(step, dying) if dying else []
            for name in self.written(step):
                alive[name] = size = self.bytes(name)
                now += size
                taken = next((old for old in spare if alive[old] == size), None)
                if taken is not None:
                    spare.remove(taken)
                    now -= alive.pop(taken)
            peak = max(peak, now)
            for name in dying:
                now -= alive.pop(name, 0)
        return peak

    def written(self, step: Step) -> Iterator[str]:
        """What the step leaves in memory of its own."""
        for name in (*self.costs.leaving(step), *(name for n in step if n.is_control_flow for name in n.outputs)):
            if name in self.last and name not in self.owner:
                yield name

    def overwritable(self, step: Step, dying: Sequence[str]) -> list[str]:
        """Those of the dying values that the step reads only element by element."""
        whole = {
            self.held(name) for node in step if node.op_type not in ELEMENTWISE or node.domain for name in _reads(node)
        }
        return [name for name in dying if name not in whole]

    def inside(self, node: Node) -> int:
        """The most that a body of the node holds besides what it takes from outside."""
        return max(
            _Schedule(body, self.costs.body(body), [(inner,) for inner in body.compute_nodes]).peak()
            for body in node.bodies.values()
        )


def _reads(node: Node) -> Iterator[str]:
    yield from (name for name in node.inputs if name)
    for body in node.bodies.values():
        yield from body.captured
