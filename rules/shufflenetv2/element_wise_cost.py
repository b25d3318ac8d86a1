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
Exact: an activation behind a Concat moves before it, into the convolutions that feed it. With retraining: an activation
that the device does not fuse becomes one that it does; the ReLU behind a shortcut's Add, which no convolution takes in
where residual sums are not fused, is left out. Each is priced for all its places together, and offered where it saves
at least a tenth of what is at stake.

## Where it is silent
Below 5 % of the latency; on what runs on the host (OPS001); on sums of parallel linear branches, which are one
convolution (STR001); on depthwise convolutions, which the paper counts here too (CNV001). An info where no such change
is known (fewer shortcuts and concatenations are a matter of the architecture), and where one that needs retraining
saves less than a tenth of the latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Edit, Finding, Fix, Insert, Reconnect, Remove, Safety
from onnxlint.gains import gain, gaining
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS, Kernel
from onnxlint.operators import ELEMENTWISE
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.patterns.parallel import merges
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="G4", name="element-wise-cost", severity="warning")

MIN_SHARE = 0.05
"""The part of the latency from which they are reported."""
MIN_COVERED = 0.1
"""The part of what is at stake that a change must save to be offered."""
MIN_LOSSY_GAIN = 0.1
"""The part of the latency that a change which needs retraining must save to be a warning."""
_COPIES = frozenset({"Concat", "Split", "Slice"})
_COUNTED = ELEMENTWISE | _COPIES | {"BatchNormalization"}
_CURVED = frozenset(
    {
        *("Sigmoid", "HardSigmoid", "Tanh", "Erf", "Softplus", "Softsign", "HardSwish", "Swish", "Mish", "Gelu"),
        *("Elu", "Selu", "Celu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Clip", "QuickGelu", "FastGelu", "BiasGelu"),
    }
)
"""What makes a few element-wise operators an activation."""
_RECTIFIERS = frozenset({"Relu", "Clip", "LeakyRelu", "PRelu"})
_MAX_ACTIVATION = 8
_LISTED = 6


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all element-wise kernels of the model."""
    linear = {node.key for merge in merges(ctx.graph) for node in merge.nodes}
    own = [
        i
        for i, k in enumerate(ctx.kernels)
        if not (k.is_free or k.on_host) and k.main.op_type in _COUNTED and k.main.key not in linear
    ]
    seconds = float(ctx.analysis.seconds(own).mean())
    share = seconds / ctx.total_s if own and ctx.total_s else 0.0
    if share < MIN_SHARE:
        return
    moved = sum(cost.memory_access_bytes for cost in ctx.analysis.kernel_costs) or 1
    moved_own = sum(ctx.analysis.kernel_costs[index].memory_access_bytes for index in own)
    kinds: Counter[str] = Counter()
    means = ctx.times.mean(axis=1).tolist()
    for index in own:
        kinds[ctx.kernels[index].label] += int(1e9 * means[index])
    parts = ", ".join(f"{kind} {100 * t / 1e9 / ctx.total_s:.1f} %" for kind, t in kinds.most_common(3))
    fixes = gaining(ctx.analysis, _fixes(ctx, [ctx.kernels[index] for index in own], linear), MIN_COVERED * seconds)
    nodes = [ctx.kernels[index].main.key for index in own]
    is_exact = any(fix.safety == "exact" for fix in fixes)
    is_pressing = is_exact or any(gain(ctx.analysis, fix) > MIN_LOSSY_GAIN * ctx.total_s for fix in fixes)
    ranked = sorted(own, key=lambda index: -means[index])
    yield Finding(
        message=f"{plural(len(own), 'element-wise kernel')} of {'its' if len(own) == 1 else 'their'} own: "
        f"{100 * share:.0f} % of the time, {100 * moved_own / moved:.0f} % of the memory traffic",
        suggestion=f"By kind, of the latency: {parts}.\nCould vanish: {'; '.join(fix.title for fix in fixes)}."
        if fixes
        else f"Could vanish: none found ({parts} of the latency).",
        nodes=tuple(nodes),
        places=len(own),
        fixes=fixes,
        severity=None if is_pressing else "info",
        details=tuple(f"{ctx.kernels[i].main.key}: {ctx.kernels[i].label}" for i in ranked[:_LISTED]) if fixes else (),
    )


def _fixes(ctx: Context, kernels: list[Kernel], linear: set[str]) -> Iterator[Fix]:
    fusable = frozenset(ctx.device.fusion.epilogue)
    main_of = {node.key: kernel.main for kernel in ctx.kernels for node in kernel.nodes}
    moved: list[tuple[Edit, ...]] = []
    swapped: dict[str, tuple[Edit, ...]] = {}
    dropped: list[tuple[Edit, ...]] = []
    for node in (kernel.main for kernel in kernels):
        before = ctx.graph.producer(node.inputs[0])
        if node.op_type not in ELEMENTWISE or before is None or len(_computed(ctx.graph, node)) != 1:
            continue
        alone = ctx.graph.sole_reader(node.inputs[0]) is node
        if before.op_type == "Concat" and alone and node.op_type in fusable and _all_fuse(ctx.graph, before):
            moved.append(_before_concat(before, node))
        elif alone and node.op_type in _RECTIFIERS and _is_shortcut(ctx.graph, before) and before.key not in linear:
            dropped.append((Remove(node.key), Reconnect(node.outputs[0], before.outputs[0])))
        elif "Relu" not in fusable or node.inputs[0] in swapped:
            continue
        elif before.key in main_of and main_of[before.key].op_type in ANCHORS:
            swapped[node.inputs[0]] = _as_relu(ctx.graph, node.inputs[0])
    yield from _fix(moved, "activation", "moved before the Concat", "exact")
    yield from _fix(
        [edits for edits in swapped.values() if edits], "activation", "replaced by Relu, which is fused here", "lossy"
    )
    yield from _fix(dropped, "activation", "behind a shortcut's Add left out", "lossy")


def _is_shortcut(graph: Graph, node: Node) -> bool:
    """A sum of two computed values: one with a constant is a bias."""
    return node.op_type == "Add" and len(_computed(graph, node)) == 2


def _fix(edits: list[tuple[Edit, ...]], noun: str, what: str, safety: Safety) -> Iterator[Fix]:
    if edits:
        yield Fix(f"{plural(len(edits), noun)} {what}", safety, tuple(edit for place in edits for edit in place))


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


def _as_relu(graph: Graph, value: str) -> tuple[Edit, ...]:
    """A Relu for the activation of a value, in one node or in several (SiLU, GELU); nothing where it is none."""
    nodes: list[Node] = []
    inside = {value}
    for _ in range(_MAX_ACTIVATION):
        if any(len(graph.consumers(name)) > _MAX_ACTIVATION for name in inside):
            return ()
        ahead = [n for name in inside for n in graph.consumers(name) if n not in nodes]
        node = min(ahead, key=lambda n: graph.position[n.key], default=None)
        if node is None or node.op_type not in ELEMENTWISE or not _computed(graph, node) <= inside:
            return ()
        nodes.append(node)
        inside.add(node.outputs[0])
        used_up = inside - {node.outputs[0]}
        if used_up & graph.is_output:
            return ()
        if all(reader in nodes for name in used_up for reader in graph.consumers(name)):
            if not any(one.op_type in _CURVED for one in nodes):
                return ()
            return (*(Remove(one.key) for one in nodes), Insert("Relu", (value,), nodes[-1].outputs))
    return ()


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
    # a convolution, a smaller one and the identity, unmerged: STR001
    Valid(
        """unmerged (float[1,64,56,56] x) => (float[1,64,56,56] z)
        <float[64,64,3,3] w, float[64,64,1,1] v, float[64] s, float[64] o, float[64] m, float[64] d> {
            a = Conv <pads = [1,1,1,1]> (x, w)
            b = Conv (x, v)
            i = BatchNormalization (x, s, o, m, d)
            c = Add (a, b)
            y = Add (c, i)
            z = Relu (y)
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
