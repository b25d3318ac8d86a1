"""Channels that are no multiple of what the machine computes at once: it pads them and computes the padding too.

## What it does
Compares each compute-bound convolution and matrix product with the channel multiples of the device's array (NNIE 4 in
and 16 out, RK3588 32, tensor cores 8 in fp16) and adds up the time spent on padding. One finding for the model, with
the widths that waste most.

## Why it costs
An array of multiply-accumulators works on fixed blocks of channels: 58 output channels cost as much as 64 on a machine
that computes 16 at once. MobileDets (arXiv 2004.14525) and the vendors' guides choose widths by such multiples. Where
the profile says `internal`, the machine pads by itself; where it says `cliff`, unaligned shapes run slower.

## How to fix
Choose multiples near the widths, and retrain. What the fault is worth is the time of the padding, which the message
states; a narrower network gains more, but by giving up channels. The fix priced is the rounding, some widths up and
some down, that saves most without saving more than the padding takes. Where no rounding does (4 channels on an array
of 32), it is an info: filling the channels gives a wider network in the same time, not a faster one. On `cliff`
machines padding with zero channels is exact as long as nothing reduces over the channels.
Silent when padding takes less than 1 % of the latency; on kernels that wait for memory or the launch, whose time the
padding does not change; on grouped convolutions, whose groups are the fault (G2); on the three channels of an image,
the number of classes, single gates, and what is no width at all: the positions that token mixing multiplies, the heads
that talking heads mix.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from onnxlint.analysis import Analysis
from onnxlint.channels import channels_of
from onnxlint.finding import Declare, Edit, Finding, Fix
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS, MATRIX_PRODUCTS, weight_of
from onnxlint.patterns.axis_roles import POSITIONS, Axis, axis_roles, is_only, projected
from onnxlint.patterns.permutations import UNARY
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.units import percent, seconds
from onnxlint.whatif import saving, trial

RULE = Rule(code="CHN001", name="channel-multiple", severity="warning")
_LEAST_SHARE = 0.01
_MAX_WIDTHS = 4
_ROUND_DOWN = (1.0, 0.75, 0.5, 0.25, 0.1)
_Spot = tuple[TensorType, tuple[int, ...], bool]
"""A value's type, its axes of channels, and whether it is a weight."""
_NOT_CHOSEN = POSITIONS | {"head"}
_HEAD = UNARY | {"Flatten", "Reshape", "Squeeze", "Softmax", "LogSoftmax", "Add", "ReduceMean", "GlobalAveragePool"}


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all unaligned layers whose padding takes time."""
    wasted: dict[str, float] = {}
    padded: dict[str, float] = {}
    widths: Counter[int] = Counter()
    lost: dict[int, float] = {}
    for kernel, bound, taken in zip(ctx.kernels, ctx.analysis.bounds, ctx.times.mean(axis=1), strict=True):
        node = kernel.main
        if bound != "compute" or kernel.on_host or kernel.kernel_class == "grouped":
            continue
        share, unaligned = _padding(ctx, node)
        if not unaligned:
            continue
        wasted[node.key], padded[node.key] = share * float(taken), float(taken)
        widths.update(set(unaligned))
        for width in set(unaligned):
            lost[width] = lost.get(width, 0.0) + share * float(taken) / len(set(unaligned))
    total = sum(wasted.values())
    if not wasted or total < _LEAST_SHARE * ctx.total_s:
        return
    worst = sorted(lost, key=lambda width: -lost[width])
    multiple = _multiple(ctx)
    named = "; ".join(_named(width, multiple) for width in worst[:_MAX_WIDTHS])
    layers = _layers(len(wasted))
    computes = "compute" if len(wasted) > 1 else "computes"
    fixes = tuple(_fixes(ctx, padded, set(widths), multiple, total))
    yield Finding(
        message=(
            f"{layers} {computes} padding: {seconds(total)} = {percent(total / ctx.total_s)} of the latency; "
            f"{worst[0]} channels cost as {_up(worst[0], multiple)}"
        ),
        suggestion=f"When retraining, choose multiples of {multiple}: {named}.",
        nodes=tuple(sorted(wasted, key=lambda key: -wasted[key])),
        places=len(wasted),
        fixes=fixes,
        severity=None if fixes else "info",
        at_stake_s=total,
        details=tuple(
            f"{width} channels in {_layers(widths[width])}: {seconds(lost[width])} of padding" for width in worst
        ),
    )


def _fixes(ctx: Context, padded: Mapping[str, float], widths: set[int], multiple: int, padding: float) -> Iterator[Fix]:
    """Aligned widths that save no more than the `padding` takes, since the rest would be real channels.

    The search begins at the widths at which the `padded` layers by themselves would save that much. More of them are
    rounded up while the whole network saves more than that, else more of them down, as far as what the layers tell is
    left of it. Filling the channels comes first where it is exact.
    """
    spots = _spots(ctx.graph, widths)
    if ctx.device.alignment.mode == "cliff":
        edits = _retyped(spots, {width: _up(width, multiple) for width in widths})
        if _saving(ctx, edits)[0] > 0:
            yield Fix(f"fill the channels up to multiples of {multiple}", "exact", edits)
        return
    ways = [{width: _rounded(width, multiple, most) for width in widths} for most in _ROUND_DOWN]
    ways = [way for index, way in enumerate(ways) if way not in ways[:index]]
    expected = _spared(ctx, padded, ways)
    priced: dict[int, tuple[float, tuple[Edit, ...]]] = {}
    near: Analysis | None = None

    def saved(index: int) -> float:
        nonlocal near
        edits = _retyped(spots, ways[index])
        gain, near = _saving(ctx, edits, near)
        priced[index] = gain, edits
        return gain

    # more up while the whole network saves more than the padding takes
    last = len(ways) - 1
    at = start = next((index for index, spared in enumerate(expected) if spared <= padding), last)
    while saved(at) > padding:
        if at == last:
            return
        at += 1
    # else more down while what the layers say that adds is left of it, or while nothing is saved yet
    while 0 < at <= start:
        gain, more = priced[at][0], expected[at - 1] - expected[at]
        if (gain > 0 and gain + more > padding) or saved(at - 1) > padding:
            break
        at -= 1
    gain, edits = priced[at]
    if gain > 0:
        yield Fix(f"round the channels to multiples of {multiple}, some up, some down", "lossy", edits)


def _spared(ctx: Context, padded: Mapping[str, float], ways: list[dict[int, int]]) -> list[float]:
    """Seconds that the layers by themselves, given by key with the seconds of each, would save at each way's widths."""
    alignment = ctx.device.alignment
    taken: dict[tuple[int, int], float] = {}
    for key, spent in padded.items():
        channels = channels_of(ctx.graph, ctx.graph.node(key))
        if channels is not None:
            taken[channels[:2]] = taken.get(channels[:2], 0.0) + spent

    def computed(into: int, out: int) -> int:
        return _up(into, alignment.input_channels) * _up(out, alignment.output_channels)

    return [
        sum(
            spent * (1 - computed(way.get(into, into), way.get(out, out)) / computed(into, out))
            for (into, out), spent in taken.items()
        )
        for way in ways
    ]


