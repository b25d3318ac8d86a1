"""Squeeze-and-excite: a feature map times a gate per channel that comes from its own mean over all positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from onnxlint.finding import Edit, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.permutations import UNARY
from onnxlint.patterns.walk import data_inputs, is_private, reduced_axes, step_back

_POOLS = frozenset({"GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "AveragePool"})
_LINEAR = frozenset({"Conv", "Gemm", "MatMul"})
_THROUGH = UNARY | VIEWS | {"Add", "Sub", "Mul", "Div", "Min", "Max", "BatchNormalization", "Transpose", "Expand"}
_MAX_STEPS = 20


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """`nodes` from the pool to the product; `source` is the map, `output` the gated map, `hidden` the narrow width."""

    nodes: tuple[Node, ...]
    source: str
    output: str
    channels: int
    hidden: int
    positions: tuple[int, ...]

    @property
    def without(self) -> tuple[Edit, ...]:
        """The map goes on without the gate."""
        return (*(Remove(node.key) for node in self.nodes), Reconnect(self.output, self.source))


@lru_cache(maxsize=2)
def squeeze_excites(graph: Graph) -> tuple[SqueezeExcite, ...]:
    """Every squeeze-and-excite gate, in execution order."""
    found = (_gated(graph, node) for node in graph.compute_nodes if node.op_type == "Mul" and not node.domain)
    return tuple(one for one in found if one is not None)


def _gated(graph: Graph, product: Node) -> SqueezeExcite | None:
    inputs = data_inputs(graph, product)
    if len(inputs) != 2:
        return None
    for source, gate in (inputs, inputs[::-1]):
        known = graph.type_of(source)
        if known.is_known and len(known.dims) >= 3 and graph.type_of(product.outputs[0]).shape == known.shape:
            found = _from_pool(graph, product, source, gate)
            if found is not None:
                return found
    return None


def _from_pool(graph: Graph, product: Node, source: str, gate: str) -> SqueezeExcite | None:
    nodes: list[Node] = [product]
    widths: list[int] = []
    value = gate
    for _ in range(_MAX_STEPS):
        step = step_back(graph, value)
        if step is None:
            return None
        nodes += step[0]
        node = step[0][-1]
        if step[1] == source and len(step[0]) == 1 and node.op_type in _POOLS:
            break
        if len(step[0]) == 1 and node.domain == "" and node.op_type in _LINEAR:
            weight = graph.type_of(node.inputs[1]).shape if len(node.inputs) > 1 else None
            width = weight[0 if node.op_type == "Conv" or node.attr("transB", 0) else -1] if weight else None
            widths.append(width or 0)
        elif len(step[0]) == 1 and node.op_type not in _THROUGH:
            return None
        value = step[1]
    else:
        return None
    channel = _channel_axis(graph, nodes[-1], source)
    if channel is None or not widths or not is_private(graph, nodes, [product.outputs[0]]):
        return None
    dims = graph.type_of(source).dims
    positions = tuple(size for axis, size in enumerate(dims) if axis not in (0, channel))
    return SqueezeExcite(tuple(nodes[::-1]), source, product.outputs[0], dims[channel], min(widths), positions)


def _channel_axis(graph: Graph, pool: Node, source: str) -> int | None:
    """The one axis beside the batch that the pool keeps, if it takes all others away."""
    before, after = graph.type_of(source), graph.type_of(pool.outputs[0])
    if not after.is_known:
        return None
    if pool.op_type == "AveragePool":
        return 1 if after.elements == before.dims[0] * before.dims[1] and before.elements > after.elements else None
    axes = reduced_axes(graph, pool)
    kept = [axis for axis in range(len(before.dims)) if axes is not None and axis not in axes]
    return kept[1] if len(kept) == 2 and kept[0] == 0 and axes else None
