"""Pixels put in the channels by Reshape and Transpose, as one convolution: chips without a Transpose run it."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.edits import stored
from onnxlint.patterns.forms import Form
from onnxlint.patterns.permutations import only_reader

_ORDERS = ([0, 1, 3, 5, 2, 4], [0, 3, 5, 1, 2, 4])
_MAX_CHANNELS = 64


def unshuffle(graph: Graph, node: Node) -> Iterator[Form]:
    """The Transpose of a space to depth, and the views around it, as a form of it."""
    if edits := unshuffled(graph, node):
        yield Form("space to depth as one strided convolution with ones and zeros", "exact", edits)


def unshuffled(graph: Graph, node: Node) -> tuple[Edit, ...]:
    """N×C×H×W cut in h×a×w×b, a and b moved beside the channels: each output channel is one pixel of a block."""
    first, last = graph.producer(node.inputs[0]), only_reader(graph, node.outputs[0])
    if node.op_type != "Transpose" or node.domain or first is None or last is None:
        return ()
    if first.op_type not in VIEWS or last.op_type not in VIEWS or only_reader(graph, first.outputs[0]) is not node:
        return ()
    before, cut, after = (graph.type_of(name) for name in (first.inputs[0], first.outputs[0], last.outputs[0]))
    if not (before.is_known and cut.is_known and after.is_known) or before.rank != 4 or cut.rank != 6:
        return ()
    (n, channels, high, wide), (_, _, h, a, w, b) = before.dims, cut.dims
    if list(node.ints("perm") or ()) not in _ORDERS or cut.dims[:2] != (n, channels) or (h * a, w * b) != (high, wide):
        return ()
    if after.dims != (n, channels * a * b, h, w) or channels * a * b > _MAX_CHANNELS:
        return ()
    weight = f"{last.outputs[0]}/pixels"
    return (
        *(Remove(one.key) for one in (first, node, last)),
        stored(weight, before.dtype, (channels * a * b, channels, a, b)),
        Insert("Conv", (first.inputs[0], weight), last.outputs[:1], (("kernel_shape", [a, b]), ("strides", [a, b]))),
    )
