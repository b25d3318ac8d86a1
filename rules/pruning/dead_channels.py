"""Channels that carry nothing but a constant

## What it does
Reads the weights of dense convolutions and the scales of BatchNorms, and finds the channels that are zero: filters of
zeros, and γ of zero. Their output is a constant: the bias, or β. It follows that constant through normalisation and
activation, and where a dense convolution reads it, prices both convolutions without the channel. A filter whose largest
weight is a millionth of the layer's is near zero.

## Why it costs
A dead channel is computed, written, read and multiplied like any other. Training with weight decay or an L1 penalty on
γ makes them: Network Slimming (arXiv 1708.06519) removes 70 % of VGG's channels that way without loss.

## How to fix
Remove the filter here and the input channel in the convolution behind it. Where the constant is 0 after the activation
(no bias, or one that ReLU clips), the outputs stay the same. A constant other than 0 moves into the next bias where
that convolution has no padding; with padding the border differs, and the channel stays.

## Where it is silent
Channels that a residual sum or a concatenation holds are counted, not removed. Layers that are zero throughout come
from an export before training (the last γ of each block starts at zero): they say nothing, and are named as an info.
Grouped convolutions. Without the weights' values it does not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from onnxlint.finding import Edit, Finding, Fix
from onnxlint.graph import Node
from onnxlint.patterns.constant_channels import follow, normalized
from onnxlint.patterns.convolutions import sizes, standalone
from onnxlint.patterns.permutations import is_dense, only_reader
from onnxlint.patterns.weight_statistics import dead_channels
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="PRN001", name="dead-channels", severity="warning", needs_weights=True)


@dataclass(slots=True)
class _Found:
    """What the layers say: dead channels, and how many fewer each convolution writes and reads without them."""

    dead: dict[str, int] = field(default_factory=dict)
    untrained: list[str] = field(default_factory=list)
    fewer_out: dict[str, int] = field(default_factory=dict)
    fewer_in: dict[str, int] = field(default_factory=dict)
    is_exact: bool = True


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all dead channels, an info for layers that were never trained."""
    found = _Found()
    for node in ctx.graph.compute_nodes:
        if node.op_type == "Conv" and is_dense(ctx.graph, node):
            _look(ctx, node, node, found)
        elif node.op_type == "BatchNormalization" and not node.domain and len(node.inputs) > 2:
            writer = ctx.graph.producer(node.inputs[0])
            is_alone = writer is not None and only_reader(ctx.graph, node.inputs[0]) is node
            if writer is not None and is_alone and writer.op_type == "Conv" and is_dense(ctx.graph, writer):
                _look(ctx, writer, node, found)
    if found.dead:
        yield _finding(ctx, found)
    if found.untrained:
        yield Finding(
            message=f"{plural(len(found.untrained), 'layer')} of zeros throughout: an export before training?",
            suggestion="The last BatchNorm of a block starts with γ = 0. The weights of this file say nothing of a "
            "trained network.",
            nodes=tuple(found.untrained),
            places=len(found.untrained),
            severity="info",
        )


def _look(ctx: Context, conv: Node, node: Node, found: _Found) -> None:
    """Note the dead channels of a convolution's filters, or of the BatchNorm `node` behind it."""
    dead = ctx.weights.measured(dead_channels, node.inputs[1])
    if dead is None or not (dead.exact or dead.near):
        return
    if len(dead.exact) == dead.channels:
        found.untrained.append(node.key)
        return
    channels = np.array(sorted((*dead.exact, *dead.near)))
    if node is conv:
        bias = ctx.weights(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(dead.channels)
        constants = bias[channels].astype(np.float64) if bias is not None and bias.shape == (dead.channels,) else None
    else:
        constants = normalized(ctx.weights, node, channels, np.zeros(len(channels)))
    found.dead[node.key] = len(channels)
    arrived = follow(ctx.graph, ctx.weights, node, channels, constants) if constants is not None else None
    removable = int(arrived.is_removable.sum()) if arrived is not None else 0
    if arrived is None or not removable or conv.key in found.fewer_out:
        return
    found.fewer_out[conv.key] = removable
    found.fewer_in[arrived.reader.key] = removable
    found.is_exact &= not dead.near


def _finding(ctx: Context, found: _Found) -> Finding:
    total, removable = sum(found.dead.values()), sum(found.fewer_out.values())
    fix = _fix(ctx, found)
    held = f"; {total - removable} are held by sums, concatenations or padded borders" if total > removable else ""
    most = max(found.dead, key=lambda key: found.dead[key])
    same = "the outputs stay the same" if found.is_exact else "the outputs change by about a millionth"
    return Finding(
        message=f"{plural(total, 'dead channel')} in {plural(len(found.dead), 'layer')}: nothing but a constant leaves "
        f"{'them' if total > 1 else 'it'}",
        suggestion=f"{removable} can be removed, {same}{held}.\nMost in {most}: {found.dead[most]}.",
        nodes=tuple(found.dead),
        places=total,
        fixes=(fix,) if fix is not None else (),
    )


def _fix(ctx: Context, found: _Found) -> Fix | None:
    """Both convolutions of each removed channel at their new widths."""
    edits: list[Edit] = []
    for kernel in ctx.kernels:
        key = kernel.main.key
        fewer_in, fewer_out = found.fewer_in.get(key, 0), found.fewer_out.get(key, 0)
        conv = sizes(ctx.graph, kernel.main) if fewer_in or fewer_out else None
        if conv is None or kernel.nodes[0] is not kernel.main:
            continue
        new = replace(conv, in_channels=conv.in_channels - fewer_in, out_channels=conv.out_channels - fewer_out)
        if new.in_channels > 0 and new.out_channels > 0:
            edits += standalone(ctx.graph, kernel.nodes, new, RULE.code).edits
    if not edits:
        return None
    removed = sum(found.fewer_out.values())
    return Fix(f"without {plural(removed, 'dead channel')}", "exact" if found.is_exact else "close", tuple(edits))


def _half(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weight = rng.standard_normal(shape)
    weight[: shape[0] // 2] = 0
    return weight


_PAIR = """pair (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] v, float[64,64,3,3] w> {
    a = Conv <pads = [1,1,1,1]> (x, v)
    b = Relu (a)
    y = Conv <pads = [1,1,1,1]> (b, w)
}"""
VALID = [
    Valid(
        _PAIR,
        device="hi3519",
        weights=dict.fromkeys("vw", lambda rng, shape: rng.standard_normal(shape)),
    ),
]
INVALID = [
    Invalid(
        _PAIR,
        device="hi3519",
        places=32,
        severity="warning",
        weights={"v": _half, "w": lambda rng, shape: rng.standard_normal(shape)},
    ),
]
