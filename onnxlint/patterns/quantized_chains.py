"""Where the chain of integers in a quantized model breaks: floats that one kernel writes and the next reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.operators import VIEWS
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.edits import stored
from onnxlint.quantization import is_same_grid
from onnxlint.tensor import WIDE_FLOATS, TensorType

_PAIR = frozenset({"QuantizeLinear", "DequantizeLinear"})
_CLAMPS = frozenset({"Relu", "Clip"})
"""What the limits of an integer type do: no kernel of its own, whatever it follows."""


@dataclass(frozen=True, slots=True)
class Break:
    """A float value within the integer part of the graph that `readers` take as it is.

    `pair` is the DequantizeLinear that gives the same value quantized, where another reader has one already.
    """

    value: str
    writer: Node
    readers: tuple[Node, ...]
    pair: Node | None


def breaks(graph: Graph, kernel_of: Mapping[str, int]) -> Iterator[Break]:
    """The float values between two kernels that are computed from integers and end in integers again."""
    behind, before = _behind_integers(graph), _before_integers(graph)
    if not behind or not before:
        return
    seen: set[str] = set()
    for writer in graph.compute_nodes:
        if writer.op_type in _PAIR or writer.is_control_flow or (writer.op_type in VIEWS and not writer.domain):
            continue
        for value in writer.outputs:
            if value not in behind or graph.type_of(value).dtype not in WIDE_FLOATS:
                continue
            for name in _same_value(graph, value):
                if name in seen:
                    continue
                seen.add(name)
                readers = tuple(
                    node
                    for node in graph.readers(name)
                    if node.op_type not in _PAIR | VIEWS | _CLAMPS
                    and not node.is_control_flow
                    and before & {out for out in node.outputs if out}
                    and kernel_of.get(node.key) != kernel_of.get(writer.key)
                )
                if readers:
                    yield Break(name, writer, readers, _pair_of(graph, name))


def redundant_pairs(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """A DequantizeLinear with a QuantizeLinear behind it that gives back the very integers."""
    for quantize in graph.compute_nodes:
        if quantize.op_type != "QuantizeLinear" or quantize.outputs[0] in graph.is_output:
            continue
        source = graph.producer(quantize.inputs[0])
        if source is not None and source.op_type == "DequantizeLinear" and source.role == "compute":
            same = quantize.attr("axis", 1) == source.attr("axis", 1)
            if same and is_same_grid(graph, quantize, source):
                yield source, quantize


def mended(graph: Graph, found: list[Break], tag: str) -> tuple[Edit, ...]:
    """The edits that quantize each value where it is written and let its readers take that."""
    taken: dict[str, str] = {}
    edits: list[Edit] = []
    readers: dict[str, Node] = {}
    like = next(node for node in graph.compute_nodes if node.op_type == "QuantizeLinear")
    integers = graph.type_of(like.outputs[0]).dtype
    for one in found:
        readers |= {node.key: node for node in one.readers}
        if one.pair is not None:
            taken[one.value] = one.pair.outputs[0]
            continue
        known = graph.type_of(one.value)
        scale, whole, back = (f"{one.value}~{tag}.{word}" for word in ("scale", "integers", "back"))
        edits += [
            stored(scale, known.dtype, ()),
            Declare(whole, TensorType(integers, known.shape)),
            Declare(back, known),
            Insert("QuantizeLinear", (one.value, scale), (whole,)),
            Insert("DequantizeLinear", (whole, scale), (back,)),
        ]
        taken[one.value] = back
    values = {(one.value, node.key) for one in found for node in one.readers}
    for key, node in readers.items():
        inputs = tuple(taken[name] if (name, key) in values else name for name in node.inputs)
        edits += [Remove(key), Insert(node.op_type, inputs, node.outputs, attributes_of(node), node.domain)]
    return tuple(edits)


def without_pairs(graph: Graph, pairs: list[tuple[Node, Node]]) -> tuple[Edit, ...]:
    """The edits that let the readers of each pair take the integers before it."""
    edits: list[Edit] = []
    left: dict[str, set[str]] = {}
    for source, quantize in pairs:
        edits += [Remove(quantize.key), Reconnect(quantize.outputs[0], source.inputs[0])]
        left.setdefault(source.key, {node.key for node in graph.consumers(source.outputs[0])}).discard(quantize.key)
    unread = (key for key, readers in left.items() if not readers and graph.node(key).outputs[0] not in graph.is_output)
    return (*edits, *(Remove(key) for key in unread))


def _behind_integers(graph: Graph) -> set[str]:
    """The floats that are computed from a run-time DequantizeLinear, through floats alone."""
    found: set[str] = set()
    for node in graph.compute_nodes:
        if node.op_type == "QuantizeLinear":
            continue
        if node.op_type == "DequantizeLinear" or any(name in found for name in node.inputs):
            found.update(name for name in node.outputs if name)
    return found


def _before_integers(graph: Graph) -> set[str]:
    """The floats from which a run-time QuantizeLinear is reached, through floats alone."""
    found: set[str] = set()
    for node in reversed(graph.compute_nodes):
        if node.op_type == "DequantizeLinear":
            continue
        if node.op_type == "QuantizeLinear" or any(name in found for name in node.outputs):
            found.update(name for name in node.inputs if name and not graph.is_constant(name))
    return found


def _same_value(graph: Graph, value: str) -> Iterator[str]:
    """The value, and what views and clamps make of it."""
    pending = [value]
    while pending:
        name = pending.pop()
        yield name
        pending += [
            node.outputs[0]
            for node in graph.readers(name)
            if node.op_type in VIEWS | _CLAMPS and not node.domain and node.inputs[0] == name
        ]


def _pair_of(graph: Graph, value: str) -> Node | None:
    for quantize in graph.readers(value):
        if quantize.op_type == "QuantizeLinear" and quantize.inputs[0] == value:
            for node in graph.readers(quantize.outputs[0]):
                if node.op_type == "DequantizeLinear":
                    return node
    return None
