"""Image inputs whose height or width is no multiple of 32.

## What it does
Finds inputs of four dims whose last two are not multiples of 32.

## Why it costs
Acme's cameras crop to multiples of 32: any other size is resized once more on the way in.

## How to fix
Export at the next multiple: 224 or 256 in place of 240.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="ACME001", name="input-multiple", severity="warning")
_MULTIPLE = 32


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each such input."""
    for name in ctx.graph.inputs:
        shape = ctx.graph.type_of(name).shape or ()
        odd = [size for size in shape[2:] if size is not None and size % _MULTIPLE]
        if len(shape) == 4 and odd:
            near = [max(_MULTIPLE, round(size / _MULTIPLE) * _MULTIPLE) for size in odd]
            yield Finding(
                message=f"the input is {'x'.join(map(str, shape))}: {odd[0]} is no multiple of {_MULTIPLE}",
                suggestion=f"Export at {near[0]}.",
                nodes=tuple(node.key for node in ctx.graph.readers(name)),
                severity="warning",
            )


VALID = [Valid("fits (float[1,3,224,224] x) => (float[1,3,224,224] y) { y = Relu(x) }")]
INVALID = [Invalid("odd (float[1,3,240,240] x) => (float[1,3,240,240] y) { y = Relu(x) }", severity="warning")]
