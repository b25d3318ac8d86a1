"""Concatenations of a row of layers: dense blocks (each layer reads all before), one-shot aggregation, cross-stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from onnxlint.graph import Graph, Node
from onnxlint.patterns.blocks import kernel_of
from onnxlint.patterns.permutations import only_reader
from onnxlint.patterns.residual import residuals
from onnxlint.patterns.walk import POINTWISE, between, data_inputs, row_back, writer

_MAX_LAYER = 24
_LEAST_LAYERS, _LEAST_CONVOLUTIONS = 3, 2
_MAX_OPERANDS, _MAX_PAST = 16, 6
_CUTS = frozenset({"Split", "Slice"})


@dataclass(frozen=True, slots=True)
class DenseBlock:
    """`layers` (the nodes of each) that each read the concatenation of all before; `joins` are the Concats."""

    source: str
    layers: tuple[tuple[Node, ...], ...]
    joins: tuple[Node, ...]
    features: tuple[str, ...]

    @property
    def output(self) -> str:
        """The last concatenation."""
        return self.joins[-1].outputs[0]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One Concat of a row of `features`, each made of the one before: one-shot aggregation (VoVNet)."""

    join: Node
    source: str
    features: tuple[str, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class CrossStage:
    """One Concat of a part of `source` that passes by, and of what blocks make of the other part (CSPNet)."""

    join: Node
    source: str
    nodes: tuple[Node, ...]
    through: int
    past: int


def _channel_concats(graph: Graph) -> Iterator[Node]:
    """Concatenations of images by channels, none of them empty or of unknown shape."""
    for node in graph.compute_nodes:
        if node.op_type != "Concat" or node.domain or int(node.attr("axis", 1)) % 4 != 1:
            continue
        types = [graph.type_of(name) for name in (*node.outputs[:1], *node.inputs)]
        if all(known.is_known and len(known.dims) == 4 and known.elements for known in types):
            yield node


# -- dense blocks ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def dense_blocks(graph: Graph) -> tuple[DenseBlock, ...]:
    """Every dense block of three or more layers, in execution order."""
    concats = list(_channel_concats(graph))
    grown: dict[str, tuple[Node | None, str, str]] = {}
    parents: dict[str, Node] = {}
    by_parts: dict[tuple[str, ...], Node] = {}
    for node in concats:
        step = _grown(graph, node, by_parts)
        by_parts[node.inputs] = node
        if step is not None:
            grown[node.key] = step
            if step[0] is not None:
                parents[step[0].key] = node
    blocks = []
    for node in concats:
        if node.key not in grown or node.key in parents:
            continue
        joins = [node]
        while (before := grown[joins[0].key][0]) is not None and before.key in grown:
            joins.insert(0, before)
        block = _block(graph, joins, grown)
        if block is not None:
            blocks.append(block)
    return tuple(blocks)


def _grown(graph: Graph, concat: Node, by_parts: dict[tuple[str, ...], Node]) -> tuple[Node | None, str, str] | None:
    """The Concat that this one adds a feature to (None for the first of a block), what was there, the feature.

    Either two operands, the last concatenation being one; or all earlier features over again and a new one.
    """
    names = concat.inputs
    if len(names) > 2 and (before := by_parts.get(names[:-1])) is not None:
        return (before, before.outputs[0], names[-1]) if _reads(graph, names[-1], before.outputs[0]) else None
    if len(names) > 2 and (before := by_parts.get(names[1:])) is not None:
        return (before, before.outputs[0], names[0]) if _reads(graph, names[0], before.outputs[0]) else None
    if len(names) != 2:
        return None
    for old, new in (names, names[::-1]):
        if old != new and _reads(graph, new, old):
            before = writer(graph, old)
            return (before if before is not None and before.op_type == "Concat" else None), old, new
    return None


def _reads(graph: Graph, feature: str, value: str) -> bool:
    """The feature is a row of layers, one convolution or more, on the value alone."""
    convolutions = 0
    for nodes, before in row_back(graph, feature, _MAX_LAYER):
        convolutions += nodes[0].op_type == "Conv"
        if before == value:
            return convolutions > 0
    return False


def _block(graph: Graph, joins: list[Node], grown: dict[str, tuple[Node | None, str, str]]) -> DenseBlock | None:
    if len(joins) < _LEAST_LAYERS:
        return None
    features = tuple(grown[join.key][2] for join in joins)
    layers = []
    for join, feature in zip(joins, features, strict=True):
        nodes = between(graph, feature, {grown[join.key][1]}, _MAX_LAYER)
        if not nodes:
            return None
        layers.append(tuple(nodes))
    return DenseBlock(grown[joins[0].key][1], tuple(layers), tuple(joins), features)


# -- one-shot aggregation, cross-stage partial -------------------------------------------------------------------------


@lru_cache(maxsize=2)
def aggregations(graph: Graph) -> tuple[Aggregation, ...]:
    """Every one-shot aggregation of three or more features that follow from each other, in execution order."""
    others = {join.key for block in dense_blocks(graph) for join in block.joins}
    others |= {stage.join.key for stage in cross_stages(graph)}
    found = (_aggregated(graph, node) for node in _channel_concats(graph) if node.key not in others)
    return tuple(one for one in found if one is not None)


def _aggregated(graph: Graph, concat: Node) -> Aggregation | None:
    at = graph.position
    written = [(at[node.key], name) for name in dict.fromkeys(concat.inputs) if (node := graph.producer(name))]
    names = [name for _, name in sorted(written)]
    run: list[str] = []
    nodes: list[Node] = []
    for before, after in pairwise(names):
        layer = between(graph, after, {before}, _MAX_LAYER)
        if layer and any(node.op_type == "Conv" for node in layer) and _is_row(graph, layer):
            run = run or [before]
            run.append(after)
            nodes += layer
        elif run:
            break
    if len(run) <= _LEAST_LAYERS - 1:
        return None
    return Aggregation(concat, run[0], tuple(run), (*nodes, concat))


@lru_cache(maxsize=2)
def cross_stages(graph: Graph) -> tuple[CrossStage, ...]:
    """Every stage that part of the channels passes by while the others go through blocks, in execution order."""
    dense = {join.key for block in dense_blocks(graph) for join in block.joins}
    concats = (node for node in _channel_concats(graph) if node.key not in dense and len(node.inputs) <= _MAX_OPERANDS)
    found = (_crossed(graph, node) for node in concats)
    return tuple(one for one in found if one is not None)


def _crossed(graph: Graph, concat: Node) -> CrossStage | None:
    names = list(dict.fromkeys(concat.inputs))
    for past in names:
        if only_reader(graph, past) is None:
            continue
        for source, cut in _origins(graph, past):
            through = max((n for n in names if n != past), key=lambda n: _written(graph, n), default="")
            body = between(graph, through, {source}) if through else None
            if not body or not _is_stage(graph, body):
                continue
            made = {name for node in (*body, *cut) for name in node.outputs}
            if made.issuperset(names):
                nodes = {node.key: node for node in (*cut, *body, concat)}
                ordered = sorted(nodes.values(), key=lambda node: graph.position[node.key])
                width = [graph.type_of(name).dims[1] for name in (through, past)]
                return CrossStage(concat, source, tuple(ordered), width[0], width[1])
    return None


def _written(graph: Graph, name: str) -> int:
    node = graph.producer(name)
    return graph.position[node.key] if node is not None else -1


def _origins(graph: Graph, value: str) -> Iterator[tuple[str, list[Node]]]:
    """What a by-pass starts from: a cut of a value, or a 1x1 convolution of it; with the nodes of the by-pass."""
    nodes: list[Node] = []
    convolutions = 0
    for step, before in row_back(graph, value, _MAX_PAST):
        node = step[0]
        nodes += step
        convolutions += node.op_type == "Conv"
        is_wide = node.op_type == "Conv" and max(kernel_of(graph, node), default=1) > 1
        if convolutions > 1 or is_wide or node.op_type not in POINTWISE | _CUTS | {"Conv", "Mul"}:
            return
        if node.op_type == "Conv" or node.op_type in _CUTS:
            yield before, list(nodes)


def _is_stage(graph: Graph, body: list[Node]) -> bool:
    """Convolutions with a residual sum or a concatenation of two values among them: blocks, not a row of layers."""
    if sum(node.op_type == "Conv" for node in body) < _LEAST_CONVOLUTIONS:
        return False
    joins = {residual.join.key for residual in residuals(graph)}
    return any(node.key in joins or (node.op_type == "Concat" and len(data_inputs(graph, node)) > 1) for node in body)


def _is_row(graph: Graph, layer: list[Node]) -> bool:
    """No sum or concatenation of two values among the nodes."""
    return all(node.op_type not in ("Add", "Concat") or len(data_inputs(graph, node)) < 2 for node in layer)
