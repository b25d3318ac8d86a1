"""Free dims on a device whose compiler needs every size.

## What it does
Finds inputs with dims that the file leaves open (a name or nothing in place of a number), and values whose size
only the data tells (NonZero, non-maximum suppression, a TopK of a computed k), on devices with `static_shapes` in
their profile.

## Why it costs
NNIE, Horizon, RKNN, Ambarella and Edge TPU compile one memory plan for one shape: an open dim is an error in the
converter, or falls back to the host. onnxlint has to assume a size for it, and prices that assumption.

## How to fix
Freeze the dims in the export (leave `dynamic_axes` or `dynamic_shapes` out). `--dim NAME=VALUE` or `--shape
INPUT=1x3x224x224` does the same for this report. What depends on the data needs a fixed number of places instead: TopK
of a constant k, non-maximum suppression outside the network. There is no price: the device runs nothing before.
Silent on devices that take dynamic shapes (GPUs and CPUs), and once `--dim` or `--shape` binds the dims.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding
from onnxlint.graph import Graph, Node
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.validity import INVALID as CONTRADICTS

RULE = Rule(code="OPS004", name="dynamic-shape", severity="warning")
_MAX_NAMES = 3


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the inputs' free dims, one for values of unknown size."""
    if not ctx.device.operators.static_shapes:
        return
    name, graph = ctx.device.name, ctx.graph
    if ctx.assumed:
        readers = {node.key: None for value in graph.inputs for node in graph.readers(value)}
        many = f"{len(ctx.assumed)} free dims" if len(ctx.assumed) > 1 else "a free dim"
        yield Finding(
            message=f"the inputs have {many}, and {name} needs every size: {', '.join(ctx.assumed)} assumed",
            suggestion=f"Export with fixed sizes; for this report: onnxlint MODEL --device {name} {_options(ctx)}",
            nodes=tuple(readers),
            places=len(ctx.assumed),
            severity="warning",
        )
    unresolved = [value for value in graph.unresolved if graph.producer(value) is not None]
    if unresolved:
        nodes = dict.fromkeys(node.key for value in unresolved if (node := graph.producer(value)) is not None)
        first = _origin(graph, graph.node(next(iter(nodes)))).op_type
        more = "Give it a constant number of places (TopK of a constant k), or cut the network before it."
        if first.endswith(CONTRADICTS):
            bad = first.removesuffix(CONTRADICTS)
            more = f"No runtime takes this {bad}: mend it where the model is made, and export it anew."
        many = f"{len(unresolved)} values" if len(unresolved) > 1 else "a value"
        yield Finding(
            message=f"{many} of a size that the model does not tell, from {first} on: {name} needs every size",
            suggestion=more,
            nodes=tuple(nodes),
            places=len(nodes),
            severity="warning",
            details=tuple(unresolved[:_MAX_NAMES]),
        )


def _origin(graph: Graph, node: Node) -> Node:
    """The node, or what contradicts its inputs among the constants that it reads."""
    pending, seen = [node], {node.key}
    while pending:
        one = pending.pop()
        if one.op_type.endswith(CONTRADICTS):
            return one
        for name in filter(None, one.inputs):
            writer = graph.producer(name)
            if writer is not None and writer.key not in seen and not graph.type_of(name).is_known:
                seen.add(writer.key)
                pending.append(writer)
    return node


def _options(ctx: Context) -> str:
    """The command that freezes what was assumed: `--dim` for a name, the whole `--shape` without one."""
    options: list[str] = []
    for assumption in ctx.assumed:
        dim, _, _ = assumption.rpartition("=")
        value = next((name for name in ctx.graph.inputs if dim.startswith(f"{name}[")), None)
        if value is None:
            options.append(f"--dim {assumption}")
        else:
            shape = ctx.graph.type_of(value).shape or ()
            options.append(f"--shape {value}={'x'.join(map(str, shape))}")
    return " ".join(dict.fromkeys(options))


_FREE = """
net (float[N,3,224,224] x) => (float[N,16,112,112] y)
<float[16,3,3,3] w> {
  y = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, w)
}
"""
VALID = [
    Valid(_FREE, device="t4"),
    Valid("net (float[1,3,8,8] x) => (float[1,3,8,8] y) { y = Relu(x) }", device="hi3519"),
]
INVALID = [Invalid(_FREE, device="hi3519", severity="warning")]
