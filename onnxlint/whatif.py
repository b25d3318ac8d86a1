"""Edits applied to a graph's nodes and types only, so that the change can be priced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import onnx

from onnxlint.analysis import Analysis
from onnxlint.attributes import KnownAttributes
from onnxlint.edited_graph import EditedGraph
from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove, Reorder
from onnxlint.graph import Graph, Node
from onnxlint.latency import Seconds
from onnxlint.ordering import CycleError
from onnxlint.places import Places
from onnxlint.tensor import TensorType

_PLAIN = (int, float, str, bytes, list, tuple)
"""Kinds of attributes that are the same if they are written the same."""


class EditError(Exception):
    """Edits that do not fit the graph: a node that is not there, a cycle."""


def apply(graph: Graph, edits: Iterable[Edit]) -> EditedGraph:
    """The graph after the edits; raises EditError.

    The result is for pricing: a value that lost its writer stays readable with the type it had.
    """
    change = _Change(graph)
    for edit in edits:
        change.add(edit)
    return change.graph()


def applied(before: Analysis, edits: tuple[Edit, ...]) -> EditedGraph:
    """The same for an analysed graph, which keeps the last one: a rule asks what runs, then what it saves."""
    if before.last_applied is None or before.last_applied[0] is not edits:
        before.last_applied = edits, apply(before.at_run_time, edits)
    return before.last_applied[1]


class _Change:
    """Edits taken together: what they take out and put in, and what stays under another name or in another order."""

    def __init__(self, before: Graph) -> None:
        self.before = before
        self.renamed: dict[str, str] = {}
        self.removed: dict[str, None] = {}
        self.inserted: list[Insert] = []
        self.types: dict[str, TensorType] = {}
        self.types_alike: dict[TensorType, TensorType] = {}
        self.weights: set[str] = set()
        self.order: Mapping[str, int] | None = None

    def add(self, edit: Edit) -> None:
        """Take one more edit; raises EditError."""
        match edit:
            case Declare(value, known, is_weight):
                self.types[value] = self._shared(value, known)
                if is_weight:
                    self.weights.add(value)
            case Remove(key):
                if self.before.get(key) is None or key in self.removed:
                    raise EditError(f"there is no node {key!r}")
                self.removed[key] = None
            case Insert():
                self.inserted.append(edit)
            case Reconnect(value, to):
                self.renamed[value] = to
            case Reorder(keys):
                self.order = dict.fromkeys(self.before.position, -1) | {key: at for at, key in enumerate(keys)}

    def _shared(self, value: str, known: TensorType) -> TensorType:
        """The type as the graph holds it: one object for all that are equal, so that nodes alike are seen to be so."""
        before = self.before.types.get(value)
        return before if before == known else self.types_alike.setdefault(known, known)

    def graph(self) -> EditedGraph:
        """The graph with the new nodes in the place of the first removed one; raises EditError."""
        before = self.before
        if not (self.removed or self.inserted or self.renamed or self.order is not None):
            return self._edited(before.nodes, before.outputs)
        version = next((node.version for node in before.nodes if node.domain == ""), 17)
        made = _new_nodes(self.inserted, version)
        rewired = self.rewired()
        try:
            # what is constant has no place among the nodes at run time
            removed = [key for key in self.removed if key in before.position]
            nodes, moved = Places(before, removed, made, rewired, self.order).ordered()
        except CycleError:
            raise EditError("the edits close a cycle") from None
        outputs = tuple(_final(self.renamed, name) for name in before.outputs) if self.renamed else before.outputs
        return self._edited(
            tuple(nodes),
            outputs,
            gone=tuple(before.node(key) for key in (*self.removed, *rewired)),
            new=(*made, *rewired.values()),
            moved=tuple(moved) if self.order is None else before.nodes,
        )

    def _edited(
        self,
        nodes: tuple[Node, ...],
        outputs: tuple[str, ...],
        gone: tuple[Node, ...] = (),
        new: tuple[Node, ...] = (),
        moved: tuple[Node, ...] = (),
    ) -> EditedGraph:
        """The graph of these nodes and outputs, with the types and weights that are declared."""
        before = self.before
        return EditedGraph(
            nodes,
            before.inputs,
            outputs,
            {**before.types, **self.types} if self.types else before.types,
            before.values,
            before.weights | self.weights if self.weights else before.weights,
            base=before,
            gone=gone,
            new=new,
            moved=moved,
            retyped=frozenset(name for name, known in self.types.items() if before.types.get(name) is not known),
        )

    def rewired(self) -> dict[str, Node]:
        """The nodes that read a renamed value, as they are then, by key."""
        readers = {node.key: node for name in self.renamed for node in self.before.consumers(name)}
        changed = {key: _rewired(node, self.renamed) for key, node in readers.items() if key not in self.removed}
        return {key: node for key, node in changed.items() if node is not readers[key]}


def saving(before: Analysis, edits: Iterable[Edit]) -> Seconds:
    """Seconds that the edits save, one per parameter set; raises EditError."""
    edits = tuple(edits)
    known = before.savings.get(id(edits))
    if known is not None:
        return known[1]
    if all(_is_idle(before.graph, edit) for edit in edits):
        before.savings[id(edits)] = (edits, np.zeros_like(before.total))
    else:
        trial(before, edits)
    return before.savings[id(edits)][1]


def trial(before: Analysis, edits: tuple[Edit, ...], near: Analysis | None = None) -> Analysis:
    """The analysis of the graph after the edits; raises EditError.

    `near` is that after other edits, which only declared the values that these declare: what both leave as it was, or
    make the same, is taken from there.
    """
    start = near or before
    after = Analysis(applied(start, edits), before.target, start)
    saved = before.total - after.total
    # a rule asks for what the engine asks again of the same edits; kept with them, so that no others get their id
    before.savings[id(edits)] = (edits, saved)
    mean = float(saved.mean())
    if before.best_trial is None or mean > before.best_trial[2]:
        before.best_trial = edits, after, mean
    return after


def tried(before: Analysis, edits: tuple[Edit, ...]) -> Analysis:
    """The analysis of the graph after the edits; raises EditError. That of those which saved most is still known."""
    best = before.best_trial
    return best[1] if best is not None and best[0] is edits else trial(before, edits)


def _is_idle(graph: Graph, edit: Edit) -> bool:
    """The edit stores what a constant computes, as it is: no work at run time changes."""
    match edit:
        case Remove(key):
            node = graph.get(key)
            if node is None:
                raise EditError(f"there is no node {key!r}")
            return node.role != "compute"
        case Declare(value, known, is_weight):
            return is_weight and graph.is_constant(value) and known == graph.type_of(value)
        case _:
            return False


def alone(analysis: Analysis, edits: Iterable[Edit]) -> Analysis:
    """The inserted nodes by themselves, each reading what it names from memory and leaving there what no other reads.

    A quick way to time alternatives of single kernels: no other node of the graph is looked at. Raises EditError.
    """
    graph = analysis.graph
    edits = tuple(edit for edit in edits if isinstance(edit, Insert | Declare))
    read = {name for edit in edits if isinstance(edit, Insert) for name in edit.inputs if name}
    made = [name for edit in edits if isinstance(edit, Insert) for name in edit.outputs if name]
    constants = {name for name in read if graph.is_constant(name)}
    left = tuple(name for name in made if name not in read)
    bare = Graph((), (), left, graph.types, graph.values, graph.weights | constants)
    return Analysis(apply(bare, edits), analysis.target)


def seconds_alone(analysis: Analysis, changes: Sequence[tuple[Edit, ...]]) -> list[float]:
    """For each change, the mean seconds of the nodes that it puts in, by themselves; raises EditError.

    Changes alike are priced once.
    """
    marks = [_mark(analysis.graph, edits) for edits in changes]
    firsts = dict(zip(reversed(marks), reversed(changes), strict=True))
    trial = alone(analysis, [edit for edits in firsts.values() for edit in edits])
    seconds = {
        mark: trial.seconds(trial.kernel_of[edit.outputs[0]] for edit in edits if isinstance(edit, Insert))
        for mark, edits in firsts.items()
    }
    means = {mark: float(each.mean()) for mark, each in seconds.items()}
    return [means[mark] for mark in marks]


def _mark(graph: Graph, edits: tuple[Edit, ...]) -> object:
    """Equal for edits that put in nodes alike: the same operators, wired alike, between values of the same types."""
    declared = {edit.value: (edit.type, edit.is_weight) for edit in edits if isinstance(edit, Declare)}
    places: dict[str, int] = {}
    nodes = [
        (
            edit.op_type,
            edit.domain,
            _same(edit.attributes),
            len(edit.inputs),
            *[places.setdefault(name, len(places)) for name in (*edit.inputs, *edit.outputs)],
        )
        for edit in edits
        if isinstance(edit, Insert)
    ]
    kinds = [declared.get(name) or (graph.type_of(name), graph.is_constant(name)) for name in places]
    return (*nodes, *kinds, *[id(graph.values.get(name)) for name in places])


def _final(renamed: dict[str, str], name: str) -> str:
    for _ in range(len(renamed) + 1):
        if name not in renamed:
            return name
        name = renamed[name]
    raise EditError("values are renamed in a circle")


def _rewired(node: Node, renamed: dict[str, str]) -> Node:
    if not renamed or not any(name in renamed for name in node.inputs):
        return node
    return msgspec.structs.replace(node, inputs=tuple(_final(renamed, name) for name in node.inputs))


def _same(attributes: Sequence[tuple[str, object]]) -> object:
    """Equal for attributes of one name, kind and value, as far as writing them tells; good while they live."""
    is_plain = all(isinstance(value, _PLAIN) for _, value in attributes)
    return repr(attributes) if is_plain else id(attributes)


def _new_nodes(edits: Iterable[Insert], version: int) -> list[Node]:
    """The nodes that are put in; those of the same attributes share them, so that nodes alike are priced once."""
    alike: dict[object, KnownAttributes] = {}
    made = []
    for edit in edits:
        mark = _same(edit.attributes)
        attributes = alike.get(mark)
        if attributes is None:
            attributes = alike[mark] = KnownAttributes()
            attributes.update((name, onnx.helper.make_attribute(name, value)) for name, value in edit.attributes)
        made.append(
            Node(edit.op_type, edit.domain, version, edit.outputs[0], "", edit.inputs, edit.outputs, attributes)
        )
    return made
