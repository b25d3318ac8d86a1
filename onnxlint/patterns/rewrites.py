"""What is known to stand in for an operator: the same in simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from onnxlint.graph import Graph, Node
from onnxlint.patterns.contractions import contraction
from onnxlint.patterns.forms import Form
from onnxlint.patterns.four_dims import IN_FOUR_DIMS, in_four_dims
from onnxlint.patterns.in_slices import along_the_channels, mirrored, moved_axis, product_of_each
from onnxlint.patterns.reductions import mean_of_map, pool_of_rows, root_of_pooled_squares, root_of_squares
from onnxlint.patterns.simpler_arithmetic import (
    by_a_constant,
    difference,
    layer_norm,
    nan_guard,
    negation,
    product_by_matrix,
    reciprocal,
    square,
    sum_of_several,
)
from onnxlint.patterns.simpler_moves import (
    along_the_last_axis,
    broadcast,
    one_place,
    parts,
    repetition,
    transposition,
    view,
)
from onnxlint.patterns.stacked_sums import sum_of_stack
from onnxlint.patterns.unshuffled import unshuffle

_INVERSES = {"Div": ("Mul", "the reciprocal"), "Sub": ("Add", "the negated constant")}


def rewrites(graph: Graph, node: Node) -> Iterator[Form]:
    """The forms of one node whose shape is known."""
    if node.inputs and graph.type_of(node.outputs[0]).is_known:
        for form in _FORMS.get(node.op_type, ()):
            yield from form(graph, node)


def _wide(graph: Graph, node: Node) -> Iterator[Form]:
    if edits := in_four_dims(graph, node):
        yield Form(f"{node.op_type} {IN_FOUR_DIMS}", "exact", edits)
        if node.op_type in _INVERSES and graph.is_constant(node.inputs[1]) and not graph.is_constant(node.inputs[0]):
            other, word = _INVERSES[node.op_type]
            title = f"{node.op_type} by a constant as {other} of {word} {IN_FOUR_DIMS}"
            yield Form(title, "exact", in_four_dims(graph, node, other))


def _stack(graph: Graph, node: Node) -> Iterator[Form]:
    if edits := sum_of_stack(graph, node):
        yield Form("ReduceSum of a stack as Add of its maps", "exact", edits)


_FORMS: Mapping[str, tuple[Callable[[Graph, Node], Iterator[Form]], ...]] = {
    "Add": (_wide,),
    "Div": (by_a_constant, _wide),
    "Einsum": (contraction,),
    "Expand": (broadcast, repetition),
    "Flatten": (view,),
    "Gather": (one_place,),
    "IsNaN": (nan_guard,),
    "LayerNormalization": (layer_norm,),
    "LogSoftmax": (along_the_last_axis,),
    "MatMul": (product_by_matrix, product_of_each),
    "Mul": (_wide,),
    "Neg": (negation,),
    "Pad": (mirrored,),
    "Pow": (square,),
    "Reciprocal": (reciprocal,),
    "ReduceL2": (root_of_squares, root_of_pooled_squares),
    "ReduceMax": (pool_of_rows,),
    "ReduceMean": (mean_of_map, pool_of_rows),
    "ReduceSum": (_stack, pool_of_rows),
    "Slice": (along_the_channels,),
    "Softmax": (along_the_last_axis,),
    "Split": (parts,),
    "Squeeze": (view,),
    "Sub": (by_a_constant, difference, _wide),
    "Sum": (sum_of_several,),
    "Tile": (repetition,),
    "Transpose": (transposition, unshuffle, moved_axis),
    "Unsqueeze": (view,),
    "Where": (nan_guard,),
}
