"""Operators that change nothing.

## What it does
Finds operators whose result is their input: Identity, Dropout at inference, Reshape and Expand to the same shape, Cast
to the same type, Pad by nothing, a Slice of everything, a Transpose in order, Resize by 1, Concat or Sum of one value,
a window of 1×1, ×1, ÷1, +0. A form that hangs on a free dim's assumed size is left alone; so is a stored tensor of
ones or zeros that is multiplied or added: it is a scale or a bias that has not been trained yet.

## Why it costs
TensorRT drops most of them when it loads the model (`drops_no_ops` in the profile). ONNX Runtime's CPU provider drops
some (seen in the graphs that 1.32 writes: Identity, Dropout, Expand, Cast, ×1, ÷1, +0, -0 and a Slice without an end)
and runs the others: of GhostNet's Slices to the full length each is a copy, which takes its maps out of the blocked
layout besides. Toolchains that translate operator by operator keep each as a copy or refuse it. Where it is not public
whether a toolchain drops them, they are priced as if it did not, and are an info.

## How to fix
Let the readers read the input instead: exact. Export with the model in `eval()`, and constant folding on; or run the
file once through a simplifier. 40 Identity nodes that stand for shared weights are 40 names, not 40 operations.
Silent where the result is an output of the graph (the operator then gives it its name), and on arithmetic on constants
(GRF003's).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from onnxlint.finding import Finding, Fix, Reconnect, Remove
from onnxlint.graph import Node
from onnxlint.no_ops import Known, passed_on
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="GRF004", name="no-op", severity="warning")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of them, those that are work at run time first."""
    graph, known = ctx.graph, Known(ctx.graph, not ctx.assumed)
    found: list[tuple[Node, str]] = []
    for node in graph.nodes:
        # what else is computed from constants alone is GRF003's
        source = passed_on(known, node) if node.role == "compute" or node.op_type == "Identity" else None
        if source is not None and node.outputs[0] not in graph.is_output:
            found.append((node, source))
    if not found:
        return
    found.sort(key=lambda pair: pair[0].role != "compute")
    idle = sum(node.role != "compute" for node, _ in found)
    counted = Counter(node.op_type for node, _ in found)
    where = "" if not idle else " (on constants)" if idle == len(found) else f" ({idle} on constants)"
    is_public = ctx.device.fusion.drops_no_ops is not None
    unknown = "" if is_public else f"\nWhether {ctx.device.name}'s toolchain drops them by itself is not public."
    yield Finding(
        message=f"{plural(len(found), 'operator')} {'does' if len(found) == 1 else 'do'} nothing{where}",
        suggestion=f"Let their readers read the input instead: same outputs. A simplifier does it.{unknown}",
        nodes=tuple(node.key for node, _ in found),
        places=len(found),
        fixes=(
            Fix(
                f"without {plural(len(found), 'operator')} that {'does' if len(found) == 1 else 'do'} nothing",
                "exact",
                tuple(e for node, source in found for e in (Remove(node.key), Reconnect(node.outputs[0], source))),
            ),
        ),
        severity=None if is_public else "info",
        details=(", ".join(f"{count}x {name}" for name, count in counted.most_common()),),
    )


VALID = [
    Valid(
        """
        works (float[1,8,4,4] x) => (float[1,8,4,4] y) <float one = {2.0}> {
          a = Mul(x, one)
          b = Cast<to = 10>(a)
          c = Cast<to = 1>(b)
          d = Relu(c)
          y = Identity(d)
        }
        """
    ),
    Valid(
        """
        free (float[N,8] x) => (float[N,8] y) <float[1,8] token, int64[2] s = {-1,8}> {
          shape = Shape(x)
          zero = Constant<value_ints = [0]>()
          batch = Gather(shape, zero)
          eight = Constant<value_ints = [8]>()
          dims = Concat<axis = 0>(batch, eight)
          tokens = Expand(token, dims)
          y = Add(x, tokens)
        }
        """
    ),
]
INVALID = [
    Invalid(
        """
        idle (float[1,8,4,4] x) => (float[1,8,4,4] y)
        <float one = {1.0}, int64[4] s = {1,8,4,4}, int64[8] none = {0,0,0,0,0,0,0,0}> {
          a = Mul(x, one)
          b = Cast<to = 1>(a)
          c = Reshape(b, s)
          d = Pad(c, none)
          e = Dropout(d)
          f = Transpose<perm = [0, 1, 2, 3]>(e)
          g = Identity(f)
          h = Concat<axis = 1>(g)
          y = Relu(h)
        }
        """,
        device="rk3588",
        places=8,
        severity="info",
    )
]
