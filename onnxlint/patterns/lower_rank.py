"""Values of too many dims whose operators work in fewer as well: by rows, or without the batch of one in front."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.finding import Declare, Edit, Remove
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.axes import VIEWS
from onnxlint.patterns.batch_of_one import leaves_first, reduced_first, without_first
from onnxlint.patterns.edits import reshaped
from onnxlint.patterns.joined_dims import joined_dims, joined_edits, row_dims
from onnxlint.patterns.packed_heads import PackedHeads, four_dimensional, packed_heads
from onnxlint.patterns.walk import data_inputs
from onnxlint.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Lowered:
    """Edits that bring nodes, by key, to fewer dims, and the steps in words."""

    keys: tuple[str, ...]
    edits: tuple[Edit, ...]
    told: str = ""


@lru_cache(maxsize=2)
def lowered(graph: Graph, limit: int) -> Lowered:
    """Windows whose batch of one is left out and whose rows are multiplied as such, with the packings between."""
    packed = [found for found in packed_heads(graph) if found.has_batch]
    moved = frozenset(node.key for found in joined_dims(graph, limit) for node in found.nodes)
    moved |= {node.key for found in packed for node in found.nodes}
    rows = by_rows(graph, limit, moved)
    cut = [found for found in joined_dims(graph, limit, rows) if found.output in rows]
    if {name for name in rows if _is_turned(graph, name)} != {found.output for found in cut}:
        rows, cut = frozenset(), []
    # first what ends in few dims alone; else what meets more, to be mended beside it
    for views in (moved, None):
        packings, batch = packed, without_batch(graph, limit, _parts(packed), views)
        packings = [found for found in packings if batch.issuperset(found.parts)]
        kept = _parts(packings)
        batch = without_batch(graph, limit, kept, views)
        if batch and batch.issuperset(kept):
            break
    else:
        return Lowered((), ())
    back = [one for one in joined_dims(graph, limit) if one.nodes[0].inputs[0] in batch]
    gone = {node.key for one in (*cut, *back) for node in one.nodes} | {n.key for one in packings for n in one.nodes}
    of_rows, of_batch = ({n.key for name in found for n in _around(graph, name)} for found in (rows, batch))
    if (of_rows & of_batch) - gone:
        return Lowered((), ())  # a view from the one to the other
    edits: list[Edit] = [edit for one in (*cut, *back) for edit in joined_edits(graph, one, limit)]
    edits += rows_edits(graph, rows - {one.output for one in cut}, limit, gone)
    for packing in packings:
        known = graph.type_of(packing.source)
        by_row = TensorType(known.dtype, row_dims(known.dims, limit)) if packing.source in rows else None
        edits += four_dimensional(graph, packing, by_row)
    edits += batch_edits(graph, batch - kept, gone)
    touched = [node for one in (*cut, *back) for node in one.nodes] + [node for one in packings for node in one.nodes]
    touched += [
        n for n in graph.compute_nodes if any(name in rows or name in batch for name in (*n.inputs, *n.outputs))
    ]
    steps = ["Leave out the batch of one"]
    steps += ["multiply by rows"] * bool(rows) + ["split packed heads on their channels first"] * bool(packings)
    return Lowered(tuple(dict.fromkeys(node.key for node in touched)), tuple(edits), ", ".join(steps))


def _parts(packings: Collection[PackedHeads]) -> frozenset[str]:
    return frozenset(part for found in packings for part in found.parts)


def _is_turned(graph: Graph, name: str) -> bool:
    writer = graph.producer(name)
    return writer is not None and writer.op_type == "Transpose"


def by_rows(graph: Graph, limit: int, views: frozenset[str]) -> frozenset[str]:
    """Values of more than `limit` dims that products with a matrix and what is the same for every row write or read.

    A Transpose behind a view may write them. `views`: keys of those that may lead to other values of too many dims.
    """

    def is_written(node: Node) -> bool:
        before = graph.producer(node.inputs[0]) if node.op_type == "Transpose" else None
        return before is not None and before.op_type in VIEWS

    values = _high_values(graph, limit)
    found = _closed(
        graph, limit, values, lambda node: _is_by_rows(graph, node), lambda _, node: is_written(node), views
    )
    return frozenset(name for name in found if any(_is_by_rows(graph, node) for node in _around(graph, name)))


def without_batch(
    graph: Graph, limit: int, parts: frozenset[str], views: frozenset[str] | None = None
) -> frozenset[str]:
    """Values of one dim too many whose first is 1, and whose operators leave it alone; others write `parts`.

    `views`: keys of those that may lead to other values of too many dims; None: all may.
    """
    values = {
        name
        for name in _high_values(graph, limit)
        if graph.type_of(name).rank == limit + 1 and graph.type_of(name).dims[0] == 1
    }
    found = _closed(graph, limit, values, lambda node: leaves_first(graph, node), lambda name, _: name in parts, views)
    computing = {n.op_type for name in found for n in _around(graph, name)} - VIEWS - {"Transpose"}
    return found if computing else frozenset()


def _around(graph: Graph, name: str) -> list[Node]:
    """Who writes the value, and who reads it."""
    writer = graph.producer(name)
    return [*([writer] if writer is not None else []), *graph.readers(name)]


def rows_edits(graph: Graph, values: Collection[str], rank: int, gone: Collection[str]) -> Iterator[Edit]:
    """The values with all dims joined but the last; `gone` are the keys of nodes that other edits take out."""
    for name in sorted(values):
        known = graph.type_of(name)
        yield Declare(name, TensorType(known.dtype, row_dims(known.dims, rank)))
    yield from _views(graph, values, {name: row_dims(graph.type_of(name).dims, rank) for name in values}, gone)


def batch_edits(graph: Graph, values: Collection[str], gone: Collection[str]) -> Iterator[Edit]:
    """The values, and the constants beside them, without their first dim; what names its axes follows."""
    for name in sorted(values):
        known = graph.type_of(name)
        yield Declare(name, TensorType(known.dtype, known.dims[1:]))
        node = graph.producer(name)
        if node is not None and node.key not in gone and node.op_type not in VIEWS:
            yield from without_first(graph, node)
    yield from _views(graph, values, {name: graph.type_of(name).dims[1:] for name in values}, gone)
    readers = {n.key: n for name in sorted(values) for n in graph.readers(name)}
    for node in readers.values():
        yield from reduced_first(node)


def _views(
    graph: Graph, values: Collection[str], dims: Mapping[str, tuple[int, ...]], gone: Collection[str]
) -> Iterator[Edit]:
    """A Reshape for every view that writes or reads one of the values."""
    around = {node.key: node for name in sorted(values) for node in _around(graph, name)}
    for node in around.values():
        if node.op_type in VIEWS and node.key not in gone:
            out = node.outputs[0]
            yield Remove(node.key)
            yield from reshaped(node.inputs[0], out, len(dims.get(out, graph.type_of(out).dims)))


def _high_values(graph: Graph, limit: int) -> set[str]:
    outputs = (name for node in graph.compute_nodes for name in node.outputs)
    return {name for name in outputs if _is_high(graph, name, limit) and graph.type_of(name).is_known}


def _closed(
    graph: Graph,
    limit: int,
    values: set[str],
    fits: Callable[[Node], bool],
    is_written: Callable[[str, Node], bool],
    views: frozenset[str] | None = None,
) -> frozenset[str]:
    """The values that views and fitting nodes alone write and read, these with all their values of so many dims."""

    def is_open(node: Node) -> bool:
        return node.op_type in VIEWS and (views is None or node.key in views)

    pending = list(values)
    while pending:
        name = pending.pop()
        writer = graph.producer(name)
        if name not in values or writer is None:
            continue
        around = graph.readers(name) if is_written(name, writer) else [writer, *graph.readers(name)]
        high = {n.key: [v for v in (*n.inputs, *n.outputs) if _is_high(graph, v, limit)] for n in around}
        held = all(is_open(n) or ((n.op_type in VIEWS or fits(n)) and values.issuperset(high[n.key])) for n in around)
        if name in graph.is_output or not held:
            values.discard(name)
            pending += [other for found in high.values() for other in found if other in values]
    return frozenset(values)


def _is_high(graph: Graph, name: str, limit: int) -> bool:
    return (graph.type_of(name).rank or 0) > limit and bool(name) and not graph.is_constant(name)


def _is_by_rows(graph: Graph, node: Node) -> bool:
    data = data_inputs(graph, node)
    if node.domain or len(data) != 1 or len(node.outputs) != 1:
        return False
    if node.op_type == "MatMul":
        return node.inputs[0] == data[0] and graph.type_of(node.inputs[1]).rank == 2
    constants = [graph.type_of(name).rank for name in node.inputs if name and name != data[0]]
    return node.op_type in ELEMENTWISE and all(rank is not None and rank <= 1 for rank in constants)
