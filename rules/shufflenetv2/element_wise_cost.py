"""Element-wise operators that run as passes of their own

## What it does
Adds up the element-wise operators (Add, Mul, activations, unfused BatchNormalization) and the copies (Concat, Split,
Slice) that this device runs as kernels of their own, by their share of time and of memory traffic, never of FLOPs. It
reports them from 5 % of the latency up, and looks for those that can vanish.

## Why it costs
G4 of ShuffleNetV2 (arXiv 1807.11164): such operators "have small FLOPs but relatively heavy" memory access. A ReLU
reads and writes every element for one operation on it. In its Table 4, a stack of ten bottleneck units gains 17 % at
32 channels on a GTX 1080 Ti (2427 to 2842 batches a second) without ReLU and shortcut, 17 % on a Snapdragon 810 (56.7
to 66.3 images a second). What the device computes inside a convolution's kernel costs next to nothing and is not
counted.

## How to fix
Exact: an activation behind a Concat moves before it, into the convolutions that feed it. With retraining: an
activation that the device does not fuse becomes one that it does; the ReLU behind a shortcut's Add, which no
convolution takes in where residual sums are not fused, is left out. Each is priced for all its places together.

## Where it is silent
Below 5 % of the latency; on what runs on the host (OPS001); on depthwise convolutions, which the paper counts here
too (CNV001). Where nothing can vanish it is an info: fewer shortcuts and concatenations are a matter of the
architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Edit, Finding, Fix, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS, Kernel
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="G4", name="element-wise-cost", severity="warning")

MIN_SHARE = 0.05
"""The part of the latency from which they are reported."""
_COPIES = frozenset({"Concat", "Split", "Slice"})
_COUNTED = ELEMENTWISE | _COPIES | {"BatchNormalization"}
_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all element-wise kernels of the model."""
    own = [i for i, k in enumerate(ctx.kernels) if not (k.is_free or k.on_host) and k.main.op_type in _COUNTED]
    seconds = float(ctx.analysis.seconds(own).mean())
    share = seconds / ctx.total_s if own and ctx.total_s else 0.0
    if share < MIN_SHARE:
        return
    moved = sum(cost.memory_access_bytes for cost in ctx.analysis.kernel_costs) or 1
    moved_own = sum(ctx.analysis.kernel_costs[index].memory_access_bytes for index in own)
    kinds: Counter[str] = Counter()
    for index in own:
        kinds[ctx.kernels[index].label] += int(1e9 * ctx.times[index].mean())
    parts = ", ".join(f"{kind} {100 * t / 1e9 / ctx.total_s:.1f} %" for kind, t in kinds.most_common(3))
    fixes = tuple(_fixes(ctx, [ctx.kernels[index] for index in own]))
    remedy = "; ".join(fix.title for fix in fixes) if fixes else "none of them can be fused or moved into a convolution"
    ranked = sorted(own, key=lambda index: -float(ctx.times[index].mean()))
    yield Finding(
        message=f"{len(own)} element-wise kernels of their own: {100 * share:.0f} % of the time, "
        f"{100 * moved_own / moved:.0f} % of the memory traffic",
        suggestion=f"By kind, of the latency: {parts}.\nCould vanish: {remedy}.",
        nodes=tuple(ctx.kernels[index].main.key for index in own),
        places=len(own),
        fixes=fixes,
        severity=None if fixes else "info",
        details=tuple(f"{ctx.kernels[i].main.key}: {ctx.kernels[i].label}" for i in ranked[:_LISTED]),
    )


