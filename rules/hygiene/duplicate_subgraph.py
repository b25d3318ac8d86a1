"""The same work done twice.

## What it does
Finds operators that do at run time what another one did before: the same operator with the same attributes, bit by
bit, on the same inputs (or on inputs that are themselves such duplicates; small constants are compared by value).
Random operators, Dropout that may drop, operators with bodies and those of unknown domains are never taken for equal.

## Why it costs
Each is a launch and its memory traffic once more. ONNX Runtime merges them when it loads the model (common
subexpression elimination is one of its level 1 transformers); toolchains that translate operator by operator do not.

## How to fix
Let the readers of the second read the first: exact. In the network's code: compute the value once and keep it. Two
Transposes of one 1x197x192 tensor move 2 × 151 kB (fp32) to have it twice.
Silent on Quantize and Dequantize (quantizers double them on purpose, one for each reader, so that they fuse), where
the second one's result is an output of the graph, and on what no output depends on (GRF006).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import onnx

from onnxlint.finding import Edit, Finding, Fix, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.no_ops import Known, passed_on
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="GRF005", name="duplicate-subgraph", severity="warning")
_DRAWN = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_KEPT_APART = frozenset({"QuantizeLinear", "DequantizeLinear"})
_DOMAINS = frozenset({"", "com.microsoft"})
_MAX_ATTRIBUTE_BYTES = 1 << 16
_UNREAD = object()


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of them."""
    graph, known = ctx.graph, Known(ctx.graph, not ctx.assumed)
    found = [
        (node, first)
        for node, first in _duplicates(graph, frozenset(ctx.unused.nodes))
        if node.role == "compute"
        and node.op_type not in _KEPT_APART
        and not graph.is_output.intersection(node.outputs)
        and passed_on(known, node) is None
    ]
    if not found:
        return
    edits: list[Edit] = []
    for node, first in found:
        edits.append(Remove(node.key))
        edits += [Reconnect(own, other) for own, other in zip(node.outputs, first.outputs, strict=True) if own]
    counted = Counter(node.op_type for node, _ in found)
    yield Finding(
        message=f"{plural(len(found), 'operator')} {'does' if len(found) == 1 else 'do'} "
        "what another one did before, on the same inputs",
        suggestion=f"Read the first result again ({found[0][1].key}, and so on): same outputs.",
        nodes=tuple(node.key for node, _ in found),
        places=len(found),
        fixes=(Fix(f"each computed once: {plural(len(found), 'operator')} fewer", "exact", tuple(edits)),),
        details=(", ".join(f"{count}x {name}" for name, count in counted.most_common(6)),),
    )


def _duplicates(graph: Graph, dead: Collection[str]) -> Iterator[tuple[Node, Node]]:
    """Each node that computes what an earlier one did, with that one."""
    same: dict[str, str] = {}
    values: dict[object, str] = {}

    def is_stored(name: str) -> bool:
        value = graph.values.get(name)
        if value is not None:
            same[name] = values.setdefault((graph.type_of(name).dtype, value.shape, value.tobytes()), name)
        return value is not None

    for name in sorted(graph.weights):
        is_stored(name)
    firsts: dict[object, Node] = {}
    # nodes with the same attributes mostly share them
    written: dict[int, object] = {}
    for node in graph.nodes:
        if node.key in dead:
            continue
        if node.op_type == "Constant" and is_stored(node.outputs[0]):
            continue
        attributes = written.get(id(node.attributes), _UNREAD)
        if attributes is _UNREAD:
            attributes = written[id(node.attributes)] = _written(node.attributes)
        mark = _mark(node, same, attributes) if attributes is not None else None
        if mark is None:
            continue
        first = firsts.setdefault(mark, node)
        if first is not node:
            same |= {own: same.get(other, other) for own, other in zip(node.outputs, first.outputs, strict=True) if own}
            yield node, first


def _written(attributes: Mapping[str, onnx.AttributeProto]) -> object | None:
    """Equal for attributes that are; None for large ones."""
    if sum(attribute.ByteSize() for attribute in attributes.values()) > _MAX_ATTRIBUTE_BYTES:
        return None
    return tuple(sorted((name, one.SerializeToString(deterministic=True)) for name, one in attributes.items()))


def _mark(node: Node, same: dict[str, str], attributes: object) -> object | None:
    """Equal for nodes that compute the same, None for one that can't be told."""
    if node.op_type in _DRAWN or node.bodies or node.domain not in _DOMAINS:
        return None
    if node.op_type == "Dropout" and (node.version < 7 or any(node.inputs[2:])):
        return None
    return (
        node.domain,
        node.op_type,
        node.version,
        tuple([same.get(name, name) for name in node.inputs]),
        attributes,
        tuple([bool(name) for name in node.outputs]),
    )


VALID = [
    Valid(
        """
        drawn (float[1,64] x) => (float[1,64] y) {
          a = RandomNormalLike(x)
          b = RandomNormalLike(x)
          y = Add(a, b)
        }
        """
    ),
    Valid(
        """
        other_axis (float[1,64,64] x) => (float[1,64,64] y) {
          a = Softmax<axis = 1>(x)
          b = Softmax<axis = 2>(x)
          y = Add(a, b)
        }
        """
    ),
]
INVALID = [
    Invalid(
        """
        twice (float[1,197,192] x) => (float[1,197,197] y) <float[192,192] w> {
          t1 = Transpose<perm = [0, 2, 1]>(x)
          t2 = Transpose<perm = [0, 2, 1]>(x)
          a = MatMul(x, t1)
          b = MatMul(x, t2)
          c = Softmax<axis = -1>(a)
          d = Sigmoid(b)
          y = Mul(c, d)
        }
        """,
        device="cortex-a76",
        places=2,
        severity="warning",
    )
]
