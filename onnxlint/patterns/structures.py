"""The registry of structures: each kind with its finder, as `onnxlint profile --structure` prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from onnxlint.graph import Graph, Node
from onnxlint.patterns.aggregation import aggregations, cross_stages, dense_blocks
from onnxlint.patterns.attention import attentions
from onnxlint.patterns.bottlenecks import bottlenecks
from onnxlint.patterns.bridges import bridges
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.convolutions import ConvSizes
from onnxlint.patterns.ghost import ghosts
from onnxlint.patterns.moves import moves
from onnxlint.patterns.packed_heads import packed_heads
from onnxlint.patterns.parallel import merges
from onnxlint.patterns.patch_embedding import patch_embeddings
from onnxlint.patterns.residual import residuals
from onnxlint.patterns.spelled_activations import spelled_activations
from onnxlint.patterns.spelled_lrn import spelled_lrns
from onnxlint.patterns.spelled_norms import normalizations
from onnxlint.patterns.squeeze_excite import squeeze_excites
from onnxlint.quantization import integer_sources


@dataclass(frozen=True, slots=True)
class Structure:
    """One place: the nodes, and its key numbers in words."""

    nodes: tuple[Node, ...]
    numbers: str


_ACTIVATIONS = frozenset({"Gelu", "FastGelu", "QuickGelu", "BiasGelu", "HardSwish", "Swish", "Mish"})

Finder = Callable[[Graph], Iterator[Structure]]


def structures(graph: Graph) -> Iterator[tuple[str, Structure]]:
    """Every structure of every kind, kind by kind."""
    for kind, finder in KINDS.items():
        for found in finder(graph):
            yield kind, found


def _shape(graph: Graph, name: str) -> str:
    return "x".join("?" if size is None else str(size) for size in graph.type_of(name).shape or ())


def _window(conv: ConvSizes) -> str:
    return "x".join(map(str, conv.kernel))


def _channel_shuffles(graph: Graph) -> Iterator[Structure]:
    for one in channel_shuffles(graph):
        yield Structure(one.nodes, f"{one.channels} channels in {one.groups} groups")


def _split_transform_merge(graph: Graph) -> Iterator[Structure]:
    for one in bottlenecks(graph):
        if one.expand is not None and not one.middle.is_depthwise:
            conv = one.middle
            yield Structure(one.nodes, f"{conv.groups} groups of {conv.out_channels // conv.groups}, {_window(conv)}")


def _squeeze_excites(graph: Graph) -> Iterator[Structure]:
    for one in squeeze_excites(graph):
        at = "x".join(map(str, one.positions))
        yield Structure(one.nodes, f"{one.channels} channels through {one.hidden} at {at}")


def _residuals(graph: Graph) -> Iterator[Structure]:
    linear = {node.key for merge in merges(graph) for node in merge.nodes}
    for one in residuals(graph):
        if one.join.key not in linear:
            kind = "projected" if one.shortcut else "identity"
            yield Structure((*one.body, *one.shortcut, one.join), f"{_shape(graph, one.output)} {kind}")


def _dense_blocks(graph: Graph) -> Iterator[Structure]:
    for one in dense_blocks(graph):
        nodes = tuple(node for layer in one.layers for node in layer) + one.joins
        widths = [graph.type_of(name).dims[1] for name in (one.source, one.output)]
        yield Structure(nodes, f"{len(one.layers)} layers, {widths[0]} to {widths[1]} channels")


def _aggregations(graph: Graph) -> Iterator[Structure]:
    for one in aggregations(graph):
        yield Structure(one.nodes, f"{len(one.features)} features, {_shape(graph, one.join.outputs[0])}")


def _cross_stages(graph: Graph) -> Iterator[Structure]:
    for one in cross_stages(graph):
        yield Structure(one.nodes, f"{one.through} channels through the blocks, {one.past} past them")


def _inverted(graph: Graph) -> Iterator[Structure]:
    for one in bottlenecks(graph):
        if one.middle.is_depthwise and one.expand is not None and one.is_inverted:
            widths = f"{one.expand.in_channels} to {one.middle.in_channels} to {one.project.out_channels}"
            yield Structure((*one.nodes, *one.gate), f"{widths} channels, {_window(one.middle)}")


def _separable(graph: Graph) -> Iterator[Structure]:
    for one in bottlenecks(graph):
        if one.middle.is_depthwise and not one.is_inverted:
            own = {one.expand.node.key} if one.expand is not None else set()
            nodes = tuple(node for node in one.nodes if node.key not in own)
            widths = f"{one.middle.in_channels} to {one.project.out_channels}"
            yield Structure(nodes, f"{widths} channels, {_window(one.middle)}")


def _branches(graph: Graph) -> Iterator[Structure]:
    for one in merges(graph):
        yield Structure(one.nodes, f"one convolution of {_shape(graph, one.main.inputs[1])}")


def _ghosts(graph: Graph) -> Iterator[Structure]:
    for one in ghosts(graph):
        wide = graph.type_of(one.output).dims[1]
        made = f"{one.primary.out_channels} of {wide} channels by {_window(one.primary)}"
        yield Structure(one.nodes, f"{made}, the others by depthwise {_window(one.cheap)}")


def _attentions(graph: Graph) -> Iterator[Structure]:
    for one in attentions(graph):
        what = f"{one.batch} x {one.queries} queries x {one.keys} keys of {one.width}"
        masked = ", masked or biased" if one.mask else ""
        yield Structure(one.nodes, f"{what}{masked}{', one operator' if one.is_fused else ''}")


def _normalizations(graph: Graph) -> Iterator[Structure]:
    for one in normalizations(graph):
        spelled = "" if one.is_fused else ", spelled out"
        yield Structure(one.nodes, f"{one.kind} of {_shape(graph, one.source)}{spelled}")


def _activations(graph: Graph) -> Iterator[Structure]:
    for one in spelled_activations(graph):
        yield Structure(one.nodes, f"{one.kind} in {len(one.nodes)} operators")
    for node in graph.compute_nodes:
        if node.op_type in _ACTIVATIONS:
            yield Structure((node,), f"{node.op_type}, one operator")


def _lrns(graph: Graph) -> Iterator[Structure]:
    for one in spelled_lrns(graph):
        yield Structure(one.nodes, f"{one.size} channels wide")


def _patch_embeddings(graph: Graph) -> Iterator[Structure]:
    for one in patch_embeddings(graph):
        yield Structure((one.conv.node,), f"{_window(one.conv)}, stride {one.stride}, to {one.conv.out_channels}")


def _moves(*kinds: str) -> Finder:
    def found(graph: Graph) -> Iterator[Structure]:
        for one in moves(graph):
            if one.kind in kinds:
                yield Structure(one.nodes, f"{one.kind}: {_shape(graph, one.source)} to {_shape(graph, one.output)}")

    return found


def _packed_heads(graph: Graph) -> Iterator[Structure]:
    for one in packed_heads(graph):
        yield Structure(one.nodes, f"{len(one.parts)} parts of {'x'.join(map(str, one.shape))}")


def _bridges(graph: Graph) -> Iterator[Structure]:
    for one in bridges(graph):
        way = "to tokens" if one.to_tokens else "to the map"
        yield Structure(one.nodes, f"{one.tokens} tokens, {one.places} positions, {way}")


def _quantized(graph: Graph) -> Iterator[Structure]:
    integers = integer_sources(graph)
    for node in graph.compute_nodes:
        sources = [integers[name] for name in node.inputs if name in integers]
        if sources and node.op_type not in ("DequantizeLinear", "QuantizeLinear"):
            behind = [r for r in graph.readers(node.outputs[0]) if r.op_type == "QuantizeLinear"]
            yield Structure((*dict.fromkeys(sources), node, *behind), f"{node.op_type} on integers")


KINDS: Mapping[str, Finder] = {
    "residual": _residuals,
    "inverted-bottleneck": _inverted,
    "separable-pair": _separable,
    "split-transform-merge": _split_transform_merge,
    "squeeze-excite": _squeeze_excites,
    "channel-shuffle": _channel_shuffles,
    "dense-block": _dense_blocks,
    "one-shot-aggregation": _aggregations,
    "cross-stage-partial": _cross_stages,
    "parallel-linear-branches": _branches,
    "ghost-module": _ghosts,
    "patch-embedding": _patch_embeddings,
    "attention": _attentions,
    "bridge": _bridges,
    "packed-heads": _packed_heads,
    "normalization": _normalizations,
    "activation": _activations,
    "local-response-norm": _lrns,
    "unfold-fold": _moves("unfold", "fold"),
    "windows": _moves("windows", "windows-joined"),
    "maps-and-tokens": _moves("to-tokens", "to-map", "to-channels-last", "to-channels-first"),
    "quantized-operator": _quantized,
}
"""Kind → finder; the order is that of the printed table."""
