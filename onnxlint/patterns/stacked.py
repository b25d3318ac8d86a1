"""Convolutions of one input whose results a Concat puts side by side: one convolution with their weights stacked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.activations import UNIFORM
from onnxlint.patterns.convolutions import attributes_of, sizes
from onnxlint.patterns.edits import stored
from onnxlint.tensor import TensorType


@dataclass(frozen=True, slots=True)
class _Branch:
    conv: Node
    activation: Node | None
    value: str

    @property
    def likeness(self) -> tuple[object, ...]:
        """What two branches must share to be one convolution."""
        activation = (self.activation.op_type, attributes_of(self.activation)) if self.activation else None
        options = tuple(sorted((k, repr(v)) for k, v in attributes_of(self.conv) if k not in ("kernel_shape", "group")))
        return (self.conv.inputs[0], len(self.conv.inputs), options, repr(activation))


def stacked(graph: Graph, concat: Node, tag: str) -> Iterator[Edit]:
    """The edits that stack runs of like branches of a Concat over channels; none where there is no such run."""
    if concat.op_type != "Concat" or concat.attr("axis") != 1:
        return
    branches = [_branch(graph, name, concat) for name in concat.inputs]
    keyed = [(*b.likeness, sizes(graph, b.conv).kernel) if b else i for i, b in enumerate(branches)]  # type: ignore[union-attr]
    joined: list[str] = []
    edits: list[Edit] = []
    for _, run in groupby(range(len(keyed)), key=lambda i: keyed[i]):
        members = [(i, branches[i]) for i in run]
        first = members[0][1]
        if len(members) < 2 or first is None:
            joined += [concat.inputs[i] for i, _ in members]
            continue
        name = f"{first.value}~{tag}.stacked"
        edits += _stack(graph, [b for _, b in members if b is not None], name)
        joined.append(name)
    if not edits:
        return
    yield from edits
    yield Remove(concat.key)
    if len(joined) > 1:
        yield Insert("Concat", tuple(joined), concat.outputs, attributes_of(concat))
    else:
        yield Reconnect(concat.outputs[0], joined[0])


def _branch(graph: Graph, name: str, concat: Node) -> _Branch | None:
    """The dense convolution, with its activation, whose result only the Concat reads."""
    last = graph.producer(name)
    if last is None or graph.sole_reader(name) is not concat or concat.inputs.count(name) > 1:
        return None
    activation = last if last.op_type in UNIFORM else None
    conv = graph.producer(last.inputs[0]) if activation is not None else last
    if conv is None or (activation is not None and graph.sole_reader(conv.outputs[0]) is not activation):
        return None
    found = sizes(graph, conv)
    return _Branch(conv, activation, name) if found is not None and found.groups == 1 else None


def _stack(graph: Graph, branches: list[_Branch], out: str) -> Iterator[Edit]:
    """One convolution, and one activation where they have one, in place of the branches; `out` is what it writes."""
    first = branches[0]
    yield from (Remove(n.key) for b in branches for n in (b.conv, b.activation) if n is not None)
    weights = [graph.type_of(branch.conv.inputs[1]).dims for branch in branches]
    channels = sum(shape[0] for shape in weights)
    known = graph.type_of(first.value)
    batch, _, *positions = known.dims
    kind = TensorType(known.dtype, (batch, channels, *positions))
    inputs = [first.conv.inputs[0], f"{out}.weight"]
    yield stored(inputs[1], known.dtype, (channels, *weights[0][1:]))
    if len(first.conv.inputs) > 2:
        inputs.append(f"{out}.bias")
        yield stored(inputs[2], known.dtype, (channels,))
    result = out if first.activation is None else f"{out}.conv"
    yield from (Declare(name, kind) for name in {result, out})
    yield Insert("Conv", tuple(inputs), (result,), attributes_of(first.conv))
    if first.activation is not None:
        yield Insert(first.activation.op_type, (result,), (out,), attributes_of(first.activation))
