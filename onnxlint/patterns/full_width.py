"""Stages of residual blocks at full width, and the same with half the channels through the blocks (CSPNet)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.aggregation import cross_stages
from onnxlint.patterns.convolutions import attributes_of, sizes
from onnxlint.patterns.edits import stored
from onnxlint.patterns.parallel import merges
from onnxlint.patterns.residual import Residual, residuals
from onnxlint.patterns.walk import POINTWISE, is_private, row_back
from onnxlint.tensor import TensorType

_LEAST_BLOCKS = 2
_PARTS = frozenset({"Conv", "Add", "BatchNormalization", "Mul"}) | POINTWISE


@dataclass(frozen=True, slots=True)
class Stage:
    """Identity blocks of one shape, each on the result of the one before, and all their nodes."""

    blocks: tuple[Residual, ...]
    nodes: tuple[Node, ...]

    @property
    def source(self) -> str:
        """What the first block reads."""
        return self.blocks[0].source

    @property
    def output(self) -> str:
        """What the last block writes."""
        return self.blocks[-1].output


def stages(graph: Graph) -> Iterator[Stage]:
    """Every such run at full width."""
    closed = {node.key for stage in cross_stages(graph) for node in stage.nodes}
    closed |= {node.key for merge in merges(graph) for node in merge.nodes}
    runs: dict[str, list[Residual]] = {}
    for block in residuals(graph):
        if block.shortcut or block.join.key in closed or not _is_dense(graph, block):
            continue
        before = block.source
        for nodes, earlier in row_back(graph, block.source, 2):
            if before in runs or any(node.op_type not in POINTWISE for node in nodes):
                break
            before = earlier
        run = runs.pop(before, [])
        runs[block.output] = [*run, block]
    for run in runs.values():
        members = {node.key: node for block in run for node in (*block.body, block.join)}
        for block in run[1:]:
            members |= {
                node.key: node for step, _ in row_back(graph, block.source, 2) for node in step if _lies(run, step)
            }
        ordered = tuple(sorted(members.values(), key=lambda node: graph.position[node.key]))
        if len(run) >= _LEAST_BLOCKS and is_private(graph, ordered, [run[-1].output]):
            yield Stage(tuple(run), ordered)


def _lies(run: list[Residual], step: tuple[Node, ...]) -> bool:
    """The activation between two blocks of the run."""
    outputs = {block.output for block in run[:-1]}
    return any(name in outputs for node in step for name in node.inputs)


def _is_dense(graph: Graph, block: Residual) -> bool:
    """Convolutions of many channels with a window among them, and activations: nothing depthwise, no attention."""
    shape = graph.type_of(block.output).shape or ()
    if len(shape) != 4 or (shape[1] or 1) % 2 or any(node.op_type not in _PARTS for node in block.body):
        return False
    found = [sizes(graph, node) for node in block.body if node.op_type == "Conv"]
    known = [conv for conv in found if conv is not None]
    if len(known) < len(found) or any(conv.is_depthwise or conv.in_pixels != conv.out_pixels for conv in known):
        return False
    return any(not conv.is_pointwise for conv in known)


def half_width(graph: Graph, stage: Stage, tag: str) -> Iterator[Edit]:
    """The stage's nodes at half the width, between a split by two 1x1 convolutions and a Concat with a 1x1 behind."""
    out = graph.type_of(stage.output)
    channels = out.dims[1]
    names = {stage.source: f"{stage.output}~{tag}.in", stage.output: f"{stage.output}~{tag}.out"}
    yield from (Remove(node.key) for node in stage.nodes)
    past, joined = f"{stage.output}~{tag}.past", f"{stage.output}~{tag}.joined"
    yield from _pointwise(stage.source, channels // 2, names[stage.source], graph.type_of(stage.source))
    yield from _pointwise(stage.source, channels // 2, past, graph.type_of(stage.source))
    for node in stage.nodes:
        inputs = []
        for name in node.inputs:
            if name and graph.is_constant(name) and graph.type_of(name).is_known:
                half = f"{name}~{tag}:{node.key}"
                yield Declare(half, _halved_weight(graph, node, name), is_weight=True)
                inputs.append(half)
            else:
                inputs.append(names.get(name, name))
        for name in node.outputs:
            names.setdefault(name, f"{name}~{tag}")
            known = graph.type_of(name)
            if known.is_known and len(known.dims) > 1:
                yield Declare(
                    names[name], TensorType(known.dtype, (known.dims[0], known.dims[1] // 2, *known.dims[2:]))
                )
        given = attributes_of(node)
        if node.op_type == "Conv" and (groups := int(node.attr("group", 1))) > 1:
            given = (*((name, value) for name, value in given if name != "group"), ("group", groups // 2))
        yield Insert(node.op_type, tuple(inputs), tuple(names[name] for name in node.outputs), given, node.domain)
    yield Declare(joined, out)
    yield Insert("Concat", (names[stage.output], past), (joined,), (("axis", 1),))
    yield from _pointwise(joined, channels, stage.output, out)


def _halved_weight(graph: Graph, node: Node, name: str) -> TensorType:
    known = graph.type_of(name)
    dims = list(known.dims)
    if dims and dims[0] > 1:
        dims[0] //= 2
    if node.op_type == "Conv" and len(dims) == 4 and int(node.attr("group", 1)) == 1:
        dims[1] = max(1, dims[1] // 2)
    return TensorType(known.dtype, tuple(dims))


def _pointwise(source: str, channels: int, out: str, like: TensorType) -> Iterator[Edit]:
    """A 1x1 convolution with an activation behind it."""
    weight, linear = f"{out}.weight", f"{out}.linear"
    kind = TensorType(like.dtype, (like.dims[0], channels, *like.dims[2:]))
    yield stored(weight, like.dtype, (channels, like.dims[1], 1, 1))
    yield from (Declare(name, kind) for name in (linear, out))
    yield Insert("Conv", (source, weight), (linear,))
    yield Insert("Relu", (linear,), (out,))
