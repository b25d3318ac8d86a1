"""Transpositions in the one order that Caffe's Permute layers on some NPUs take, (0,2,3,1), between views."""

from __future__ import annotations

import math

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import reshaped
from onnxlint.tensor import TensorType

ROTATION = (0, 2, 3, 1)


def as_rotation(graph: Graph, node: Node) -> tuple[Edit, ...]:
    """The same by (0,2,3,1) where it exchanges two blocks of dims behind those that stay where they are; else nothing.

    Dims that stay side by side are one block: channels last and first, and keys, are such exchanges, heads are none.
    """
    known, result = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if node.domain or not known.is_known or not result.is_known or 0 in known.dims:
        return ()
    perm = list(node.ints("perm") or reversed(range(len(known.dims))))
    kept = next((place for place, axis in enumerate(perm) if axis != place), len(perm))
    lead = math.prod(known.dims[:kept])
    blocks: list[list[int]] = []
    for axis in (axis for axis in perm[kept:] if known.dims[axis] != 1):
        if blocks and blocks[-1][-1] < axis and math.prod(known.dims[blocks[-1][-1] + 1 : axis]) == 1:
            blocks[-1].append(axis)
        else:
            blocks.append([axis])
    if len(blocks) != 2 or blocks[0] < blocks[1]:
        return ()
    last, first = (math.prod(known.dims[axis] for axis in block) for block in blocks)
    before, after = (TensorType(known.dtype, dims) for dims in ((lead, first, last, 1), (lead, last, 1, first)))
    out = node.outputs[0]
    source, turned = f"{out}/from", f"{out}/turned"
    return (
        Remove(node.key),
        Declare(source, before),
        Declare(turned, after),
        *reshaped(node.inputs[0], source, 4),
        Insert("Transpose", (source,), (turned,), (("perm", list(ROTATION)),)),
        *reshaped(turned, out, len(result.dims)),
    )
