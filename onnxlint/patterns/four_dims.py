"""Element-wise operators of fewer than four dims in four, between views: some devices run them on maps alone."""

from __future__ import annotations

import math

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import reshaped, stored
from onnxlint.tensor import TensorType

IN_FOUR_DIMS = "in 4-D, between views"
"""What the titles of such forms say."""
_WIDENED = frozenset({"Add", "Sub", "Mul", "Div"})


def in_four_dims(graph: Graph, node: Node, operator: str = "") -> tuple[Edit, ...]:
    """The same with dims of one around, where the operands have one shape or are constant; nothing where not.

    A constant is one number or one for each channel. `operator`: in place of the node's own, with other constants.
    """
    known, out = graph.type_of(node.outputs[0]), node.outputs[0]
    rank = known.rank or 0
    if node.op_type not in _WIDENED or node.domain or not known.is_known or not 0 < rank < 4:
        return ()
    constants = {name for name in node.inputs if graph.is_constant(name)}
    axes = {_axis(graph.type_of(name), known) for name in constants}
    axis = next(iter(axes), -1)
    if axis is None or len(axes) > 1:
        return ()
    dims = (1,) * (4 - rank) + known.dims
    if axis >= 0:
        dims = (math.prod(known.dims[:axis]), known.dims[axis], math.prod(known.dims[axis + 1 :]), 1)
    wide = TensorType(known.dtype, dims)
    edits: list[Edit] = [Remove(node.key), Declare(f"{out}/four", wide)]
    operands: list[str] = []
    for index, name in enumerate(node.inputs):
        held, operand = graph.type_of(name), f"{out}/operand{index}"
        if name in node.inputs[:index]:
            operands.append(operands[node.inputs.index(name)])
            continue
        if name in constants:
            edits.append(stored(operand, held.dtype, (1, held.elements or 1, 1, 1)))
        elif held.shape == known.shape:
            edits += [Declare(operand, wide), *reshaped(name, operand, 4)]
        else:
            return ()
        operands.append(operand)
    name = operator or node.op_type
    return (*edits, Insert(name, tuple(operands), (f"{out}/four",)), *reshaped(f"{out}/four", out, rank))


def _axis(held: TensorType, known: TensorType) -> int | None:
    """The axis along which a constant differs, -1 for one number, None for more."""
    if not held.is_known or len(held.dims) > len(known.dims):
        return None
    lead = len(known.dims) - len(held.dims)
    along = [lead + axis for axis, size in enumerate(held.dims) if size != 1]
    if not along:
        return -1
    return along[0] if len(along) == 1 and known.dims[along[0]] == held.elements else None
