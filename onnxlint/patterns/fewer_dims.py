"""Structures of more dims than a device holds that compute the same in fewer, with what to say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from onnxlint.finding import Edit
from onnxlint.graph import Graph, Node
from onnxlint.patterns.broadcasts import broadcasts
from onnxlint.patterns.flat_convolutions import flat_convolutions
from onnxlint.patterns.forms import Runs
from onnxlint.patterns.joined_dims import Joined, by_rotation, joined_dims, joined_edits, joined_moves
from onnxlint.patterns.lower_rank import lowered
from onnxlint.patterns.packed_heads import four_dimensional, packed_heads
from onnxlint.patterns.spelled_lrn import spelled_lrns
from onnxlint.patterns.stacked_sums import stacked_sums
from onnxlint.patterns.unshuffled import unshuffled

_EXACT = "Exact: no retraining."


@dataclass(frozen=True, slots=True)
class FewerDims:
    """One kind of structure in so many `places`: the `nodes` that leave, what they are, and the form in fewer dims.

    Without `edits` the form is to be made by hand, as `told`.
    """

    nodes: tuple[Node, ...]
    places: int
    what: str
    title: str
    told: str
    edits: tuple[Edit, ...]


class _Found(Protocol):
    @property
    def nodes(self) -> tuple[Node, ...]: ...


_F = TypeVar("_F", bound=_Found)


class _Edited(Protocol):
    @property
    def edits(self) -> tuple[Edit, ...]: ...


def in_fewer_dims(
    graph: Graph, limit: int, high: Mapping[str, Node], leaves: Callable[[Node], bool], runs: Runs
) -> Iterator[FewerDims]:
    """Each kind that is found, of the nodes of more than `limit` dims (by key), none of them twice.

    `leaves` tells of the nodes between, `runs` of edits, what the device does with them.
    """
    search = _Search(graph, limit, dict(high), leaves, runs)
    for kind in (
        search.without_batch,
        search.packed_heads,
        search.spelled_lrns,
        search.windows,
        search.broadcasts,
        search.stacked_sums,
        search.flat_convolutions,
        search.flat_convolutions_by_hand,
    ):
        found = kind()
        if found is not None:
            yield found


class _Search:
    """What is left of the nodes, from kind to kind."""

    def __init__(
        self, graph: Graph, limit: int, left: dict[str, Node], leaves: Callable[[Node], bool], runs: Runs
    ) -> None:
        self.graph, self.limit, self.left, self.leaves, self.runs = graph, limit, left, leaves, runs

    def without_batch(self) -> FewerDims | None:
        """Values whose first dim is a batch of one."""
        found = lowered(self.graph, self.limit)
        nodes = tuple(self.left.pop(key) for key in found.keys if key in self.left)
        if not nodes:
            return None
        what = f"up to {highest(self.graph, nodes)} dims, one of them a batch of one,"
        told = f"{found.told}:\n{self.limit}-D throughout. {_EXACT}"
        return FewerDims(nodes, len(nodes), what, f"without the batch of one: {self.limit}-D", told, found.edits)

    def packed_heads(self) -> FewerDims | None:
        """Queries, keys and values in one tensor."""
        found = [one for one in self._of(packed_heads(self.graph)) if not one.has_batch]
        if not found:
            return None
        first = found[0]
        columns = "" if first.is_outer else " (after reordering the product's columns)"
        width = _x(self.graph.type_of(first.source).shape or ())
        turned = "" if first.perm == tuple(range(len(first.perm))) else f", transposed by {first.perm}"
        told = (
            f"Split {width} in {len(first.parts)} on axis {first.axis}{columns}, then each part\n"
            f"to {_x(first.shape)}{turned}. {_EXACT}"
        )
        edits = tuple(edit for one in found for edit in four_dimensional(self.graph, one))
        title = "split the packed heads on their channels first: 4-D"
        return FewerDims(self._take(found), len(found), "attention heads packed in 5-D", title, told, edits)

    def spelled_lrns(self) -> FewerDims | None:
        """LRN as a pool over five dims."""
        found = self._of(spelled_lrns(self.graph))
        if not found:
            return None
        self._take(found)
        nodes = tuple(node for one in found for node in one.nodes if self.leaves(node))
        told = f"Export each as one LRN. {_EXACT}"
        return FewerDims(nodes, len(found), "LRN spelled out with a 5-D pool", "one LRN each", told, _all(found))

    def windows(self) -> FewerDims | None:
        """Views and transpositions whose dims move together."""
        found = self._of(joined_dims(self.graph, self.limit))
        taken = {node.key for one in found for node in one.nodes}
        found += self._of(joined_moves(self.graph, self.limit, taken))
        if not found:
            return None
        found = [one for one in found if not self._meets_more(one)] or found
        nodes, edits = self._take(found), self._joined(found)
        if not self.runs(edits):
            turned = [by_rotation(one) for one in found]
            other = self._joined(turned)
            found, edits = (turned, other) if self.runs(other) else (found, edits)
        if (pixels := self._pixels(found)) and not self.runs(edits) and self.runs(pixels):
            told = f"Export the space to depth as a strided Conv with weights of ones and zeros. {_EXACT}"
            what = f"pixels moved to the channels in {highest(self.graph, nodes)}-D"
            return FewerDims(nodes, len(found), what, "one strided convolution each: 4-D", told, pixels)
        steps = max((one.steps for one in found), key=len)
        each = " and then ".join(f"{_x(sizes)} transposed by {order}" for sizes, order in steps[:2])
        told = f"Join the dims that move together: {each or 'a Reshape alone'}, and so on.\n{_EXACT}"
        what = f"windows or patches cut in {highest(self.graph, nodes)}-D"
        title = f"the dims that move together joined: {self.limit}-D"
        return FewerDims(nodes, len(found), what, title, told, edits)

    def _pixels(self, found: Sequence[Joined]) -> tuple[Edit, ...]:
        """All as convolutions that put pixels in the channels; nothing where one is something else."""
        each = [unshuffled(self.graph, node) for one in found for node in one.nodes if node.op_type == "Transpose"]
        return tuple(edit for edits in each for edit in edits) if len(each) == len(found) and all(each) else ()

    def _meets_more(self, one: Joined) -> bool:
        """What it begins or ends with has too many dims itself."""
        ends = (one.nodes[0].inputs[0], one.output)
        return any((self.graph.type_of(name).rank or 0) > self.limit for name in ends)

    def broadcasts(self) -> FewerDims | None:
        """Values of few dims that meet in many."""
        found = self._of(broadcasts(self.graph, self.limit))
        if not found:
            return None
        nodes = self._take(found)
        told = f"Join the dims that all of them have or lack together: {_x(found[0].dims)}.\n{_EXACT}"
        what = f"values of few dims broadcast to {highest(self.graph, nodes)}-D"
        title = f"the dims joined that broadcast together: {self.limit}-D"
        return FewerDims(nodes, len(found), what, title, told, _all(found))

    def stacked_sums(self) -> FewerDims | None:
        """Maps on an axis of their own, summed."""
        found = self._of(stacked_sums(self.graph))
        if not found:
            return None
        told = f"Add the {found[0].maps} maps, each times its gate, instead of stacking them"
        if not self.runs(_all(found)):
            other = self._of(stacked_sums(self.graph, by_sigmoid=True))
            if other and self.runs(_all(other)):
                found, told = other, f"{told}:\nof two gates, each is the sigmoid of its score less the other's"
        title = f"the maps added instead of stacked: {self.limit}-D"
        return FewerDims(
            self._take(found), len(found), "maps stacked in 5-D and summed", title, f"{told}. {_EXACT}", _all(found)
        )

    def flat_convolutions(self) -> FewerDims | None:
        """Convolutions over three dims that look along two."""
        return self._flat(f".\n{_EXACT}", are_alone=True)

    def flat_convolutions_by_hand(self) -> FewerDims | None:
        """Those with more around them that works in five dims."""
        return self._flat(":\nexact, but what is around it has to change with it, by hand.", are_alone=False)

    def _flat(self, how: str, *, are_alone: bool) -> FewerDims | None:
        found = [one for one in self._of(flat_convolutions(self.graph)) if one.is_alone == are_alone]
        if not found:
            return None
        one = found[0]
        by = f"with {one.size} times the batch" if one.size else "behind a view that joins two axes"
        told = f"The {_x(one.kernel)} kernel is one of {_x(one.flat)} {by}{how}"
        what, title = "Conv over three dims, with a kernel of 1 along one,", f"Conv over two dims: {self.limit}-D"
        return FewerDims(self._take(found), len(found), what, title, told, _all(found) if are_alone else ())

    def _of(self, found: Iterable[_F]) -> list[_F]:
        return [one for one in found if any(node.key in self.left for node in one.nodes)]

    def _take(self, found: Sequence[_Found]) -> tuple[Node, ...]:
        nodes = (node for one in found for node in one.nodes)
        return tuple(self.left.pop(node.key) for node in nodes if node.key in self.left)

    def _joined(self, found: Sequence[Joined]) -> tuple[Edit, ...]:
        return tuple(edit for one in found for edit in joined_edits(self.graph, one, self.limit))


def highest(graph: Graph, nodes: Iterable[Node]) -> int:
    """The most dims of a value that they read or write."""
    return max(graph.type_of(name).rank or 0 for node in nodes for name in (*node.inputs, *node.outputs) if name)


def _all(found: Sequence[_Edited]) -> tuple[Edit, ...]:
    return tuple(edit for one in found for edit in one.edits)


def _x(shape: Iterable[int | None]) -> str:
    return "x".join(map(str, shape))
