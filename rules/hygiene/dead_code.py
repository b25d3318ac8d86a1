"""What the file holds and nothing reads.

## What it does
Finds nodes that no output of the graph depends on, stored weights that no such node reads, functions that nothing
calls and opset imports whose domain nothing uses (of the main graph; names only, weights are not opened).

## Why it costs
ONNX Runtime and TensorRT drop dead nodes and weights when they load the model; until then they are carried, stored and
checked. Toolchains that come from Caffe take every value that nothing reads for an output of the network, and compute
it. An import of a domain's newer version makes ONNX Runtime refuse the model, used or not (tried with ai.onnx.ml). The
price is of a toolchain that runs what the file holds.

## How to fix
Leave them out: exact. 40 MB of weights that nothing reads are 40 MB less to ship. `onnx.utils.extract_model` from the
inputs to the outputs, or any simplifier, does it.
Never more than an info: no output depends on any of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix, Remove
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.text import printable
from onnxlint.units import plural, size

RULE = Rule(code="GRF006", name="dead-code", severity="info")
_HEAVY_BYTES = 1 << 20


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of it."""
    unused = ctx.unused
    nodes = [key for key in unused.nodes if key in ctx.graph.position]
    parts: list[str] = []
    for found, noun in (
        (unused.nodes, "node"),
        (unused.weights, "weight"),
        (unused.functions, "function"),
        (unused.imports, "opset import"),
    ):
        if found:
            heavy = f" ({size(unused.weight_bytes)})" if noun == "weight" else ""
            parts.append(plural(len(found), noun) + heavy)
    if not parts:
        return
    # without a price it is shown: megabytes to ship are worth a line, two forgotten scalars are not
    is_heavy = unused.weight_bytes >= _HEAVY_BYTES and not nodes
    yield Finding(
        message=f"nothing reads {', '.join(parts)}",
        suggestion="Leave them out: same outputs."
        + (f" {size(unused.weight_bytes)} less to ship." if is_heavy else ""),
        nodes=tuple(nodes),
        places=sum(map(len, (unused.nodes, unused.weights, unused.functions, unused.imports))),
        fixes=() if is_heavy else (Fix("left out", "exact", tuple(map(Remove, nodes))),),
        details=tuple(
            f"{noun}: {', '.join(printable(name, 40) for name in found[:3])}{', …' if len(found) > 3 else ''}"
            for found, noun in (
                (unused.weights, "weights"),
                (unused.functions, "functions"),
                (unused.imports, "imports"),
            )
            if found
        ),
    )


VALID = [
    Valid(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        all_read (float[1,8] x) => (float[1,8] y) <float[8,8] w> {
          a = MatMul(x, w)
          y = Relu(a)
        }
        """
    )
]
INVALID = [
    Invalid(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        left_over (float[1,8] x) => (float[1,8] y) <float[8,8] w, float[8,8] forgotten, float[8,8] only_dead> {
          a = MatMul(x, w)
          dead = MatMul(a, only_dead)
          dying = Sigmoid(dead)
          y = Relu(a)
        }
        """,
        places=4,
        severity="info",
    )
]
