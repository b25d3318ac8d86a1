"""Depthwise convolutions of several windows over parts of one map, joined again, as one of the largest window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.channel_axis import slices_of
from onnxlint.patterns.convolutions import ConvSizes, attributes_of, sizes
from onnxlint.tensor import TensorType

_ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Softplus"})
_WINDOW = ("group", "kernel_shape", "pads")


@dataclass(frozen=True, slots=True)
class MixedDepthwise:
    """`convs` with their activations over all parts of `source`, and the cuts, make `output`; `largest` holds all."""

    convs: tuple[ConvSizes, ...]
    nodes: tuple[Node, ...]
    activation: Node | None
    source: str
    output: str
    largest: ConvSizes

    @property
    def macs(self) -> int:
        """Multiply-accumulates as one convolution of the largest window."""
        return self.largest.macs // self.largest.out_channels * sum(conv.out_channels for conv in self.convs)

    def edits(self, graph: Graph, tag: str) -> tuple[Edit, ...]:
        """One depthwise convolution, smaller windows padded with zeros, in place of all. Exact."""
        conv, out = self.largest.node, graph.type_of(self.output)
        channels, dtype = out.dims[1], graph.type_of(conv.inputs[1]).dtype
        weight, bias, linear = (f"{self.output}~{tag}.{word}" for word in ("weight", "bias", "linear"))
        written = self.output if self.activation is None else linear
        given = tuple((name, value) for name, value in attributes_of(conv) if name not in _WINDOW)
        pads = list(conv.attr("pads", None) or [0] * 2 * len(self.largest.kernel))
        given += (("group", channels), ("kernel_shape", list(self.largest.kernel)), ("pads", pads))
        has_bias = any(len(one.node.inputs) > 2 for one in self.convs)
        edits: list[Edit] = [Remove(node.key) for node in self.nodes]
        edits += [
            Declare(weight, TensorType(dtype, (channels, 1, *self.largest.kernel)), is_weight=True),
            Declare(bias, TensorType(dtype, (channels,)), is_weight=True),
            Declare(written, out),
            Insert("Conv", (self.source, weight, bias) if has_bias else (self.source, weight), (written,), given),
        ]
        if self.activation is not None:
            active = self.activation
            edits.append(Insert(active.op_type, (linear, *active.inputs[1:]), (self.output,), attributes_of(active)))
        return tuple(edits)


def mixed_depthwise(graph: Graph, concat: Node) -> MixedDepthwise | None:
    """Of a Concat over channels of depthwise convolutions that read all parts of one map in their order; else None."""
    if concat.op_type != "Concat" or concat.attr("axis") != 1 or len(concat.inputs) < 2:
        return None
    convs: list[ConvSizes] = []
    nodes: dict[str, Node] = {concat.key: concat}
    likeness: set[object] = set()
    sources: set[str] = set()
    taken: list[int] = []
    active: Node | None = None
    for name in concat.inputs:
        last = graph.producer(name)
        active = last if last is not None and last.op_type in _ACTIVATIONS else None
        node = graph.producer(active.inputs[0]) if active is not None else last
        conv = sizes(graph, node) if node is not None else None
        part = slices_of(graph, node.inputs[0], 1) if node is not None and conv is not None else None
        if node is None or conv is None or part is None or not conv.is_depthwise or not _is_alone(graph, name, concat):
            return None
        if conv.in_channels != conv.out_channels or (active is not None and not _is_alone(graph, active.inputs[0])):
            return None
        convs.append(conv)
        sources.add(part[0])
        taken += [int(place) for place in part[1]]
        likeness.add(_likeness(node, active))
        nodes |= {one.key: one for one in (node, active) if one is not None}
    source = sources.pop()
    known = graph.type_of(source)
    if sources or len(likeness) > 1 or None in likeness or taken != list(range(known.dims[1])):
        return None
    largest = max(convs, key=lambda conv: conv.kernel)
    if not all(_holds(largest, conv) for conv in convs):
        return None
    for conv in convs:
        cut = graph.producer(conv.node.inputs[0])
        if cut is None or any(r.key not in nodes for out in cut.outputs for r in graph.consumers(out)):
            return None
        nodes[cut.key] = cut
    return MixedDepthwise(tuple(convs), tuple(nodes.values()), active, source, concat.outputs[0], largest)


def _is_alone(graph: Graph, name: str, reader: Node | None = None) -> bool:
    sole = graph.sole_reader(name)
    return sole is not None and (reader is None or sole is reader)


def _likeness(conv: Node, active: Node | None) -> object:
    """What the convolutions must share; None for one that is placed by itself or spread out."""
    if conv.attr("auto_pad", b"NOTSET") != b"NOTSET" or {*(conv.attr("dilations", None) or [1])} != {1}:
        return None
    told = (active.op_type, repr(attributes_of(active)), active.inputs[1:]) if active is not None else ()
    return tuple(conv.attr("strides", None) or (1, 1)), told


def _holds(largest: ConvSizes, conv: ConvSizes) -> bool:
    """The window lies inside the largest at every position."""
    rank = len(conv.kernel)
    if len(largest.kernel) != rank:
        return False
    wide, own = ((one.node.attr("pads", None) or [0] * 2 * rank)[:rank] for one in (largest, conv))
    offsets = np.subtract(wide, own)
    return bool((offsets >= 0).all() and (offsets + conv.kernel <= largest.kernel).all())
