"""Operators that a device lacks in operators that it has: each form in all the places that it fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxlint.finding import Fix
from onnxlint.graph import Graph, Node
from onnxlint.patterns.affine import folded, scaled
from onnxlint.patterns.focus import focus
from onnxlint.patterns.forms import Runs, by_title, edits_of, together
from onnxlint.patterns.four_dims import IN_FOUR_DIMS
from onnxlint.patterns.lower_rank import lowered
from onnxlint.patterns.packed_heads import four_dimensional, packed_heads
from onnxlint.patterns.rewrites import rewrites
from onnxlint.units import plural

_MAX_TRIED = 64


def replacements(graph: Graph, nodes: Sequence[Node], runs: Runs, limit: int | None = None) -> Iterator[Fix]:
    """Those for nodes of one operator, if the device runs them; in four dims where no plain one fits all of them.

    `limit`: the most dims that the device holds; nodes of more are tried without a batch of one.
    """
    sliced = focus(graph) if nodes[0].op_type == "Slice" else None
    keys = {node.key for node in nodes}
    if sliced is not None and keys >= {node.key for node in sliced.slices} and runs(sliced.form.edits):
        yield together([sliced.form], 1)
    packings = [one for one in packed_heads(graph) if any(node.key in keys for node in one.nodes)]
    packings = [one for one in packings if not one.has_batch]
    if packings:
        edits = tuple(edit for one in packings for edit in four_dimensional(graph, one))
        if runs(edits):
            yield Fix(f"{len(packings)} packed heads split on their last axis first", "exact", edits)
    if limit is not None and all(_is_high(graph, node, limit) for node in nodes):
        low = lowered(graph, limit)
        if keys.issubset(low.keys) and runs(low.edits):
            yield Fix(f"without the batch of one: {limit}-D", "exact", low.edits)
            return
    is_done = False
    chains = {chain[0].key: chain for node in nodes if (chain := scaled(graph).get(node.key)) is not None}
    if chains:
        edits = tuple(edit for node, behind in chains.values() for edit in folded(graph, node, behind))
        if runs(edits):
            yield Fix(f"{plural(len(chains), 'scale')} folded into the weights before", "exact", edits)
            is_done = len(chains) == len(nodes)
    for forms in by_title(form for node in nodes for form in rewrites(graph, node)).values():
        if not runs(edits_of(forms)) and 1 < len(forms) <= _MAX_TRIED:
            forms = [form for form in forms if runs(form.edits)]
        if forms and runs(edits_of(forms)) and not (is_done and IN_FOUR_DIMS in forms[0].title):
            yield together(forms, len(nodes))
            is_done = is_done or len(forms) == len(nodes)


def _is_high(graph: Graph, node: Node, limit: int) -> bool:
    return any((graph.type_of(name).rank or 0) > limit for name in (*node.inputs, *node.outputs) if name)
