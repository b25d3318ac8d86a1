"""Grouped 1x1 convolutions in a row that never mix their groups

## What it does
Follows the result of each pointwise group convolution through everything that keeps channels where they are
(activations, BatchNorm, depthwise and grouped convolutions, gates, pooling over space) to the next pointwise group
convolution. If the two share a division of the channels, each output of the second sees only the inputs of its own
group.

## Why it costs
ShuffleNetV1 (arXiv 1707.01083, section 3): with group convolutions stacked, "outputs from a certain channel are only
derived from a small fraction of input channels"; information does not flow between the groups, which weakens the
representation (quoted from memory of the paper's text, not checked word by word). The network becomes g thin networks
side by side that pay for one wide one.

## How to fix
A channel shuffle behind the first convolution, or one dense 1x1 in place of the second. Both cost time instead of
saving it; the finding is priced with either, on this device. A shuffle has to be trained in, so neither keeps the
outputs. Two groups of channels may be separate on purpose (two cameras, two tasks): then ignore it.

## Where it is silent
Where a channel shuffle (any Reshape or Transpose), a Concat, a Split, a dense convolution, a matrix product or the
sum with another path (a shortcut may bring in channels that were mixed) lies between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Reconnect
from onnxlint.graph import Graph, Node
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.convolutions import ConvSizes, sizes, standalone
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType

RULE = Rule(code="CNV004", name="group-without-shuffle", severity="warning")

_POOLS = frozenset({"AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Upsample"})
_PASSING = ELEMENTWISE | _POOLS | {"BatchNormalization", "InstanceNormalization", "Identity", "Dropout"}
_MAX_BETWEEN = 32


@dataclass(frozen=True, slots=True)
class _Row:
    first: ConvSizes
    second: ConvSizes
    groups: int


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all pairs of grouped convolutions with nothing between them that mixes."""
    rows = list(_rows(ctx.graph))
    if not rows:
        return
    row = rows[0]
    channels = row.second.in_channels
    kernels = {kernel.main.key: kernel.nodes for kernel in ctx.kernels}
    dense = [
        standalone(ctx.graph, kernels[r.second.node.key], replace(r.second, groups=1), RULE.code)
        for r in rows
        if r.second.node.key in kernels
    ]
    yield Finding(
        message=f"{len(rows)} grouped 1x1 convolutions see only their own group's channels",
        suggestion=f"{row.second.node.key} reads {channels // row.groups} of {channels} channels per output, "
        f"as {row.first.node.key} does before it.\nShuffle the channels between them, or make one of the two dense.",
        nodes=tuple(dict.fromkeys(conv.node.key for row in rows for conv in (row.first, row.second))),
        places=len(rows),
        fixes=(
            Fix(
                f"{len(rows)} channel shuffles between them", "lossy", tuple(e for r in rows for e in _shuffle(ctx, r))
            ),
            Fix(f"{len(rows)} dense 1x1 convolutions", "lossy", tuple(edit for swap in dense for edit in swap.edits)),
        ),
        severity="warning",
        details=tuple(f"{r.first.node.key} -> {r.second.node.key}: {r.groups} groups" for r in rows[:6]),
    )


def _rows(graph: Graph) -> Iterator[_Row]:
    seen: set[str] = set()
    for node in graph.compute_nodes:
        first = _grouped(graph, node)
        if first is None:
            continue
        for second in _reached(graph, first):
            groups = math.gcd(first.groups, second.groups)
            if groups > 1 and second.in_channels == first.out_channels and second.node.key not in seen:
                seen.add(second.node.key)
                yield _Row(first, second, groups)


def _grouped(graph: Graph, node: Node) -> ConvSizes | None:
    conv = sizes(graph, node)
    return conv if conv is not None and conv.is_pointwise and conv.groups > 1 and not conv.is_depthwise else None


def _reached(graph: Graph, first: ConvSizes) -> Iterator[ConvSizes]:
    """The grouped pointwise convolutions that the result comes to with its channels in place."""
    pending, passed = [first.node], 0
    while pending and passed < _MAX_BETWEEN:
        node = pending.pop()
        passed += 1
        for reader in graph.readers(node.outputs[0]):
            conv = sizes(graph, reader)
            second = _grouped(graph, reader)
            if second is not None and node.outputs[0] == reader.inputs[0]:
                yield second
                continue
            is_separate = conv is not None and conv.groups > 1 and math.gcd(conv.groups, first.groups) > 1
            if is_separate or (reader.op_type in _PASSING and _keeps_channels(graph, reader, node.outputs[0])):
                pending.append(reader)


def _keeps_channels(graph: Graph, node: Node, name: str) -> bool:
    """The node's result has the value's channels and nothing but them: a sum with another path may be mixed already."""
    computed = {value for value in node.inputs if value and not graph.is_constant(value)}
    if len(computed) > 1 and node.op_type != "Mul":
        return False
    old, new = graph.type_of(name).shape, graph.type_of(node.outputs[0]).shape
    return old is not None and new is not None and len(old) == len(new) > 1 and old[1] == new[1]


def _shuffle(ctx: Context, row: _Row) -> list[Edit]:
    """Reshape, Transpose, Reshape behind the first convolution's kernel."""
    analysis, graph = ctx.analysis, ctx.graph
    out = analysis.kernels[analysis.kernel_of[row.first.node.key]].nodes[-1].outputs[0]
    known = graph.type_of(out)
    batch, channels, *positions = known.dims
    split = (batch, row.groups, channels // row.groups, *positions)
    swapped = (batch, channels // row.groups, row.groups, *positions)
    names = [f"{out}~{RULE.code}.{step}" for step in ("split", "swapped", "shuffled")]
    types = [TensorType(known.dtype, split), TensorType(known.dtype, swapped), known]
    order = [0, 2, 1, *range(3, len(split))]
    return [
        *(Declare(name, kind) for name, kind in zip(names, types, strict=True)),
        Reconnect(out, names[2]),
        Insert("Reshape", (out,), (names[0],)),
        Insert("Transpose", (names[0],), (names[1],), (("perm", order),)),
        Insert("Reshape", (names[1],), (names[2],)),
    ]


VALID = [
    # a shuffle between
    Valid(
        """shuffled (float[1,64,28,28] x) => (float[1,64,28,28] y)
        <float[64,16,1,1] w, float[64,16,1,1] v, float[1,4,16,28,28] b, float[1,16,4,28,28] c, float[1,64,28,28] d> {
            a = Conv <group = 4> (x, w)
            s5 = Constant <value_ints = [1,4,16,28,28]> ()
            s4 = Constant <value_ints = [1,64,28,28]> ()
            b = Reshape (a, s5)
            c = Transpose <perm = [0,2,1,3,4]> (b)
            d = Reshape (c, s4)
            y = Conv <group = 4> (d, v)
        }"""
    ),
    # the second convolution is dense
    Valid(
        """dense (float[1,64,28,28] x) => (float[1,64,28,28] y) <float[64,16,1,1] w, float[64,64,1,1] v> {
            a = Conv <group = 4> (x, w)
            b = Relu (a)
            y = Conv (b, v)
        }"""
    ),
]
INVALID = [
    Invalid(
        """row (float[1,64,28,28] x) => (float[1,64,28,28] y)
        <float[64,16,1,1] w, float[64,1,3,3] u, float[64,16,1,1] v> {
            a = Conv <group = 4> (x, w)
            b = Relu (a)
            c = Conv <group = 64, pads = [1,1,1,1]> (b, u)
            y = Conv <group = 4> (c, v)
        }""",
        severity="warning",
    ),
]
