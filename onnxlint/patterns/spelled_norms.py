"""Normalizations over features: LayerNormalization and its like as operators, or spelled out from their means."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from onnxlint.finding import Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.edits import stored
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.placement import cause
from onnxlint.patterns.walk import data_inputs, is_private, reduced_axes, writer
from onnxlint.support import SupportTable

_FUSED = {
    "LayerNormalization": "LayerNorm",
    "SimplifiedLayerNormalization": "RMSNorm",
    "RMSNormalization": "RMSNorm",
    "GroupNormalization": "GroupNorm",
    "GroupNorm": "GroupNorm",
    "SkipLayerNormalization": "LayerNorm",
}


@dataclass(frozen=True, slots=True)
class Normalization:
    """`nodes` normalize `source` along `axes`; `scale` and `bias` are constants or "". `is_fused`: one operator."""

    kind: str
    nodes: tuple[Node, ...]
    source: str
    output: str
    axes: tuple[int, ...] = ()
    scale: str = ""
    bias: str = ""
    is_fused: bool = field(default=True)

    def fused(self, graph: Graph) -> tuple[Edit, ...]:
        """One LayerNormalization in place of the nodes; none where there is no such operator for it."""
        known = graph.type_of(self.source)
        rank = known.rank or 0
        if self.is_fused or self.kind != "LayerNorm" or list(self.axes) != list(range(self.axes[0], rank)):
            return ()
        scale = self.scale or f"{self.output}/scale"
        edits: list[Edit] = [Remove(node.key) for node in self.nodes]
        if not self.scale:
            edits.append(stored(scale, known.dtype, known.dims[self.axes[0] :]))
        inputs = (self.source, scale, self.bias) if self.bias else (self.source, scale)
        given = (("axis", self.axes[0] - rank),)
        return (*edits, Insert("LayerNormalization", inputs, (self.output,), given))


@lru_cache(maxsize=2)
def normalizations(graph: Graph) -> tuple[Normalization, ...]:
    """Every LayerNorm, RMSNorm and GroupNorm, in execution order."""
    found: list[Normalization] = []
    for node in graph.compute_nodes:
        one: Normalization | None = None
        if node.op_type in _FUSED and node.inputs and node.outputs:
            out = node.outputs[0]
            one = Normalization(_FUSED[node.op_type], (node,), node.inputs[0], out, _axes_of(graph, node))
        elif node.op_type == "Sqrt" and not node.domain:
            one = _spelled(graph, node)
        elif node.op_type == "InstanceNormalization" and not node.domain:
            one = _by_groups(graph, node)
        if one is not None:
            found.append(one)
    return tuple(found)


def _axes_of(graph: Graph, node: Node) -> tuple[int, ...]:
    rank = graph.type_of(node.inputs[0]).rank or 0
    axis = node.attr("axis", -1)
    return tuple(range(axis % rank, rank)) if rank else ()


def _spelled(graph: Graph, root: Node) -> Normalization | None:
    """x or x minus its mean, over the root of the mean of its squares and a small number.

    "SimpleNorm": x as it is over the root of its variance, or the variance of a sample (times n, over n - 1).
    """
    shifted = writer(graph, root.inputs[0])
    if shifted is None or shifted.op_type != "Add" or len(data_inputs(graph, shifted)) != 1:
        return None
    scaled = _scaled(graph, data_inputs(graph, shifted)[0])
    mean = writer(graph, data_inputs(graph, scaled[-1] if scaled else shifted)[0])
    if mean is None or mean.op_type != "ReduceMean":
        return None
    square = writer(graph, mean.inputs[0])
    if square is None:
        return None
    centred = square.inputs[0]
    is_square = square.op_type == "Mul" and square.inputs[0] == square.inputs[1]
    if square.op_type == "Pow" and (power := graph.values.get(square.inputs[1])) is not None:
        is_square = power.size == 1 and float(power.reshape(-1)[0]) == 2
    if not is_square:
        return None
    nodes = [square, mean, *scaled, shifted, root]
    difference = writer(graph, centred)
    whole = difference.inputs[0] if difference is not None and difference.op_type == "Sub" else ""
    divided = _divided(graph, root, centred, nodes)
    is_simple = divided is None or bool(scaled)
    divided = divided or (_divided(graph, root, whole, nodes) if whole else None)
    if divided is None:
        return None
    source, kind = centred, "RMSNorm"
    if difference is not None and difference.op_type == "Sub":
        average = writer(graph, difference.inputs[1])
        same = average is not None and average.op_type == "ReduceMean" and average.inputs[0] == difference.inputs[0]
        if average is not None and same and reduced_axes(graph, average) == reduced_axes(graph, mean):
            source, kind = difference.inputs[0], "SimpleNorm" if is_simple else "LayerNorm"
            nodes = [average, difference, *nodes]
    # some exports compute the difference twice, once for the squares and once for the quotient
    output, scale, bias = _affine(graph, divided, nodes)
    axes = reduced_axes(graph, mean)
    if is_simple and kind != "SimpleNorm":
        return None
    if not axes or not is_private(graph, nodes, [output]):
        return None
    ordered = sorted({node.key: node for node in nodes}.values(), key=lambda node: graph.position[node.key])
    return Normalization(kind, tuple(ordered), source, output, tuple(axes), scale, bias, is_fused=False)


def _scaled(graph: Graph, value: str) -> list[Node]:
    """The last of two products or quotients by constants that a sample's variance takes, the last first; or none."""
    found: list[Node] = []
    while len(found) < 2 and (node := writer(graph, value)) is not None and node.op_type in ("Mul", "Div"):
        constants = [name for name in node.inputs if graph.is_constant(name)]
        sizes = [graph.type_of(name).shape for name in constants]
        if sizes not in ([()], [(1,)]) or graph.is_constant(node.inputs[0]):
            return []
        found.append(node)
        value = node.inputs[0]
    return found