def _fixes(ctx: Context, kernels: list[Kernel]) -> Iterator[Fix]:
    fusable = frozenset(ctx.device.fusion.epilogue)
    main_of = {node.key: kernel.main for kernel in ctx.kernels for node in kernel.nodes}
    moved: list[tuple[Edit, ...]] = []
    swapped: list[tuple[Edit, ...]] = []
    dropped: list[tuple[Edit, ...]] = []
    for node in (kernel.main for kernel in kernels):
        before = ctx.graph.producer(node.inputs[0])
        if node.op_type not in ELEMENTWISE or before is None or len(_computed(ctx.graph, node)) != 1:
            continue
        alone = ctx.graph.sole_reader(node.inputs[0]) is node
        if before.op_type == "Concat" and alone and node.op_type in fusable and _all_fuse(ctx.graph, before):
            moved.append(_before_concat(before, node))
        elif before.op_type == "Add" and alone and node.op_type in ("Relu", "Clip", "LeakyRelu", "PRelu"):
            dropped.append((Remove(node.key), Reconnect(node.outputs[0], before.outputs[0])))
        elif "Relu" in fusable and before.key in main_of and main_of[before.key].op_type in ANCHORS:
            swapped += _as_relu(ctx.graph, node)
    yield from _fix(moved, "activations moved before the Concat", "exact")
    yield from _fix(swapped, "activations replaced by Relu, which is fused here", "lossy")
    yield from _fix(dropped, "activations behind a shortcut's Add left out", "lossy")


def _fix(edits: list[tuple[Edit, ...]], what: str, safety: str) -> Iterator[Fix]:
    if edits:
        yield Fix(
            f"{len(edits)} {what}", "exact" if safety == "exact" else "lossy", tuple(e for es in edits for e in es)
        )


def _computed(graph: Graph, node: Node) -> set[str]:
    return {name for name in node.inputs if name and not graph.is_constant(name)}


def _all_fuse(graph: Graph, concat: Node) -> bool:
    """Every input of the Concat comes straight from a convolution or matrix product and goes nowhere else."""
    writers = [graph.producer(name) for name in concat.inputs]
    return all(writer is not None and writer.op_type in ANCHORS for writer in writers) and all(
        graph.sole_reader(name) is concat for name in concat.inputs
    )


def _before_concat(concat: Node, node: Node) -> tuple[Edit, ...]:
    parts = tuple(f"{name}~{RULE.code}" for name in concat.inputs)
    edits: list[Edit] = [Remove(concat.key), Remove(node.key)]
    for name, part in zip(concat.inputs, parts, strict=True):
        edits.append(Insert(node.op_type, (name, *node.inputs[1:]), (part,), attributes_of(node), node.domain))
    edits.append(Insert("Concat", parts, node.outputs, attributes_of(concat)))
    return tuple(edits)


def _as_relu(graph: Graph, node: Node) -> Iterator[tuple[Edit, ...]]:
    """The activation, or the Sigmoid and Mul of a SiLU, as a Relu; nothing where the value is read elsewhere."""
    readers = graph.readers(node.inputs[0])
    if node.op_type != "Relu" and readers == [node]:
        yield Remove(node.key), Insert("Relu", node.inputs[:1], node.outputs)
    elif node.op_type == "Sigmoid" and len(readers) == 2:
        gate = graph.sole_reader(node.outputs[0])
        if gate is not None and gate.op_type == "Mul" and gate in readers:
            yield Remove(node.key), Remove(gate.key), Insert("Relu", node.inputs[:1], gate.outputs)


VALID = [
    # the activation runs within the convolution
    Valid(
        """fused (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] w> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            y = Relu (a)
        }"""
    ),
    # the Add runs within the convolution, too
    Valid(
        """residual (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] w> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Add (a, x)
            y = Relu (b)
        }""",
        device="t4",
    ),
]
INVALID = [
    # the Relu behind the Concat would run within the two convolutions before it
    Invalid(
        """late (float[1,64,56,56] x) => (float[1,128,56,56] y) <float[64,64,1,1] w, float[64,64,3,3] v> {
            a = Conv (x, w)
            b = Conv <pads = [1,1,1,1]> (x, v)
            c = Concat <axis = 1> (a, b)
            y = Relu (c)
        }""",
        device="hi3519",
        places=2,
        severity="warning",
    ),
]
