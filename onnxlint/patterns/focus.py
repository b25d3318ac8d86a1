"""Focus: pixels of each block of 2x2 sliced apart and stacked in the channels, in front of the first convolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnxlint.finding import Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import stored
from onnxlint.patterns.forms import Form
from onnxlint.patterns.permutations import only_reader


@dataclass(frozen=True, slots=True)
class Focus:
    """Pixels of each block of 2x2 sliced apart and stacked in the channels, then a convolution."""

    slices: tuple[Node, ...]
    form: Form


def focus(graph: Graph) -> Focus | None:
    """The slicing of the graph's input in front of its first convolution."""
    for concat in graph.compute_nodes:
        if concat.op_type != "Concat" or len(concat.inputs) != 4 or int(concat.attr("axis", 0)) % 4 != 1:
            continue
        conv = only_reader(graph, concat.outputs[0])
        slices: dict[str, Node] = {}
        paths = [_starts(graph, name, slices) for name in concat.inputs]
        sources = {source for source, _ in paths}
        if conv is None or conv.op_type != "Conv" or len(sources) != 1 or len({starts for _, starts in paths}) != 4:
            continue
        if any(reader.key not in slices and reader is not concat for reader in _readers(graph, slices.values())):
            continue
        [source] = sources
        whole, part = graph.type_of(source).shape or (), graph.type_of(concat.inputs[0]).shape or ()
        if [size * 2 for size in part[2:] if size is not None] != list(whole[2:]):
            continue
        weight = graph.type_of(conv.inputs[1])
        if source not in graph.inputs or not weight.is_known or any(len(starts) != 2 for _, starts in paths):
            continue
        if int(conv.attr("group", 1)) != 1 or any(step != 1 for step in conv.attr("dilations") or ()):
            continue
        if conv.attr("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET"):
            continue
        wide = f"{conv.inputs[1]}/wide"
        dims = (weight.dims[0], weight.dims[1] // 4, *(size * 2 for size in weight.dims[2:]))
        attributes = (
            ("strides", [int(step) * 2 for step in conv.attr("strides") or (1, 1)]),
            ("pads", [int(pad) * 2 for pad in conv.attr("pads") or (0, 0, 0, 0)]),
        )
        edits: tuple[Edit, ...] = (
            *(Remove(key) for key in slices),
            Remove(concat.key),
            Remove(conv.key),
            stored(wide, weight.dtype, dims),
            Insert("Conv", (source, wide, *conv.inputs[2:]), conv.outputs, attributes),
        )
        kernel = "x".join(map(str, dims[2:]))
        title = f"the slices merged with the first convolution: {kernel}, stride {attributes[0][1][0]}"
        return Focus(tuple(slices.values()), Form(title, "exact", edits))
    return None


def _readers(graph: Graph, nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield from graph.readers(node.outputs[0])


def _starts(graph: Graph, value: str, slices: dict[str, Node]) -> tuple[str, frozenset[tuple[int, int]]]:
    """What the slices behind a value, each of every second place along one axis, start from: (axis, start) pairs."""
    starts: set[tuple[int, int]] = set()
    while (node := graph.producer(value)) is not None and node.op_type == "Slice" and len(node.inputs) == 5:
        known = [graph.values.get(name) for name in (node.inputs[1], node.inputs[3], node.inputs[4])]
        given = [array.reshape(-1).tolist() for array in known if array is not None]
        if len(given) < 3 or any(step != 2 for step in given[2]) or not {*given[0]} <= {0, 1}:
            break
        starts |= {(int(axis) % 4, int(start)) for start, axis in zip(given[0], given[1], strict=True)}
        slices[node.key] = node
        value = node.inputs[0]
    return value, frozenset(starts)