def _divided(graph: Graph, root: Node, centred: str, nodes: list[Node]) -> str | None:
    """The value over the root, and the nodes of the division."""
    reader = only_reader(graph, root.outputs[0])
    if reader is not None and reader.op_type in ("Reciprocal", "Div") and centred not in reader.inputs:
        numerator = reader.inputs[0]
        if reader.op_type == "Div" and (not graph.is_constant(numerator) or reader.inputs[1] != root.outputs[0]):
            return None
        nodes.append(reader)
        reader = only_reader(graph, reader.outputs[0])
        if reader is None or reader.op_type != "Mul":
            return None
    elif reader is None or reader.op_type != "Div" or reader.inputs[1] != root.outputs[0]:
        return None
    if centred not in reader.inputs:
        return None
    nodes.append(reader)
    return reader.outputs[0]


def _affine(graph: Graph, value: str, nodes: list[Node]) -> tuple[str, str, str]:
    """The value after a constant scale and bias, where they follow, and their names."""
    names = {"Mul": "", "Add": ""}
    for op in names:
        reader = only_reader(graph, value)
        cast = reader if reader is not None and reader.op_type == "Cast" else None
        if cast is not None:
            reader = only_reader(graph, cast.outputs[0])
        if reader is None or reader.op_type != op:
            continue
        constants = [name for name in reader.inputs if graph.is_constant(name)]
        if len(constants) == 1 and (graph.type_of(constants[0]).rank or 0) <= 1:
            names[op] = constants[0]
            nodes += [cast, reader] if cast is not None else [reader]
            value = reader.outputs[0]
    return value, names["Mul"], names["Add"]


def _by_groups(graph: Graph, node: Node) -> Normalization | None:
    """InstanceNormalization of channels joined to groups by a view, and the view back: GroupNorm."""
    before, after = writer(graph, node.inputs[0]), only_reader(graph, node.outputs[0])
    if before is None or after is None or before.op_type not in VIEWS or after.op_type not in VIEWS:
        return None
    if graph.type_of(before.inputs[0]).shape != graph.type_of(after.outputs[0]).shape:
        return None
    nodes = [before, node, after]
    output = after.outputs[0]
    for op in ("Mul", "Add"):
        reader = only_reader(graph, output)
        if reader is not None and reader.op_type == op and len(data_inputs(graph, reader)) == 1:
            nodes.append(reader)
            output = reader.outputs[0]
    if not is_private(graph, nodes, [output]):
        return None
    return Normalization("GroupNorm", tuple(nodes), before.inputs[0], output, is_fused=False)


def is_of_images(graph: Graph) -> bool:
    """Some convolution is over a map."""
    return any(n.op_type == "Conv" and len(graph.type_of(n.outputs[0]).shape or ()) == 4 for n in graph.compute_nodes)


def leaving_norms(graph: Graph, table: SupportTable) -> tuple[Normalization, ...]:
    """Those whose one operator the device lacks; spelled-out ones leave in parts, which have forms of their own."""

    def is_lacking(node: Node) -> bool:
        is_norm = node.op_type.endswith("Normalization")
        return is_norm and cause(graph, table, node, table.of(graph, node)) == "operator"

    return tuple(one for one in normalizations(graph) if any(map(is_lacking, one.nodes)))
