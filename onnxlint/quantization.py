"""Quantize/Dequantize pairs: which values a device reads as the integers behind them.

A model quantized in QDQ form says in floats what the device runs in integers. A DequantizeLinear whose readers all
become integer operators runs within them, and so does a QuantizeLinear within the operator before it (see kernels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxlint.device_tables import Fusion
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE, VIEWS
from onnxlint.tensor import QUANTIZED, dtype_bits

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN", "Attention"})
"""Operators that have an integer form whatever follows them."""
INTEGER_PRODUCTS = frozenset(
    {
        "QLinearConv", "ConvInteger", "QLinearConvTranspose", "QLinearMatMul", "MatMulInteger", "QGemm",
        "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QAttention",
    }
)  # fmt: skip
"""Operators that multiply integers themselves."""
_INTEGERS = QUANTIZED | {4, 5}
_MAX_VIEWS = 8
_THROUGH = ELEMENTWISE | VIEWS
_PARTS = VIEWS | {"Split"}


@dataclass(frozen=True, slots=True)
class IntegerForms:
    """The operators that a runtime runs on integers, and those of them that may give floats."""

    operators: frozenset[str]
    to_float: frozenset[str]


def forms_of(fusion: Fusion) -> IntegerForms | None:
    """The runtime's integer forms; None where everything between integers runs on them."""
    if fusion.integer_forms is None:
        return None
    return IntegerForms(frozenset(fusion.integer_forms), frozenset(fusion.integer_to_float))


def integer_sources(graph: Graph, forms: IntegerForms | None = None) -> Mapping[str, Node]:
    """Each float value that is read as integers → the DequantizeLinear behind it, through views.

    A runtime of stated `forms` gives each reader its own copy of a DequantizeLinear: one reader suffices there.
    """
    if not graph.has_dequantized:
        return {}
    takes = _readers_of_integers(graph, forms)
    enough = all if forms is None else any
    found: dict[str, Node] = {}
    for node in graph.compute_nodes:
        source = None
        if not node.inputs:
            continue
        if node.op_type == "DequantizeLinear" and graph.type_of(node.inputs[0]).dtype in _INTEGERS:
            source = node
        elif node.op_type in _PARTS and node.domain == "":
            source = found.get(node.inputs[0])
        if source is not None and all(
            name not in graph.is_output and enough(reader.key in takes for reader in graph.consumers(name))
            for name in node.outputs
        ):
            found |= dict.fromkeys(node.outputs, source)
    return found


def read_as_floats(graph: Graph, integers: Mapping[str, Node], forms: IntegerForms | None) -> frozenset[str]:
    """Those of `integers` that a reader needs as floats all the same."""
    if forms is None or not integers:
        return frozenset()
    takes = _readers_of_integers(graph, forms)
    return frozenset(name for name in integers if any(reader.key not in takes for reader in graph.consumers(name)))


def is_integer_product(graph: Graph, node: Node, integers: Mapping[str, Node]) -> bool:
    """Both factors of the convolution or product are integers; `integers` as of `integer_sources`.

    Weights that are stored as integers and multiplied with floats make none.
    """
    if node.op_type in INTEGER_PRODUCTS:
        return True
    if node.op_type not in PRODUCTS or len(node.inputs) < 2 or node.inputs[0] not in integers:
        return False
    weight = node.inputs[1]
    return weight in integers or _is_dequantized(graph, weight)


def _is_dequantized(graph: Graph, name: str) -> bool:
    """A constant behind a DequantizeLinear, through views."""
    for _ in range(_MAX_VIEWS):
        writer = graph.producer(name)
        if writer is None or not writer.inputs:
            return False
        if writer.op_type == "DequantizeLinear":
            return True
        if writer.op_type not in VIEWS | {"Transpose"}:
            return False
        name = writer.inputs[0]
    return False


def integer_bits(graph: Graph, source: Node) -> int:
    """Bits of one element of what the DequantizeLinear `source` reads."""
    return dtype_bits(graph.type_of(source.inputs[0]).dtype)


def is_same_grid(graph: Graph, quantize: Node, source: Node) -> bool:
    """The QuantizeLinear gives back the very integers that the DequantizeLinear read: same scale, zero point, type."""
    if graph.type_of(quantize.outputs[0]).dtype != graph.type_of(source.inputs[0]).dtype:
        return False
    ours, theirs = (*quantize.inputs[1:3], "")[:2], (*source.inputs[1:3], "")[:2]
    return all(_same(graph, a, b) for a, b in zip(ours, theirs, strict=True))


def _same(graph: Graph, a: str, b: str) -> bool:
    if a == b:
        return True
    left, right = graph.values.get(a), graph.values.get(b)
    return left is not None and right is not None and left.shape == right.shape and bool((left == right).all())


def _readers_of_integers(graph: Graph, forms: IntegerForms | None) -> set[str]:
    """The nodes that become integer operators: products, and those whose results are all quantized again."""
    alone = PRODUCTS if forms is None else forms.to_float
    ends: set[str] = set()
    for node in reversed(graph.compute_nodes):
        outputs = [name for name in node.outputs if name]
        is_quantized = bool(outputs) and all(
            name not in graph.is_output
            and (readers := graph.readers(name))
            and all(r.op_type == "QuantizeLinear" or (r.op_type in _THROUGH and r.key in ends) for r in readers)
            for name in outputs
        )
        if is_quantized and (forms is None or node.op_type in forms.operators):
            ends.add(node.key)
    products = {node.key for node in graph.compute_nodes if node.op_type in alone}
    directly = {node.key for node in graph.compute_nodes if node.op_type == "QuantizeLinear"}
    return ends | products | directly
