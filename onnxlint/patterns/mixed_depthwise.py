"""Depthwise convolutions of several windows over parts of one map, joined again, as one of the largest window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.activations import UNIFORM
from onnxlint.patterns.channel_axis import slices_of
from onnxlint.patterns.convolutions import ConvSizes, attributes_of, sizes
from onnxlint.patterns.edits import stored

_WINDOW = ("group", "kernel_shape", "pads")


@dataclass(frozen=True, slots=True)
class _Branch:
    """A depthwise convolution of places `taken` of `source`, the nodes around it, and all its padding."""

    conv: ConvSizes
    nodes: tuple[Node, ...]
    activation: Node | None
    source: str
    taken: tuple[int, ...]
    pads: tuple[int, ...]

    @property
    def likeness(self) -> object:
        """What the branches must share."""
        active, node = self.activation, self.conv.node
        told = (active.op_type, repr(attributes_of(active)), active.inputs[1:]) if active is not None else ()
        return self.source, tuple(node.attr("strides", None) or (1, 1)), len(node.inputs), len(self.conv.kernel), told


@dataclass(frozen=True, slots=True)
class MixedDepthwise:
    """The branches, all `nodes` of them with the cuts and the Concat, and the branch whose window holds all others."""

    branches: tuple[_Branch, ...]
    nodes: tuple[Node, ...]
    largest: _Branch
    output: str

    @property
    def windows(self) -> tuple[tuple[int, ...], ...]:
        """The branches' windows in order."""
        return tuple(branch.conv.kernel for branch in self.branches)

    @property
    def macs(self) -> int:
        """Multiply-accumulates as one convolution of the largest window."""
        conv = self.largest.conv
        return conv.macs // conv.out_channels * sum(branch.conv.out_channels for branch in self.branches)

    def edits(self, graph: Graph, tag: str) -> tuple[Edit, ...]:
        """One depthwise convolution, the smaller windows padded with zeros, in place of all. Exact."""
        conv, active, out = self.largest.conv, self.largest.activation, graph.type_of(self.output)
        channels, dtype = out.dims[1], graph.type_of(conv.node.inputs[1]).dtype
        weight, bias, linear = (f"{self.output}~{tag}.{word}" for word in ("weight", "bias", "linear"))
        written = self.output if active is None else linear
        inputs = (self.largest.source, weight, bias)[: len(conv.node.inputs)]
        given = tuple((name, value) for name, value in attributes_of(conv.node) if name not in _WINDOW)
        window = (("group", channels), ("kernel_shape", list(conv.kernel)), ("pads", list(self.largest.pads)))
        edits: list[Edit] = [Remove(node.key) for node in self.nodes]
        edits += [
            stored(weight, dtype, (channels, 1, *conv.kernel)),
            stored(bias, dtype, (channels,)),
            Declare(written, out),
            Insert("Conv", inputs, (written,), (*given, *window)),
        ]
        if active is not None:
            edits.append(Insert(active.op_type, (linear, *active.inputs[1:]), (self.output,), attributes_of(active)))
        return tuple(edits)


def mixed_depthwise(graph: Graph, concat: Node) -> MixedDepthwise | None:
    """Of a Concat over channels of depthwise convolutions that read all parts of one map in their order; else None."""
    if concat.op_type != "Concat" or concat.attr("axis") != 1 or len(concat.inputs) < 2:
        return None
    found = [_branch(graph, name, concat) for name in concat.inputs]
    branches = tuple(branch for branch in found if branch is not None)
    if len(branches) < len(found) or len({branch.likeness for branch in branches}) > 1:
        return None
    known = graph.type_of(branches[0].source)
    if [place for branch in branches for place in branch.taken] != list(range(known.dims[1])):
        return None
    largest = max(branches, key=lambda branch: branch.conv.kernel)
    nodes = {node.key: node for branch in branches for node in branch.nodes} | {concat.key: concat}
    inner = [name for node in nodes.values() if node is not concat for name in node.outputs]
    is_own = all(reader.key in nodes for name in inner for reader in graph.readers(name))
    if not is_own or graph.is_output & {*inner} or not all(_holds(largest, branch) for branch in branches):
        return None
    return MixedDepthwise(branches, tuple(nodes.values()), largest, concat.outputs[0])


def _branch(graph: Graph, name: str, concat: Node) -> _Branch | None:
    last = graph.producer(name)
    if last is None or graph.sole_reader(name) is not concat:
        return None
    active = last if last.op_type in UNIFORM else None
    node = graph.producer(active.inputs[0]) if active is not None else last
    conv = sizes(graph, node) if node is not None else None
    if node is None or conv is None or not conv.is_depthwise or conv.in_channels != conv.out_channels:
        return None
    if node.attr("auto_pad", b"NOTSET") != b"NOTSET" or {*(node.attr("dilations", None) or [1])} != {1}:
        return None
    value, pads = node.inputs[0], np.array(node.attr("pads", None) or [0] * 2 * len(conv.kernel))
    before = graph.producer(value)
    more = _zeros(graph, before) if before is not None else None
    if before is not None and more is not None and len(more) == len(pads):
        value, pads = before.inputs[0], pads + more
    part, cut = slices_of(graph, value, 1), graph.producer(value)
    if part is None or cut is None:
        return None
    own = [one for one in (cut, before, node, active) if one is not None]
    return _Branch(
        conv, tuple(own), active, part[0], tuple(int(place) for place in part[1]), tuple(int(pad) for pad in pads)
    )


def _zeros(graph: Graph, node: Node) -> list[int] | None:
    """What a Pad by zeros adds to the positions alone; None for another node."""
    if node.op_type != "Pad" or node.attr("mode", b"constant") != b"constant" or len(node.inputs) not in (2, 3):
        return None
    amounts = graph.values.get(node.inputs[1])
    filled = graph.values.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(1)
    if amounts is None or filled is None or filled.any() or amounts.size % 2:
        return None
    begin, end = ([int(one) for one in half] for half in np.split(amounts.reshape(-1), 2))
    return [*begin[2:], *end[2:]] if not any((*begin[:2], *end[:2])) and min((*begin, *end)) >= 0 else None


def _holds(largest: _Branch, branch: _Branch) -> bool:
    """The window lies inside the largest at every position."""
    rank = len(branch.conv.kernel)
    offsets = np.subtract(largest.pads[:rank], branch.pads[:rank])
    return bool((offsets >= 0).all() and (offsets + branch.conv.kernel <= largest.conv.kernel).all())
