"""Einsum of two values as one MatMul between transpositions and views."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from onnxlint.finding import Declare, Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import stored
from onnxlint.patterns.forms import Form
from onnxlint.patterns.joined_dims import grouped, step_edits, transposed_in_steps
from onnxlint.tensor import TensorType

_MAX_DIMS, _RANK = 8, 4


def terms_of(node: Node) -> tuple[str, str, str] | None:
    """The letters of an Einsum's two inputs and of its result; None where it has others, or a letter twice in one."""
    before, _, result = node.attr("equation", b"").decode("utf-8", "replace").replace(" ", "").partition("->")
    left, _, right = before.partition(",")
    words = (left, right, result)
    return words if all(word.isalpha() and len(set(word)) == len(word) for word in words) else None


def contraction(graph: Graph, node: Node) -> Iterator[Form]:
    """The letters of both and of the result count products, those of both alone are summed over."""
    terms, types = terms_of(node), [graph.type_of(name) for name in node.inputs]
    if terms is None or len(node.inputs) != 2 or not all(known.is_known for known in types):
        return
    left, right, result = terms
    words = (left, right)
    if max(map(len, terms)) > _MAX_DIMS or [len(word) for word in words] != [len(known.dims) for known in types]:
        return
    size = dict(zip(left + right, types[0].dims + types[1].dims, strict=True))
    both = [letter for letter in left if letter in right]
    batch, summed = [x for x in both if x in result], [x for x in both if x not in result]
    rows, columns = [x for x in left if x not in right], [x for x in right if x not in left]
    alone = [x for x in (*rows, *columns) if x not in result]
    if not summed or alone or set(result) != {*batch, *rows, *columns}:
        return
    if any(size[x] != known.dims[word.index(x)] for word, known in zip(words, types, strict=True) for x in word):
        return  # a dim of 1 that broadcasts
    out, dtype = node.outputs[0], graph.type_of(node.outputs[0]).dtype
    many = [math.prod(size[letter] for letter in word) for word in (batch, rows, summed, columns)]
    edits: list[Edit] = [Remove(node.key)]
    factors = []
    shapes = ((many[0], many[1], many[2]), (many[0], many[2], many[3]))
    for index, (word, order) in enumerate(((left, [*batch, *rows, *summed]), (right, [*batch, *summed, *columns]))):
        source, factor = node.inputs[index], f"{out}/factor{index}"
        if graph.is_constant(source):
            edits.append(stored(factor, dtype, shapes[index]))
        else:
            edits += _in_order(source, factor, TensorType(dtype, shapes[index]), word, order, size)
        factors.append(factor)
    product, made = f"{out}/product", [*batch, *rows, *columns]
    edits.append(Declare(product, TensorType(dtype, (many[0], many[1], many[3]))))
    edits.append(Insert("MatMul", tuple(factors), (product,)))
    edits += _in_order(product, out, graph.type_of(out), made, list(result), size)
    yield Form("Einsum as MatMul", "exact", tuple(edits))


def _in_order(
    source: str, out: str, wanted: TensorType, word: Sequence[str], order: Sequence[str], size: Mapping[str, int]
) -> Iterator[Edit]:
    """The value with its letters in that order, in the dims wanted."""
    dims = [size[letter] for letter in word]
    groups = grouped([list(word).index(letter) for letter in order], dims)
    yield from step_edits(source, out, wanted, transposed_in_steps(groups or [], dims, _RANK), _RANK)
