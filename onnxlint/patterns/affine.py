"""A scale and an offset per channel behind a linear operator: BatchNormalization, or Mul and Add with constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.edits import stored

_LINEAR = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_QUANTIZATION = frozenset({"DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear"})
_MAX_STEPS = 8


def affine_behind(graph: Graph, node: Node) -> list[Node]:
    """The nodes behind a convolution or product that fold into its weights and bias; none where nothing scales.

    Each is the only reader of what stands before it, and its operands are constants, one a channel or one for all: a
    MatMul's channels are its last axis, the others' axis 1.
    """
    if node.domain or node.op_type not in _LINEAR or len(node.inputs) < 2 or len(node.outputs) != 1:
        return []
    if not all(_is_plain(graph, name) for name in node.inputs[1:] if name):
        return []
    axis = _channel_axis(graph, node)
    if axis is None:
        return []
    found: list[Node] = []
    value, last_scale = node.outputs[0], 0
    while len(found) < _MAX_STEPS:
        reader = graph.sole_reader(value)
        if reader is None or reader.role != "compute" or not _is_affine(graph, reader, value, axis):
            break
        found.append(reader)
        if reader.op_type in ("BatchNormalization", "Mul", "Div"):
            last_scale = len(found)
        value = reader.outputs[0]
    # what stands behind the last scale is a bias alone: it goes along
    return found if last_scale else []


@lru_cache(maxsize=2)
def scaled(graph: Graph) -> Mapping[str, tuple[Node, tuple[Node, ...]]]:
    """Each node that folds so, by its key: the operator, and all that folds into it."""
    found = ((node, tuple(affine_behind(graph, node))) for node in graph.compute_nodes)
    return {follower.key: (node, behind) for node, behind in found for follower in behind}


def folded(graph: Graph, node: Node, behind: Sequence[Node]) -> tuple[Edit, ...]:
    """The operator with what stands behind it in its weights and bias; the new weights are stated without values."""
    out = behind[-1].outputs[0]
    weight, result = graph.type_of(node.inputs[1]), graph.type_of(out)
    channels = (result.shape or (None, None))[-1 if node.op_type == "MatMul" else 1]
    new_weight, new_bias = f"{out}/folded_weight", f"{out}/folded_bias"
    if node.op_type == "MatMul":
        shifted = any(follower.op_type not in ("Mul", "Div") for follower in behind)
        product = f"{out}/folded_product" if shifted else out
        return (
            Remove(node.key),
            *(Remove(follower.key) for follower in behind),
            Declare(new_weight, weight, is_weight=True),
            *((stored(new_bias, weight.dtype, (channels,)),) if shifted else ()),
            Declare(product, result),
            Insert("MatMul", (node.inputs[0], new_weight), (product,)),
            *((Insert("Add", (product, new_bias), (out,)),) if shifted else ()),
        )
    return (
        Remove(node.key),
        *(Remove(follower.key) for follower in behind),
        Declare(new_weight, weight, is_weight=True),
        stored(new_bias, weight.dtype, (channels,)),
        Insert(node.op_type, (node.inputs[0], new_weight, new_bias), (out,), attributes_of(node), node.domain),
    )


def _channel_axis(graph: Graph, node: Node) -> int | None:
    """The axis that the weights' outputs are on; None for a product of more than one matrix, and unknown ranks."""
    if node.op_type != "MatMul":
        return 1
    rank = graph.type_of(node.outputs[0]).rank
    return rank - 1 if rank is not None and rank > 1 and graph.type_of(node.inputs[1]).rank == 2 else None


def _is_plain(graph: Graph, name: str) -> bool:
    """A constant that is stored as it is used: scaling integers behind a Dequantize would change their grid."""
    writer = graph.producer(name)
    return graph.is_constant(name) and (writer is None or writer.op_type not in _QUANTIZATION)


def _is_affine(graph: Graph, node: Node, value: str, axis: int) -> bool:
    if node.domain or any(node.outputs[1:]):
        return False
    if node.op_type == "BatchNormalization":
        is_eval = not node.attr("training_mode", 0) and node.attr("spatial", 1) == 1
        return (
            axis == 1
            and is_eval
            and node.inputs[0] == value
            and all(_is_plain(graph, name) for name in node.inputs[1:])
        )
    if node.op_type not in ("Mul", "Div", "Add", "Sub") or len(node.inputs) != 2:
        return False
    if node.inputs[0] != value and (node.inputs[1] != value or node.op_type in ("Div", "Sub")):
        return False
    other = node.inputs[1] if node.inputs[0] == value else node.inputs[0]
    return other != value and _is_plain(graph, other) and _is_per_channel(graph, other, value, axis)


def _is_per_channel(graph: Graph, constant: str, value: str, channels: int) -> bool:
    """The constant has one number a channel (that axis of the value), or one for all."""
    known, shape = graph.type_of(constant).shape, graph.type_of(value).shape
    if known is None or shape is None or len(known) > len(shape) or len(shape) < 2:
        return False
    aligned = (1,) * (len(shape) - len(known)) + tuple(known)
    is_alike = aligned[channels] in (1, shape[channels])
    return is_alike and all(size == 1 for axis, size in enumerate(aligned) if axis != channels)
