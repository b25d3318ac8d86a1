"""Convolutions by their sizes, and the edits that put another one in their place so that it can be priced.

A standalone swap stands between two views, which cost nothing: one gives the new nodes their input at the width they
want, the other gives their readers the old width back. What changes is the kernel itself, nothing around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import stored
from onnxlint.tensor import TensorType, UnknownShape

_VIEW = "Flatten"


@dataclass(frozen=True, slots=True)
class ConvSizes:
    """A convolution's channels, groups and kernel; `in_pixels` and `out_pixels` count positions over the batch."""

    node: Node
    in_channels: int
    out_channels: int
    groups: int
    kernel: tuple[int, ...]
    in_pixels: int
    out_pixels: int

    @property
    def is_depthwise(self) -> bool:
        """One input channel a group."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def is_pointwise(self) -> bool:
        """A kernel of one position."""
        return max(self.kernel) == 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.out_pixels * self.weights

    @property
    def weights(self) -> int:
        """Elements of the weight."""
        return math.prod(self.kernel) * self.in_channels * self.out_channels // self.groups

    @property
    def accessed(self) -> int:
        """Memory access in elements: input, output and weight once each."""
        return self.in_pixels * self.in_channels + self.out_pixels * self.out_channels + self.weights

    def scaled(self, factor: float, groups: int = 1) -> ConvSizes:
        """Both widths times `factor`, rounded to what `groups` divides."""
        width = [max(groups, round(c * factor / groups) * groups) for c in (self.in_channels, self.out_channels)]
        return replace(self, in_channels=width[0], out_channels=width[1], groups=groups)


def sizes(graph: Graph, node: Node) -> ConvSizes | None:
    """The sizes of an ai.onnx Conv with constant weights; None for anything else and for unknown shapes."""
    if node.op_type != "Conv":
        return None
    found = _found(graph)
    if node.key not in found:
        found[node.key] = _sizes(graph, node)
    return found[node.key]


@lru_cache(maxsize=2)
def _found(graph: Graph) -> dict[str, ConvSizes | None]:
    """The sizes of the graph's convolutions, as far as they were asked for."""
    return {}


def _sizes(graph: Graph, node: Node) -> ConvSizes | None:
    if node.domain or len(node.inputs) < 2 or not graph.is_constant(node.inputs[1]):
        return None
    try:
        data, weight = graph.type_of(node.inputs[0]).dims, graph.type_of(node.inputs[1]).dims
        out = graph.type_of(node.outputs[0]).dims
    except UnknownShape:
        return None
    groups = node.attr("group", 1)
    if len(data) < 3 or len(weight) != len(data) or len(out) != len(data) or 0 in (*data, *weight, *out):
        return None
    if not isinstance(groups, int) or groups < 1 or weight[1] * groups != data[1] or weight[0] % groups:
        return None
    pixels = [shape[0] * math.prod(shape[2:]) for shape in (data, out)]
    return ConvSizes(node, data[1], weight[0], groups, weight[2:], *pixels)


@dataclass(frozen=True, slots=True)
class Swap:
    """Edits that put other nodes in place of `removed`; `keys` are the new nodes'."""

    removed: tuple[Node, ...]
    keys: tuple[str, ...]
    edits: tuple[Edit, ...]


def standalone(graph: Graph, nodes: Sequence[Node], new: ConvSizes, tag: str) -> Swap:
    """The convolution kernel `nodes` (the convolution first) at the sizes `new`; `tag` keeps its names apart."""
    conv, *followers = nodes
    data = _typed(graph, conv.inputs[0], new.in_channels)
    source = f"{conv.inputs[0]}~{tag}:{conv.key}"
    edits: list[Edit] = [Remove(node.key) for node in nodes]
    edits += [Declare(source, data), Insert(_VIEW, (conv.inputs[0],), (source,))]
    edits += _conv(graph, conv, new, source, f"{conv.outputs[0]}~{tag}", tag)
    renamed = {conv.outputs[0]: f"{conv.outputs[0]}~{tag}"}
    keys = [renamed[conv.outputs[0]]]
    for node in followers:
        inputs = []
        for name in node.inputs:
            if name and name not in renamed and not graph.is_constant(name):
                renamed[name] = f"{name}~{tag}:{node.key}"
                edits.append(Declare(renamed[name], _typed(graph, name, new.out_channels)))
                edits.append(Insert(_VIEW, (name,), (renamed[name],)))
            inputs.append(renamed.get(name, name))
        renamed |= {name: f"{name}~{tag}" for name in node.outputs}
        edits += [Declare(renamed[name], _typed(graph, name, new.out_channels)) for name in node.outputs]
        outputs = tuple(renamed[name] for name in node.outputs)
        edits.append(Insert(node.op_type, tuple(inputs), outputs, attributes_of(node), node.domain))
        keys.append(outputs[0])
    last = nodes[-1].outputs[0]
    edits += [Declare(last, graph.type_of(last)), Insert(_VIEW, (renamed[last],), (last,))]
    return Swap(tuple(nodes), tuple(keys), tuple(edits))


def plain_convolution(graph: Graph, nodes: Sequence[Node], shaped_by: Node, source: str, tag: str) -> Swap:
    """One dense convolution from `source`, with the window of `shaped_by`, writing what the first of the last run did.

    `nodes` are all that it replaces; those behind its own convolution's output keep their place.
    """
    window, out = sizes(graph, shaped_by), nodes[-1].outputs[0]
    channels = graph.type_of(out).dims[1]
    if window is None:
        raise UnknownShape
    new = replace(window, in_channels=graph.type_of(source).dims[1], out_channels=channels, groups=1)
    edits: list[Edit] = [Remove(node.key) for node in nodes]
    edits += _conv(graph, shaped_by, new, source, out, tag)
    return Swap(tuple(nodes), (out,), tuple(edits))


def _conv(graph: Graph, like: Node, new: ConvSizes, source: str, out: str, tag: str) -> list[Edit]:
    """A convolution with `like`'s window and bias at other widths, reading `source` and writing `out`."""
    dtype = graph.type_of(like.inputs[1]).dtype
    weight = f"{out}~{tag}.weight"
    shape = (new.out_channels, new.in_channels // new.groups, *new.kernel)
    edits: list[Edit] = [stored(weight, dtype, shape)]
    inputs = [source, weight]
    if len(like.inputs) > 2 and like.inputs[2]:
        inputs.append(f"{out}~{tag}.bias")
        edits.append(stored(inputs[2], dtype, (new.out_channels,)))
    known = graph.type_of(like.outputs[0])
    batch, _, *positions = known.dims
    edits.append(Declare(out, TensorType(known.dtype, (batch, new.out_channels, *positions))))
    attributes = tuple((k, v) for k, v in attributes_of(like) if k not in ("group", "kernel_shape"))
    attributes += (("group", new.groups), ("kernel_shape", list(new.kernel)))
    edits.append(Insert("Conv", tuple(inputs), (out,), attributes))
    return edits


def attributes_of(node: Node) -> tuple[tuple[str, object], ...]:
    """The node's attributes as an Insert takes them; an empty list says nothing and is left out."""
    found = ((name, node.attr(name)) for name in node.attributes)
    return tuple((name, value) for name, value in found if value != [])


def _typed(graph: Graph, name: str, channels: int) -> TensorType:
    known = graph.type_of(name)
    if known.shape is None or len(known.shape) < 2:
        return known
    return TensorType(known.dtype, (known.shape[0], channels, *known.shape[2:]))