def _saving(ctx: Context, edits: tuple[Edit, ...], near: Analysis | None = None) -> tuple[float, Analysis]:
    """Mean seconds saved; 0 where the layers of the edited graph do not fit together, so that some have no cost.

    `near` is the analysis after other widths for the same values; that after these is returned besides.
    """
    after = trial(ctx.analysis, edits, near)
    if any(after.costs.work(node) is None for node in after.graph.compute_nodes if node.op_type in ANCHORS):
        return 0.0, after
    return float(saving(ctx.analysis, edits).mean()), after


def _rounded(width: int, multiple: int, most: float) -> int:
    """Down where the width is above a multiple by at most that part of one, else up."""
    down = width // multiple * multiple
    return down if down and width - down <= most * multiple else _up(width, multiple)


def _up(width: int, multiple: int) -> int:
    return -(-width // multiple) * multiple


def _named(width: int, multiple: int) -> str:
    down = width // multiple * multiple
    return f"{width} to {down} or {_up(width, multiple)}" if down else f"{width} to {_up(width, multiple)}"


def _layers(count: int) -> str:
    return f"{count} layers" if count > 1 else "one layer"


def _multiple(ctx: Context) -> int:
    return math.lcm(ctx.device.alignment.input_channels, ctx.device.alignment.output_channels)


def _padding(ctx: Context, node: Node) -> tuple[float, list[int]]:
    """The part of a layer's work that is padding, and its unaligned widths, without those that nobody chooses."""
    channels = channels_of(ctx.graph, node)
    if channels is None or not all(map(ctx.graph.is_constant, node.inputs[1:2])):
        return 0.0, []
    into, out, is_depthwise, _ = channels
    alignment = ctx.device.alignment
    if (is_depthwise or into % alignment.input_channels == 0) and out % alignment.output_channels == 0:
        return 0.0, []
    before = _channels_read(ctx.graph, node)
    cost, real, unaligned = 1, 1, []
    for width, multiple, is_chosen in (
        (into, alignment.input_channels, not is_depthwise and into > 3 and not is_only(before, _NOT_CHOSEN)),
        (out, alignment.output_channels, out > 1 and not _is_given(ctx.graph, node, projected(before, out))),
    ):
        if is_chosen:
            padded = -(-width // multiple) * multiple
            cost, real = cost * padded, real * width
            if padded != width:
                unaligned.append(width)
    if alignment.mode == "cliff":
        return (1 - 1 / alignment.cliff_factor if unaligned else 0.0), unaligned
    return 1 - real / cost, unaligned


def _channels_read(graph: Graph, node: Node) -> Axis:
    """What the axis that the weights multiply counts."""
    axes = axis_roles(graph).get(node.inputs[0], ())
    place = -1 if node.op_type in MATRIX_PRODUCTS else 1
    return axes[place] if len(axes) > 1 else ()


def _is_given(graph: Graph, node: Node, after: Axis) -> bool:
    """The result's width is that of the outputs, or of positions and heads."""
    return is_only(after, _NOT_CHOSEN) or _is_last(graph, node)


def _is_last(graph: Graph, node: Node) -> bool:
    """Nothing but activations and views stands between the layer and an output of the graph."""
    value = node.outputs[0]
    for _ in range(8):
        if value in graph.is_output:
            return True
        readers = graph.readers(value)
        if len(readers) != 1 or readers[0].op_type not in _HEAD:
            return False
        value = readers[0].outputs[0]
    return False


def _spots(graph: Graph, widths: set[int]) -> dict[str, _Spot]:
    """Every activation and layer weight that has one of these widths, with the axes that may have it."""
    found: dict[str, _Spot] = {}

    def look(name: str, axes: tuple[int, ...]) -> None:
        known = graph.type_of(name)
        if known.is_known and any(known.dims[axis] in widths for axis in axes if axis < len(known.dims)):
            found[name] = known, axes, name in graph.weights

    for node in graph.compute_nodes:
        for name in node.outputs:
            rank = graph.type_of(name).rank or 0
            if rank > 1:
                look(name, (1,) if rank > 3 else (rank - 1,))
        if node.op_type in ANCHORS and len(node.inputs) > 1 and graph.is_constant(node.inputs[1]):
            look(weight_of(node), (0, 1))
    return found


def _retyped(spots: Mapping[str, _Spot], rounded: Mapping[int, int]) -> tuple[Edit, ...]:
    """Every such value at its rounded width, each by itself; layers alike share their types and are priced once."""
    types: dict[_Spot, TensorType] = {}
    for known, axes, is_weight in spots.values():
        dims = [rounded.get(size, size) if at in axes else size for at, size in enumerate(known.dims)]
        types.setdefault((known, axes, is_weight), TensorType(known.dtype, tuple(dims)))
    return tuple(Declare(name, types[spot], is_weight=spot[2]) for name, spot in spots.items())


_WIDE = """
net (float[1,{a},28,28] x) => (float[1,64,28,28] y)
<float[{a},{a},3,3] w1, float[{a},{a},3,3] w2, float[64,{a},1,1] w3> {{
  a = Conv<pads = [1, 1, 1, 1]>(x, w1)
  b = Conv<pads = [1, 1, 1, 1]>(a, w2)
  y = Conv(b, w3)
}}
"""
_TOKENS = """
mixing (float[1,3,224,224] x) => (float[1,196,384] y)
<float[384,3,16,16] e, int64[3] s = {1,384,196}, float[196,196] w, float[196] b, float[384,384] v> {
  m = Conv<strides = [16, 16]>(x, e)
  t = Reshape(m, s)
  p = MatMul(t, w)
  q = Add(b, p)
  r = Transpose<perm = [0, 2, 1]>(q)
  y = MatMul(r, v)
}
"""
_GATE = """
gate (float[1,3136,64] x) => (float[1,3136,64] y) <float[64,64] v, float[64,1] w> {
  q = MatMul(x, v)
  g = MatMul(q, w)
  s = Sigmoid(g)
  y = Mul(q, s)
}
"""
_HEADS = """
talking (float[1,192,14,14] x) => (float[1,4,196,48] y)
<float[576,192,1,1] w, int64[4] s = {1,12,48,196}, float[4,4] mix> {
  p = Conv(x, w)
  r = Reshape(p, s)
  q, k, v = Split<axis = 1>(r)
  t = Transpose<perm = [0, 1, 3, 2]>(q)
  scores = MatMul(t, k)
  last = Transpose<perm = [0, 2, 3, 1]>(scores)
  mixed = MatMul(last, mix)
  first = Transpose<perm = [0, 3, 1, 2]>(mixed)
  a = Softmax<axis = -1>(first)
  u = Transpose<perm = [0, 1, 3, 2]>(v)
  y = MatMul(a, u)
}
"""
VALID = [
    Valid(_WIDE.format(a=128), device="hi3519"),
    # the positions of token mixing, the heads that are mixed, the one number of a gate: nobody chooses them
    Valid(_HEADS, device="rk3588"),
    Valid(_TOKENS, device="rk3588"),
    Valid(_GATE, device="rk3588"),
]
INVALID = [Invalid(_WIDE.format(a=136), device="hi3519", places=2)]
