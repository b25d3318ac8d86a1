"""How a quantized model quantizes: each tensor's element type, granularity and symmetry, in QDQ and operator form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnxlint.graph import Graph, Node
from onnxlint.tensor import QUANTIZED, dtype_name

# Positions of (data, scale, zero point) of the inputs, then of the output's (scale, zero point).
_OPERANDS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "QLinearConv": ((0, 1, 2), (3, 4, 5)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5)),
    "QGemm": ((0, 1, 2), (3, 4, 5)),
    "DequantizeLinear": ((0, 1, 2),),
}
_INTEGERS = QUANTIZED | {4, 5}


@dataclass(frozen=True, slots=True)
class QuantizedTensor:
    """One quantized operand of `node`; `is_asymmetric` where its zero point is known not to be 0."""

    node: Node
    is_weight: bool
    dtype: str
    is_per_channel: bool
    is_asymmetric: bool

    @property
    def is_signed(self) -> bool:
        """The element type has negative values."""
        return not self.dtype.startswith("uint")


def quantized_tensors(graph: Graph) -> Iterator[QuantizedTensor]:
    """The operands of a quantized model, each where it is read; biases and what stays unknown left out."""
    for node in graph.nodes:
        if node.role == "shape":
            continue
        if node.op_type == "QuantizeLinear" and node.role == "compute":
            yield from _tensor(graph, node, node.outputs[0], node.inputs[1:3], is_weight=False)
        elif node.op_type == "MatMulNBits":
            yield QuantizedTensor(node, True, f"int{node.attr('bits', 4)}", True, False)
        for data, scale, zero in _OPERANDS.get(node.op_type, ()):
            if len(node.inputs) > scale:
                is_weight = graph.is_constant(node.inputs[data])
                quantization = (node.inputs[scale], *node.inputs[zero : zero + 1])
                yield from _tensor(graph, node, node.inputs[data], quantization, is_weight=is_weight)


def _tensor(
    graph: Graph, node: Node, data: str, quantization: tuple[str, ...], *, is_weight: bool
) -> Iterator[QuantizedTensor]:
    dtype = graph.type_of(data).dtype
    if dtype not in _INTEGERS or len(quantization) < 1:
        return
    scale = graph.type_of(quantization[0])
    zero = graph.values.get(quantization[1]) if len(quantization) > 1 and quantization[1] else None
    is_asymmetric = zero is not None and bool((zero != 0).any())
    yield QuantizedTensor(node, is_weight, dtype_name(dtype), scale.is_known and scale.elements > 1, is_asymmetric)
