"""A machine's fusion rules, and the structures of operators that it runs as one kernel (`[[fusion.groups]]`)."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from onnxlint.device_runtime import FusedGroup
from onnxlint.device_tables import Fusion
from onnxlint.graph import Graph, Node
from onnxlint.operators import VIEWS
from onnxlint.quantization import IntegerForms, forms_of

_ON_SCORES = frozenset({"Mul", "Div", "Add", "Where", "Cast", "Reshape", "Identity", "Dropout"})
_MOST_ON_SCORES = 8
_SCORE_RANK = 4
_CHANNELS_LAST = ([0, 2, 3, 1], [0, 3, 1, 2])


class Rules:
    """A machine's fusion rules as sets."""

    def __init__(self, fusion: Fusion) -> None:
        self.epilogue = frozenset(fusion.epilogue)
        self.by_operator = {op: frozenset(ops) for op, ops in fusion.by_operator.items()}
        self.closing = frozenset(fusion.closing)
        self.constant_operand = frozenset(fusion.constant_operand)
        self.groups = sorted(fusion.groups, key=lambda group: -len(group.ops))
        self.blocked = fusion.blocked
        anchors = fusion.residual_anchors
        self.residual_anchors = None if anchors is None else frozenset(anchors)
        self.free = VIEWS & frozenset(fusion.free)
        self.free_unchanged = frozenset(fusion.free_unchanged)
        self.free_before = {op: frozenset(ops) for op, ops in fusion.free_before.items()}
        self.free_orders = _CHANNELS_LAST if fusion.channels_last else ()
        named = fusion.drops_no_ops
        self.drops_no_ops = frozenset(named) if isinstance(named, list) else bool(named)
        self.residual_add, self.chains = fusion.residual_add, fusion.chains
        self.attention = fusion.attention
        self.forms: IntegerForms | None = forms_of(fusion)


class Seen:
    """What the structures are looked for among: nodes that no earlier kernel has `taken`, of one `level` each.

    `looked_at` gathers the nodes that the outcome depends on.
    """

    def __init__(self, graph: Graph, taken: Collection[str], level: Mapping[str, int]) -> None:
        self.graph, self.taken, self.level = graph, taken, level
        self.looked_at: list[Node] = []

    def is_free(self, node: Node, first: Node) -> bool:
        """The node may be part of what begins with `first`."""
        return node.key not in self.taken and node.role == "compute" and self.level[node.key] == self.level[first.key]

    def is_ready(self, name: str) -> bool:
        """The value is there before the kernel, or no node writes it."""
        writer = self.graph.producer(name)
        return writer is None or writer.key in self.taken


def find_group(seen: Seen, first: Node, groups: Sequence[FusedGroup]) -> tuple[str, tuple[Node, ...]]:
    """The first of the groups that begins with `first`: its name, and the nodes behind `first`; else nothing.

    The nodes read nothing but what `first` reads, constants and each other, and end in one value.
    """
    for group in groups:
        if group.ops[0] != first.op_type or group.rank not in (None, seen.graph.type_of(first.outputs[0]).rank):
            continue
        if found := _matched(seen, first, list(group.ops[1:])):
            return group.name, found
    return "", ()


def find_attention(seen: Seen, first: Node) -> tuple[Node, ...]:
    """The nodes behind `first`, a product of queries and keys, up to the product of their Softmax with the values.

    Scores may be scaled, masked and biased on the way; nobody else reads them, and what is read beside them is ready.
    They have a batch, heads, queries and keys: no kernel takes more dims.
    """
    graph = seen.graph
    if first.op_type != "MatMul" or any(graph.is_constant(name) for name in first.inputs):
        return ()
    if len(graph.type_of(first.outputs[0]).shape or ()) > _SCORE_RANK:
        return ()
    found: list[Node] = []
    scores, is_normalized = first.outputs[0], False
    while len(found) <= _MOST_ON_SCORES:
        node = graph.sole_reader(scores)
        if node is None:
            return ()
        seen.looked_at.append(node)
        others = [name for name in node.inputs if name and name != scores and not graph.is_constant(name)]
        if not seen.is_free(node, first) or not all(map(seen.is_ready, others)):
            return ()
        found.append(node)
        if node.op_type == "MatMul":
            return tuple(found) if is_normalized and others and node.inputs[0] == scores else ()
        if node.op_type == "Softmax" and not is_normalized:
            is_normalized = True
        elif node.op_type not in _ON_SCORES:
            return ()
        scores = node.outputs[0]
    return ()


def _matched(seen: Seen, first: Node, wanted: list[str]) -> tuple[Node, ...]:
    graph = seen.graph
    known = {*first.inputs, first.outputs[0]}
    members = {first.key: first}
    pending: list[tuple[int, str]] = []
    _push(graph, first.outputs[0], pending)
    while pending and wanted:
        node = graph.node(heapq.heappop(pending)[1])
        if node.key in members:
            continue
        seen.looked_at.append(node)
        foreign = [n for n in node.inputs if n and n not in known and not graph.is_constant(n)]
        if node.op_type not in wanted or foreign or len(node.outputs) != 1 or not seen.is_free(node, first):
            return ()
        wanted.remove(node.op_type)
        members[node.key] = node
        known.add(node.outputs[0])
        _push(graph, node.outputs[0], pending)
    *inner, last = members.values()
    inside = all(reader.key in members for node in inner for reader in graph.consumers(node.outputs[0]))
    returned = any(node.outputs[0] in graph.is_output for node in inner)
    return () if wanted or not inside or returned else (*inner[1:], last)


def _push(graph: Graph, name: str, pending: list[tuple[int, str]]) -> None:
    if name not in graph.is_output:
        for reader in graph.consumers(name):
            heapq.heappush(pending, (graph.position[reader.key], reader.key))
