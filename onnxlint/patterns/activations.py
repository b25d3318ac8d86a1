"""Activations, as one operator or spelled out in several, and the other forms that they have or could be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.finding import Declare, Edit, Insert, Remove, Safety
from onnxlint.graph import Graph, Node
from onnxlint.patterns.spelled_activations import SpelledActivation, spelled_activations
from onnxlint.tensor import FLOAT, TensorType

_KINDS: Mapping[str, str] = {
    "HardSwish": "HardSwish",
    "HardSigmoid": "HardSigmoid",
    "Sigmoid": "Sigmoid",
    "Tanh": "Tanh",
    "Gelu": "Gelu",
    "Swish": "SiLU",
    "Mish": "Mish",
    "Elu": "Elu",
    "Selu": "Selu",
    "Celu": "Celu",
    "Softplus": "Softplus",
    "Softsign": "Softsign",
    "LeakyRelu": "LeakyRelu",
    "PRelu": "PRelu",
    "ThresholdedRelu": "ThresholdedRelu",
    "com.microsoft:Gelu": "Gelu",
    "com.microsoft:FastGelu": "GeluTanh",
    "com.microsoft:QuickGelu": "QuickGelu",
}
"""Operators that are an activation by themselves."""
GATES = frozenset({"Sigmoid", "HardSigmoid", "Tanh", "Softsign"})
"""Activations that bound their result: no ReLU stands in for one."""
UNIFORM = frozenset({"Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Softplus"})
"""Operators of one input that do the same to every channel: those of channels side by side are one."""
NAMES = {"GeluTanh": "GELU (tanh)", "Gelu": "GELU", "QuickGelu": "QuickGELU"}

_HARD_SIGMOID = (("Mul", "x #slope", "a"), ("Add", "a #offset", "b"))
_ERF = (
    ("Mul", "x #root", "a"),
    ("Erf", "a", "b"),
    ("Add", "b #one", "c"),
    ("Mul", "x c", "d"),
    ("Mul", "d #half", "y"),
)
_CUBIC = (("Mul", "x x", "a"), ("Mul", "a x", "b"), ("Mul", "b #cubic", "c"), ("Add", "c x", "d"))
_FORMS: Mapping[str, tuple[tuple[tuple[str, str, str], ...], ...]] = {
    "Relu": ((("Relu", "x", "y"),),),
    "HardSigmoid": ((("HardSigmoid", "x", "y"),), (*_HARD_SIGMOID, ("Clip", "b #zero #one", "y"))),
    "HardSwish": (
        (("HardSwish", "x", "y"),),
        (*_HARD_SIGMOID, ("Clip", "b #zero #one", "c"), ("Mul", "x c", "y")),
    ),
    "SiLU": ((("Swish", "x", "y"),), (("Sigmoid", "x", "a"), ("Mul", "x a", "y"))),
    "Gelu": ((("Gelu", "x", "y"),), _ERF),
    "GeluTanh": (
        (
            *(*_CUBIC, ("Mul", "d #scale", "e"), ("Tanh", "e", "f"), ("Add", "f #one", "g")),
            *(("Mul", "x g", "h"), ("Mul", "h #half", "y")),
        ),
    ),
    "QuickGelu": ((("Mul", "x #scale", "a"), ("Sigmoid", "a", "b"), ("Mul", "x b", "y")),),
    "Mish": ((("Mish", "x", "y"),), (("Softplus", "x", "a"), ("Tanh", "a", "b"), ("Mul", "x b", "y"))),
    "PRelu": ((("PRelu", "x #slope", "y"),),),
}
"""Kind → its forms, the shortest first: operators, their inputs (`x`, what is before, `#` a constant), their result."""
_STAND_INS: Mapping[str, tuple[tuple[str, Safety], ...]] = {
    "Gelu": (("GeluTanh", "close"), ("HardSwish", "lossy"), ("Relu", "lossy")),
    "GeluTanh": (("Gelu", "close"), ("HardSwish", "lossy"), ("Relu", "lossy")),
    "QuickGelu": (("HardSwish", "lossy"), ("Relu", "lossy")),
    "SiLU": (("HardSwish", "lossy"), ("Relu", "lossy")),
    "Mish": (("HardSwish", "lossy"), ("Relu", "lossy")),
    "Sigmoid": (("HardSigmoid", "lossy"),),
}


@dataclass(frozen=True, slots=True)
class Activation:
    """`output` is the activation `kind` of `source`, computed by `nodes` alone."""

    kind: str
    nodes: tuple[Node, ...]
    source: str
    output: str
    spelled: SpelledActivation | None = None


@dataclass(frozen=True, slots=True)
class OtherForm:
    """What an activation could be instead: `kind` in so many operators."""

    kind: str
    safety: Safety
    edits: tuple[Edit, ...]
    operators: tuple[str, ...]


@lru_cache(maxsize=2)
def activations(graph: Graph) -> Mapping[str, Activation]:
    """Node key → the activation that the node is part of."""
    found: dict[str, Activation] = {}
    for spelled in spelled_activations(graph):
        one = Activation(spelled.kind, spelled.nodes, spelled.source, spelled.output, spelled)
        found.update((node.key, one) for node in spelled.nodes)
    for node in graph.compute_nodes:
        kind = _KINDS.get(node.qualified_op)
        if kind is not None and node.key not in found and node.inputs and node.outputs and node.outputs[0]:
            if kind == "Gelu" and node.attr("approximate", b"none") == b"tanh":
                kind = "GeluTanh"
            found[node.key] = Activation(kind, (node,), node.inputs[0], node.outputs[0])
    return found


def other_forms(graph: Graph, one: Activation) -> Iterator[OtherForm]:
    """The activation in its other forms (exact), then what could stand in for it."""
    own = tuple(node.op_type for node in one.nodes)
    biased = len(one.nodes) == 1 and one.nodes[0].domain and len([name for name in one.nodes[0].inputs if name]) > 1
    if one.spelled is not None:
        for operator in one.spelled.operators:
            name = f"{operator.domain}:{operator.op_type}" if operator.domain else operator.op_type
            yield OtherForm(one.kind, "exact", one.spelled.edits(operator), (name,))
    if biased or (one.kind == "SiLU" and len(one.nodes) == 1 and one.nodes[0].attr("alpha", 1.0) != 1.0):
        return
    for form in _FORMS.get(one.kind, ()):
        operators = tuple(op for op, _, _ in form)
        if sorted(operators) != sorted(own) and not (one.spelled is not None and len(form) == 1):
            yield OtherForm(one.kind, "exact", _edits(graph, one, form), operators)
    stand_ins = _STAND_INS.get(one.kind, () if one.kind in GATES else (("Relu", "lossy"),))
    for kind, safety in stand_ins:
        for form in _FORMS[kind]:
            yield OtherForm(kind, safety, _edits(graph, one, form), tuple(op for op, _, _ in form))


def _edits(graph: Graph, one: Activation, form: tuple[tuple[str, str, str], ...]) -> tuple[Edit, ...]:
    known = graph.type_of(one.output)
    scalar = TensorType(known.dtype or FLOAT, ())
    edits: list[Edit] = [Remove(node.key) for node in one.nodes]
    declared: set[str] = set()

    def name(word: str) -> str:
        if word in ("x", "y"):
            return one.source if word == "x" else one.output
        full = f"{one.output}/{word.lstrip('#')}"
        if full not in declared:
            declared.add(full)
            edits.append(Declare(full, scalar if word.startswith("#") else known, is_weight=word.startswith("#")))
        return full

    for op, inputs, result in form:
        given = tuple(name(word) for word in inputs.split())
        edits.append(Insert(op, given, (name(result),)))
    return tuple(edits)
