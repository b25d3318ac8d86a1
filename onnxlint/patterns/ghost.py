"""Ghost modules: a narrow convolution, a depthwise "cheap operation" on its result, and both side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import ConvSizes, sizes
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.walk import POINTWISE, row_back

_MAX_STEPS = 6


@dataclass(frozen=True, slots=True)
class Ghost:
    """`primary` makes the first channels of `output` from `source`, `cheap` the others from those.

    `behind` are the activations and BatchNormalizations of the primary convolution; `cut` takes the channels that are
    wanted, where the module makes more.
    """

    primary: ConvSizes
    cheap: ConvSizes
    behind: tuple[Node, ...]
    nodes: tuple[Node, ...]
    output: str

    @property
    def source(self) -> str:
        """What the module reads."""
        return self.primary.node.inputs[0]


@lru_cache(maxsize=2)
def ghosts(graph: Graph) -> tuple[Ghost, ...]:
    """Every Ghost module, in execution order."""
    found = (_joined(graph, node) for node in graph.compute_nodes if node.op_type == "Concat" and not node.domain)
    return tuple(one for one in found if one is not None)


def _joined(graph: Graph, concat: Node) -> Ghost | None:
    rank = graph.type_of(concat.outputs[0]).rank
    if len(concat.inputs) != 2 or rank != 4 or int(concat.attr("axis", 1)) % rank != 1:
        return None
    first, second = concat.inputs
    cheap = _convolution(graph, second, first)
    primary = _convolution(graph, first, "")
    if cheap is None or primary is None or not cheap[0].is_depthwise or primary[0].groups != 1:
        return None
    readers = {reader.key for reader in graph.readers(first)}
    if first in graph.is_output or readers != {concat.key, cheap[0].node.key} or only_reader(graph, second) is None:
        return None
    nodes = (primary[0].node, *primary[1], cheap[0].node, *cheap[1], concat)
    cut, output = only_reader(graph, concat.outputs[0]), concat.outputs[0]
    if cut is not None and cut.op_type == "Slice":
        nodes, output = (*nodes, cut), cut.outputs[0]
    if not graph.type_of(output).is_known or graph.type_of(output).rank != rank:
        return None
    return Ghost(primary[0], cheap[0], primary[1], nodes, output)


def _convolution(graph: Graph, value: str, source: str) -> tuple[ConvSizes, tuple[Node, ...]] | None:
    """The convolution behind `value`, through activations alone, that reads `source` (anything for "")."""
    behind: list[Node] = []
    for nodes, before in row_back(graph, value, _MAX_STEPS):
        conv = sizes(graph, nodes[0]) if len(nodes) == 1 else None
        if conv is not None:
            inner = [node for node in (conv.node, *behind) if value not in node.outputs]
            keys = {node.key for node in behind}
            private = all(r.key in keys for node in inner for n in node.outputs for r in graph.readers(n))
            return (conv, tuple(behind[::-1])) if source in ("", before) and private else None
        if len(nodes) == 1 and nodes[0].op_type not in POINTWISE:
            return None
        behind += nodes[::-1]
    return None
