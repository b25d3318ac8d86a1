"""The ways to get rid of channel shuffles, as edits: fold them into weights, split once instead, or convolve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.channel_axis import slices_of
from onnxlint.patterns.edits import sliced, split_into, stored
from onnxlint.patterns.permutations import absorbed_before, absorbed_behind, only_reader
from onnxlint.patterns.shuffles import ChannelShuffle
from onnxlint.tensor import TensorType
from onnxlint.values import Array


def permutation_convolution(graph: Graph, shuffle: ChannelShuffle) -> list[Edit]:
    """A 1×1 convolution with a permutation matrix as weight (a MatMul where the channels come last). Exact."""
    name = shuffle.outputs[0].value
    source, edits = _joined(graph, shuffle, f"{name}/joined")
    dtype, rank, channels = graph.type_of(shuffle.sources[0]).dtype, len(shuffle.shape), shuffle.channels
    weight = f"{name}/permutation"
    whole = len(shuffle.outputs) == 1
    permuted = name if whole else f"{name}/permuted"
    is_last = shuffle.axis == rank - 1
    ones = () if is_last else (1,) * (rank - 2)
    edits.append(stored(weight, dtype, (channels, channels, *ones)))
    edits.append(Declare(permuted, TensorType(dtype, shuffle.shape)))
    if is_last:
        edits.append(Insert("MatMul", (source, weight), (permuted,)))
    else:
        edits.append(Insert("Conv", (source, weight), (permuted,), (("kernel_shape", list(ones)),)))
    return edits if whole else [*edits, *_pieces(shuffle, permuted)]


def fold(graph: Graph, shuffle: ChannelShuffle) -> list[Edit] | None:
    """Nothing in the shuffle's place: the dense layers around it take the order into their weights. Exact.

    None where a reader or the writer can't: a grouped convolution, an addition, a concatenation, a graph output.
    """
    before = len(shuffle.sources) == 1 and absorbed_before(graph, shuffle.sources[0])
    if len(shuffle.outputs) > 1:
        source, edits = _joined(graph, shuffle, "")
        return [*edits, *_pieces(shuffle, source)] if before else None
    value = shuffle.outputs[0].value
    if value in graph.is_output or not (before or absorbed_behind(graph, value)):
        return None
    source, edits = _joined(graph, shuffle, value)
    return edits if source == value else [*edits, Reconnect(value, source)]


def _joined(graph: Graph, shuffle: ChannelShuffle, name: str) -> tuple[str, list[Edit]]:
    """The value to permute, without the shuffle's nodes: its source, or its sources concatenated as `name`."""
    edits: list[Edit] = [Remove(node.key) for node in shuffle.nodes]
    if len(shuffle.sources) == 1:
        return shuffle.sources[0], edits
    edits.append(Declare(name, TensorType(graph.type_of(shuffle.sources[0]).dtype, shuffle.shape)))
    edits.append(Insert("Concat", shuffle.sources, (name,), (("axis", shuffle.axis),)))
    return name, edits


def _pieces(shuffle: ChannelShuffle, source: str) -> list[Edit]:
    pieces = sorted(shuffle.outputs, key=lambda piece: piece.start)
    return list(split_into(source, [piece.value for piece in pieces], shuffle.axis))


# -- split once --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A shuffle of concatenated inputs whose output is cut: what goes to weights (`sinks`), what to another place."""

    shuffle: ChannelShuffle
    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    sinks: tuple[tuple[str, Array], ...]
    passed: tuple[tuple[str, Array, Node], ...]

    @property
    def joins(self) -> set[str]:
        """Keys of the nodes that read the inputs."""
        return {node.key for node in self.nodes}


def split_once(
    graph: Graph, shuffles: Iterable[ChannelShuffle], slices: bool = False
) -> tuple[list[Edit], set[ChannelShuffle]]:
    """Each branch split once by who will read its channels, each reader's concatenated; the order goes into weights.

    A unit that concatenates, shuffles and splits again (ShuffleNetV2) only decides which later unit reads a channel.
    As every channel is written by a dense convolution and read by another, the order inside a part is free: one Split
    behind each branch (a Slice for each part with `slices`) and one Concat before each reader compute the same. Returns
    the edits and the shuffles that they replace: those whose inputs and readers, and their neighbours', allow it.
    """
    places = [place for shuffle in shuffles if (place := _place(graph, shuffle)) is not None]
    edits: list[Edit] = []
    replaced: set[ChannelShuffle] = set()
    for linked in _linked(places):
        found = _replacement(graph, linked, slices)
        if found is not None:
            edits += found
            replaced |= {place.shuffle for place in linked}
    return edits, replaced


