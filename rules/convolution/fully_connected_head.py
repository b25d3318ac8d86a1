"""Fully connected layers over a whole feature map that hold most of the parameters

## What it does
Finds the product whose weight has an element for every channel and every position of a feature map (Flatten and Gemm,
or a convolution as large as the map), with the layers behind it, and reports them where they hold more than half of the
model's parameters.

## Why it costs
Each weight is read for a single multiply-accumulate an image, so that the head runs at the speed of the memory:
VGG-16's first layer behind the 7x7 map holds 103 M of 138 M parameters for 0.7 % of the multiply-accumulates,
AlexNet's 38 M of 61 M. At batch 1 that is 103 MB a frame even in int8, and the file that must be shipped and held.

## How to fix
Average each channel over the map and classify that: Network in Network (arXiv 1312.4400, section 3.2) and every
ResNet, MobileNet (1704.04861) and ShuffleNet since. VGG-16 keeps 15.2 M parameters: 14.7 M of convolutions and
512x1000 of classifier. The network must be retrained, or its head at least.

## Where it is silent
Classifiers behind a global pool, whatever their share (a MobileNet's last layer holds a third of it): they read one
value a channel. Embedding heads over a map (ArcFace) where the body holds more.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Remove
from onnxlint.patterns.dense_head import DenseHead, dense_heads
from onnxlint.patterns.edits import stored
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import TensorType
from onnxlint.units import count, plural, size

RULE = Rule(code="CNV005", name="fully-connected-head", severity="warning")

_MOST = 0.5


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for each head."""
    held = ctx.analysis.costs.params
    total = sum(params.count for params in held.values())
    for head in dense_heads(ctx.graph):
        own = [held[node.key] for node in head.nodes if node.key in held]
        params = sum(found.count for found in own)
        if params > _MOST * total:
            yield _finding(ctx, head, params, total, sum(found.stored_bytes for found in own))


def _finding(ctx: Context, head: DenseHead, params: int, total: int, stored: int) -> Finding:
    channels, *positions = ctx.graph.type_of(head.source).dims[1:]
    left = (channels + 1) * head.classes
    window = "x".join(map(str, positions))
    products = len(head.products)
    fix, share = _fix(ctx, head), f"{100 * params / total:.0f} %"
    return Finding(
        message=f"{plural(products, 'fully connected layer')} behind a map of {channels}x{window} "
        f"{'hold' if products > 1 else 'holds'} {count(params)} of {count(total)} parameters ({share})",
        suggestion=f"Global average pooling and one layer {channels}->{head.classes}: {count(left)} parameters, "
        f"{size(stored * (1 - left / params))} less to store\nand to read each time. Retrain, the head at least.",
        nodes=tuple(node.key for node in head.products),
        places=products,
        fixes=(fix,) if fix is not None else (),
        details=tuple(f"{node.outputs[0]}: {ctx.graph.type_of(node.inputs[1])}" for node in head.products),
    )


def _fix(ctx: Context, head: DenseHead) -> Fix | None:
    """Pool, view and classify with the operators that run here; the view is no worse than the one that was there."""
    for as_convolution in (False, True):
        edits = tuple(_pooled(ctx, head, as_convolution))
        old = head.view.op_type if head.view is not None else ""
        new = [edit for edit in edits if not (isinstance(edit, Insert) and edit.op_type == old)]
        if ctx.runs(new):
            return Fix(
                f"global average pooling and one layer in place of {plural(len(head.products), 'layer')}",
                "lossy",
                edits,
            )
    return None


def _pooled(ctx: Context, head: DenseHead, as_convolution: bool) -> Iterator[Edit]:
    known, out = ctx.graph.type_of(head.source), ctx.graph.type_of(head.output)
    batch, channels, *positions = known.dims
    ones = (1,) * len(positions)
    names = {word: f"{head.output}~{RULE.code}.{word}" for word in ("pooled", "flat", "weight", "product")}
    is_map = out.rank != 2
    yield from (Remove(node.key) for node in head.nodes)
    yield Declare(names["pooled"], TensorType(known.dtype, (batch, channels, *ones)))
    yield Insert("GlobalAveragePool", (head.source,), (names["pooled"],))
    if as_convolution or is_map:
        weight = TensorType(known.dtype, (head.classes, channels, *ones))
        written = head.output if is_map else names["product"]
        yield Declare(names["weight"], weight, is_weight=True)
        yield Insert("Conv", (names["pooled"], names["weight"]), (written,))
        if not is_map:
            yield Declare(written, TensorType(known.dtype, (batch, head.classes, *ones)))
            yield Insert("Flatten", (written,), (head.output,))
    else:
        yield stored(names["weight"], known.dtype, (channels, head.classes))
        yield Declare(names["flat"], TensorType(known.dtype, (batch, channels)))
        yield Insert("Flatten", (names["pooled"],), (names["flat"],))
        yield Insert("Gemm", (names["flat"], names["weight"]), (head.output,))


VALID = [
    # a classifier behind a global pool
    Valid(
        """pooled (float[1,512,7,7] x) => (float[1,1000] y) <float[512,1000] w> {
            a = GlobalAveragePool (x)
            b = Flatten (a)
            y = Gemm (b, w)
        }""",
        device="hi3519",
    ),
    # a head over a map that holds less than the body
    Valid(
        """embedding (float[1,512,4,4] x) => (float[1,64] y) <float[512,512,3,3] v, float[8192,64] w> {
            a = Conv <pads = [1,1,1,1]> (x, v)
            b = Flatten (a)
            y = Gemm (b, w)
        }""",
        device="hi3519",
    ),
]
INVALID = [
    Invalid(
        """vgg (float[1,512,7,7] x) => (float[1,1000] y)
        <float[512,512,3,3] v, float[25088,4096] w1, float[4096,4096] w2, float[4096,1000] w3> {
            a = Conv <pads = [1,1,1,1]> (x, v)
            b = Flatten (a)
            c = Gemm (b, w1)
            d = Relu (c)
            e = Gemm (d, w2)
            f = Relu (e)
            y = Gemm (f, w3)
        }""",
        device="hi3519",
        places=3,
        severity="warning",
    ),
]
