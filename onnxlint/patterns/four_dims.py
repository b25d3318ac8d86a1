"""Element-wise operators of fewer than four dims in four, between views: some devices run them on maps alone."""

from __future__ import annotations

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.tensor import INT64, TensorType

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
            edits.append(Declare(operand, TensorType(held.dtype, (1, 1, 1, 1)), is_weight=True))
        elif held.shape == known.shape and not graph.is_constant(name):
            shape = f"{out}/shape{index}"
            edits += [Declare(shape, TensorType(INT64, (4,)), is_weight=True), Declare(operand, wide)]
            edits.append(Insert("Reshape", (name, shape), (operand,)))
        else:
            return ()
        operands.append(operand)
    back = f"{out}/back"
    return (
        *edits,
        Insert(node.op_type, tuple(operands), (f"{out}/four",)),
        Declare(back, TensorType(INT64, (rank,)), is_weight=True),
        Insert("Reshape", (f"{out}/four", back), (out,)),
    )