def _place(graph: Graph, shuffle: ChannelShuffle) -> _Place | None:
    inputs, nodes = shuffle.sources, shuffle.nodes
    if len(inputs) == 1:
        concat = graph.producer(inputs[0])
        if concat is None or concat.op_type != "Concat" or only_reader(graph, inputs[0]) is None:
            return None
        if int(concat.attr("axis", 0)) % len(shuffle.shape) != shuffle.axis:
            return None
        inputs, nodes = concat.inputs, (concat, *nodes)
    parts = [(piece.value, np.arange(piece.start, piece.start + piece.length)) for piece in shuffle.outputs]
    value = parts[0][0]
    if len(parts) == 1 and not absorbed_behind(graph, value):
        readers = graph.readers(value)
        parts = []
        for out in (name for reader in readers for name in reader.outputs if name):
            cut = slices_of(graph, out, shuffle.axis)
            if cut is None or cut[0] != value:
                return None
            parts.append((out, cut[1]))
        nodes = (*nodes, *readers)
    sinks: list[tuple[str, Array]] = []
    passed: list[tuple[str, Array, Node]] = []
    for name, taken in parts:
        reader = only_reader(graph, name)
        if absorbed_behind(graph, name):
            sinks.append((name, taken))
        elif reader is not None:
            passed.append((name, taken, reader))
        else:
            return None
    if not parts or any(name in graph.is_output for name, _ in parts) or value in graph.is_output:
        return None
    return _Place(shuffle, inputs, nodes, tuple(sinks), tuple(passed))


def _linked(places: list[_Place]) -> list[list[_Place]]:
    """The places grouped by who passes channels to whom, without the groups where one passes them elsewhere."""
    reading = {key: index for index, place in enumerate(places) for key in place.joins}
    group = list(range(len(places)))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    broken: set[int] = set()
    for index, place in enumerate(places):
        for name, _, reader in place.passed:
            other = reading.get(reader.key)
            if other is None or name not in places[other].inputs:
                broken.add(index)
            else:
                group[root(index)] = root(other)
    groups: dict[int, list[_Place]] = {}
    for index, place in enumerate(places):
        groups.setdefault(root(index), []).append(place)
    bad = {root(index) for index in broken}
    return [linked for index, linked in groups.items() if index not in bad]


@dataclass(frozen=True, slots=True)
class _Routes:
    """Branches, each with the number of its first channel, of `total` channels, and which of them each sink takes."""

    branches: tuple[tuple[str, int], ...]
    total: int
    sinks: tuple[tuple[str, Array], ...]


def _replacement(graph: Graph, places: list[_Place], slices: bool) -> list[Edit] | None:
    """The edits for places that pass channels to one another only, None where an input's order is not free."""
    routes = _routes(graph, places)
    if routes is None:
        return None
    reader_of = np.full(routes.total, -1)
    for index, (_, taken) in enumerate(routes.sinks):
        if np.any(reader_of[taken] >= 0):
            return None
        reader_of[taken] = index
    keys = dict.fromkeys(node.key for place in places for node in place.nodes)
    return [*(Remove(key) for key in keys), *_rewired(graph, routes, reader_of, places[0].shuffle.axis, slices)]


def _routes(graph: Graph, places: list[_Place]) -> _Routes | None:
    """The branches' channels followed through the places to the weights that read them; None where one is not free."""
    handed: dict[str, Array] = {}
    branches: dict[str, int] = {}
    total = 0
    sinks: list[tuple[str, Array]] = []
    axis = places[0].shuffle.axis
    promised = {name for place in places for name, _, _ in place.passed}
    for place in places:
        joined: list[Array] = []
        for name in place.inputs:
            if name in handed:
                joined.append(handed.pop(name))
                continue
            known = graph.type_of(name)
            if name in promised or not known.is_known or not absorbed_before(graph, name) or name in branches:
                return None
            size = known.dims[axis] if axis < len(known.dims) else 0
            branches[name] = total
            joined.append(np.arange(total, total + size))
            total += size
        channels = np.concatenate(joined)
        if len(channels) != len(place.shuffle.order):
            return None
        order = channels[place.shuffle.order]
        sinks += [(name, order[taken]) for name, taken in place.sinks]
        handed |= {name: order[taken] for name, taken, _ in place.passed}
    return _Routes(tuple(branches.items()), total, tuple(sinks))


def _rewired(graph: Graph, routes: _Routes, reader_of: Array, axis: int, slices: bool) -> Iterator[Edit]:
    """Each branch cut by the sinks that read its channels, and each sink's parts concatenated."""
    parts: list[list[str]] = [[] for _ in routes.sinks]
    ends = [*(start for _, start in routes.branches[1:]), routes.total]
    for (name, start), end in zip(routes.branches, ends, strict=True):
        readers, counts = np.unique(reader_of[start:end], return_counts=True)
        known = graph.type_of(name)
        names = [name] if len(readers) == 1 else [f"{name}/for{index}" for index in readers]
        for part, index, count in zip(names, readers, counts, strict=True):
            if index >= 0:
                parts[index].append(part)
            dims = (*known.dims[:axis], int(count), *known.dims[axis + 1 :])
            yield Declare(part, TensorType(known.dtype, dims))
        if len(names) > 1 and slices:
            yield from (edit for part in names for edit in sliced(name, part))
        elif len(names) > 1:
            yield from split_into(name, names, axis)
    for (name, _), inputs in zip(routes.sinks, parts, strict=True):
        if len(inputs) == 1:
            yield Reconnect(name, inputs[0])
        else:
            yield Insert("Concat", tuple(inputs), (name,), (("axis", axis),))
