"""Element-wise operators of fewer than four dims in four, between views: some devices run them on maps alone."""

from __future__ import annotations

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import reshaped, stored
from onnxlint.tensor import TensorType

_WIDENED = frozenset({"Add", "Sub", "Mul", "Div"})


def in_four_dims(graph: Graph, node: Node) -> tuple[Edit, ...]:
    """The same with dims of one in front, where the operands have one shape or are one number; nothing where not."""
    known, out = graph.type_of(node.outputs[0]), node.outputs[0]
    rank = known.rank or 0
    if node.op_type not in _WIDENED or node.domain or not known.is_known or not 0 < rank < 4:
        return ()
    wide = TensorType(known.dtype, (1,) * (4 - rank) + known.dims)
    edits: list[Edit] = [Remove(node.key), Declare(f"{out}/four", wide)]
    operands: list[str] = []
    for index, name in enumerate(node.inputs):
        held, operand = graph.type_of(name), f"{out}/operand{index}"
        if name in node.inputs[:index]:
            operands.append(operands[node.inputs.index(name)])
            continue
        if held.is_known and held.elements == 1 and graph.is_constant(name):
            edits.append(stored(operand, held.dtype, (1, 1, 1, 1)))
        elif held.shape == known.shape and not graph.is_constant(name):
            edits += [Declare(operand, wide), *reshaped(name, operand, 4)]
        else:
            return ()
        operands.append(operand)
    return (*edits, Insert(node.op_type, tuple(operands), (f"{out}/four",)), *reshaped(f"{out}/four", out, rank))
