"""Where a fixed permutation of channels disappears into constant weights, before or behind the place it is made."""

from __future__ import annotations

from onnxlint.graph import Graph, Node
from onnxlint.patterns.operands import integers_of

UNARY = frozenset(
    {
        "Relu", "Clip", "Sigmoid", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Selu", "Celu", "Tanh", "Erf",
        "Gelu", "Softplus", "Softsign", "Mish", "Abs", "Exp", "Neg", "Sqrt", "Identity", "Dropout", "Cast",
    }
)  # fmt: skip
"""Operators that treat every channel alike: a permutation passes them."""
_PER_CHANNEL = frozenset({"BatchNormalization", "PRelu"})
_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "GlobalLpPool"})
_MAX_STEPS = 64


def only_reader(graph: Graph, value: str) -> Node | None:
    """The one node that reads the value's data at run time; those that read its shape alone do not count."""
    readers = graph.readers(value)
    return readers[0] if len(readers) == 1 and value not in graph.is_output else None


def is_dense(graph: Graph, node: Node) -> bool:
    """A convolution of one group with constant weights, or a Gemm: every output reads every channel."""
    if len(node.inputs) < 2 or node.domain or not graph.is_constant(node.inputs[1]):
        return False
    return node.op_type == "Gemm" or (node.op_type == "Conv" and int(node.attr("group", 1)) == 1)


def is_depthwise(graph: Graph, node: Node) -> bool:
    """A convolution that filters each channel by itself, one output a channel, with constant weights."""
    if node.op_type != "Conv" or node.domain or len(node.inputs) < 2 or not graph.is_constant(node.inputs[1]):
        return False
    weight = graph.type_of(node.inputs[1]).shape
    return bool(weight) and weight is not None and weight[1] == 1 and weight[0] == int(node.attr("group", 1)) != 1


def passes(graph: Graph, node: Node) -> bool:
    """A permutation of axis 1 may cross the node (its own constants are permuted with it)."""
    if node.domain or any(node.outputs[1:]):
        return False
    if node.op_type in UNARY or node.op_type in _POOLS:
        return True
    if node.op_type in _PER_CHANNEL:
        return all(graph.is_constant(name) for name in node.inputs[1:])
    if node.op_type == "ReduceMean":
        return _reduces_space(graph, node)
    if node.op_type in ("Flatten", "Squeeze", "Reshape"):
        before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
        if not before.is_known or not after.is_known:
            return False
        # [N,C,1,1] to [N,C]: nothing but dims of 1 goes
        return (
            len(after.dims) > 1
            and before.dims[:2] == after.dims[:2]
            and before.elements == after.dims[0] * after.dims[1]
        )
    return is_depthwise(graph, node)


def _reduces_space(graph: Graph, node: Node) -> bool:
    rank = graph.type_of(node.inputs[0]).rank
    axes = node.attr("axes")
    if axes is None:
        axes = integers_of(graph, node, 1)
    return rank is not None and rank > 0 and bool(axes) and all(int(axis) % rank > 1 for axis in axes)


def absorbed_behind(graph: Graph, value: str) -> bool:
    """Everything that reads `value` ends in dense convolutions or Gemms: their columns take the permutation."""
    pending, steps = [value], 0
    while pending:
        name = pending.pop()
        readers = graph.readers(name)
        if not readers or name in graph.is_output:
            return False
        for reader in readers:
            steps += 1
            if steps > _MAX_STEPS or name in reader.inputs[1:] or reader.bodies:
                return False
            if is_dense(graph, reader):
                if reader.op_type == "Gemm" and reader.attr("transA", 0):
                    return False
            elif passes(graph, reader):
                pending.append(reader.outputs[0])
            else:
                return False
    return True


def absorbed_before(graph: Graph, value: str) -> bool:
    """`value` comes from a dense convolution that feeds nothing else: its rows take the permutation."""
    for _ in range(_MAX_STEPS):
        node = graph.producer(value)
        if node is None or only_reader(graph, value) is None or node.role != "compute":
            return False
        if is_dense(graph, node):
            return True
        if not passes(graph, node):
            return False
        value = node.inputs[0]
    return False


def keeps_order(graph: Graph, node: Node) -> bool:
    """A transposition that moves nothing but dims of one: a view."""
    known = graph.type_of(node.inputs[0])
    if not known.is_known:
        return False
    perm = node.ints("perm") or range(len(known.dims))[::-1]
    moved = [axis for axis in perm if axis < len(known.dims) and known.dims[axis] != 1]
    return moved == sorted(moved)
