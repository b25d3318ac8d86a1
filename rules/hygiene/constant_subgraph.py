"""Operators that compute the same thing at every run, from constants or from fixed shapes.

## What it does
Finds operators that depend on no input's data: on weights alone, or on shapes that are all fixed (Shape → Gather →
Concat → Reshape). Constant and Identity nodes and the Dequantize of quantized weights are none of them; nor are a
few numbers blown up into a large tensor (ConstantOfShape; Expand, Tile): the file would grow.

## Why it costs
It could be done once, at export. ONNX Runtime folds it when it loads the model (constant folding is one of its basic
graph optimizations, onnxruntime.ai/docs/performance/model-optimizations), TensorRT too, so that it costs nothing at run
time there, and none is counted here. Toolchains that translate operator by operator stumble over Shape and Gather, and
1,400 such nodes hide a network of 200.

## How to fix
Store the results as initializers: exact. `torch.onnx.export(..., do_constant_folding=True)` folds what hangs on
weights, fixed input sizes with onnx-simplifier or ONNX Runtime's basic optimizations saved to a file the rest.
Silent on shape arithmetic where input dims are free: it is what makes the model take other sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

from onnxlint.finding import Declare, Edit, Finding, Fix, Remove
from onnxlint.graph import Graph, Node
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.tensor import dtype_bits
from onnxlint.units import plural

RULE = Rule(code="GRF003", name="constant-subgraph", severity="warning")
_STORED = frozenset({"Constant", "ConstantOfShape", "Identity", "DequantizeLinear", "QuantizeLinear"})
_SMALL_BYTES = 1 << 16
_KEY = attrgetter("key")


class _Found(NamedTuple):
    work: list[Node]
    edits: tuple[Edit, ...]


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of them."""
    found = _foldable(ctx.graph, is_static=not ctx.assumed)
    if not found.work:
        return
    on_shapes = sum(node.role == "shape" for node in found.work)
    kinds = [f"{on_shapes} on fixed shapes"] if on_shapes else []
    kinds += [f"{len(found.work) - on_shapes} on weights"] if on_shapes < len(found.work) else []
    counted = Counter(node.op_type for node in found.work)
    stored = plural(sum(isinstance(edit, Declare) for edit in found.edits), "stored result")
    yield Finding(
        message=f"{plural(len(found.work), 'operator')} {'computes' if len(found.work) == 1 else 'compute'} "
        f"the same at every run: {', '.join(kinds)}",
        suggestion=f"Fold them at export: {stored} in place of {plural(len(found.work), 'operator')}, same outputs.",
        nodes=tuple(node.key for node in found.work),
        places=len(found.work),
        fixes=(Fix("their results stored", "exact", found.edits),),
        details=(", ".join(f"{count}x {name}" for name, count in counted.most_common(6)),),
    )


def _foldable(graph: Graph, *, is_static: bool) -> _Found:
    """What may be replaced by its result, and the Constants that serve nothing else; last readers come first."""
    known, bits = _computable(graph, is_static=is_static), _bits(graph)
    returned, gone = graph.is_output, set[str]()
    work: list[Node] = []
    edits: list[Edit] = []
    for node in reversed(graph.nodes):
        if node.key not in known:
            continue
        read_elsewhere = [
            name
            for name in node.outputs
            if name and (name in returned or not gone.issuperset(map(_KEY, graph.consumers(name))))
        ]
        if node.op_type in _STORED:
            if read_elsewhere or not any(map(graph.consumers, node.outputs)):
                continue
        elif not returned.isdisjoint(node.outputs) or not _is_worth_storing(node, bits):
            continue
        else:
            work.append(node)
        gone.add(node.key)
        edits += [Declare(name, graph.type_of(name), is_weight=True) for name in read_elsewhere]
        edits.append(Remove(node.key))
    return _Found(work[::-1], tuple(edits))


def _computable(graph: Graph, *, is_static: bool) -> set[str]:
    """The nodes whose results are known before the first run: made of weights, or of sizes that are all fixed."""
    values, keys = {*graph.weights, ""}, set[str]()
    for node in graph.nodes:
        if node.role == "compute" or (node.role == "shape" and not is_static) or node.bodies:
            continue
        if node.op_type in ("Shape", "Size") and not node.domain:
            is_known = bool(node.inputs) and graph.type_of(node.inputs[0]).is_known
        else:
            is_known = values.issuperset(node.inputs)
        if is_known:
            values.update(node.outputs)
            keys.add(node.key)
    return keys


def _bits(graph: Graph) -> Callable[[str], int | None]:
    """How many bits a value takes; None where that is not known. Values alike mostly share their type."""
    found: dict[int, int | None] = {}

    def bits(name: str) -> int | None:
        known = graph.type_of(name)
        if id(known) not in found:
            wide = dtype_bits(known.dtype)
            found[id(known)] = known.elements * wide if known.is_known and wide else None
        return found[id(known)]

    return bits


def _is_worth_storing(node: Node, bits: Callable[[str], int | None]) -> bool:
    """Every result has a known size, and is small or no larger than what it is made of."""
    made = 0
    for name in node.outputs:
        own = bits(name) if name else 0
        if own is None:
            return False
        made += own // 8
    if node.op_type in ("Shape", "Size") or made <= _SMALL_BYTES:
        return any(node.outputs)
    return any(node.outputs) and made <= sum([(bits(name) or 0) // 8 for name in node.inputs if name])


VALID = [
    Valid(
        """
        free (float[N,8,4] x) => (float[N,32] y) {
          shape = Shape(x)
          zero = Constant<value_ints = [0]>()
          batch = Gather(shape, zero)
          rest = Constant<value_ints = [32]>()
          dims = Concat<axis = 0>(batch, rest)
          y = Reshape(x, dims)
        }
        """
    ),
    Valid(
        """
        quantized (float[1,8,4,4] x) => (float[1,8,4,4] y) <int8[8,8,1,1] w, float scale, int8 zero> {
          real = DequantizeLinear(w, scale, zero)
          y = Conv(x, real)
        }
        """
    ),
]
INVALID = [
    Invalid(
        """
        fixed (float[1,8,4] x) => (float[1,32] y) <float[32,32] w> {
          shape = Shape(x)
          zero = Constant<value_ints = [0]>()
          batch = Gather(shape, zero)
          rest = Constant<value_ints = [32]>()
          dims = Concat<axis = 0>(batch, rest)
          flat = Reshape(x, dims)
          turned = Transpose<perm = [1, 0]>(w)
          y = MatMul(flat, turned)
        }
        """,
        places=4,
        severity="info",
    )
]
