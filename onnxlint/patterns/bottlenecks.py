"""Blocks around a depthwise or grouped convolution: inverted bottlenecks, separable pairs, split-transform-merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.squeeze_excite import squeeze_excites
from onnxlint.patterns.walk import POINTWISE, step_back, step_on

_MAX_BETWEEN = 6


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """`middle`, the depthwise or grouped convolution, between the pointwise `expand` (or None) and `project`.

    `gate` are the nodes of a squeeze-and-excite between them.
    """

    expand: ConvSizes | None
    middle: ConvSizes
    project: ConvSizes
    nodes: tuple[Node, ...]
    gate: tuple[Node, ...] = ()

    @property
    def is_inverted(self) -> bool:
        """Wide in the middle, narrow at both ends."""
        wide = self.middle.in_channels
        return self.expand is not None and self.expand.in_channels < wide and self.project.out_channels < wide


@lru_cache(maxsize=2)
def bottlenecks(graph: Graph) -> tuple[Bottleneck, ...]:
    """Every depthwise or grouped convolution with the pointwise ones behind and before it, in execution order."""
    gates = {gate.source: (gate.nodes, gate.output) for gate in squeeze_excites(graph)}
    before: set[str] = set()
    found: list[Bottleneck] = []
    for node in graph.compute_nodes:
        middle = sizes(graph, node)
        if middle is None or middle.groups == 1 or middle.is_pointwise:
            continue
        project, below, gate = _pointwise(graph, node.outputs[0], step_on, gates)
        if project is None:
            continue
        expand, above, _ = _pointwise(graph, node.inputs[0], step_back, {})
        if expand is not None and expand.node.key in before:
            expand, above = None, []
        before.add(project.node.key)
        nodes = (*above[::-1], node, *below)
        found.append(Bottleneck(expand, middle, project, nodes, tuple(gate)))
    return tuple(found)


def _pointwise(
    graph: Graph,
    value: str,
    step: Callable[[Graph, str], tuple[tuple[Node, ...], str] | None],
    gates: dict[str, tuple[tuple[Node, ...], str]],
) -> tuple[ConvSizes | None, list[Node], list[Node]]:
    """The pointwise convolution that comes next through activations and a gate, the nodes up to it, and the gate's."""
    nodes: list[Node] = []
    gate: list[Node] = []
    for _ in range(_MAX_BETWEEN):
        if value in gates:
            gate += gates[value][0]
            value = gates[value][1]
            continue
        found = step(graph, value)
        if found is None:
            break
        nodes += found[0]
        conv = sizes(graph, found[0][0]) if len(found[0]) == 1 else None
        if conv is not None:
            return (conv if conv.is_pointwise and conv.groups == 1 else None), nodes, gate
        if len(found[0]) == 1 and found[0][0].op_type not in POINTWISE:
            break
        value = found[1]
    return None, [], []
