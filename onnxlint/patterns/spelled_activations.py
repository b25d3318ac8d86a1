"""Activations spelled out in simple operators: GELU, SiLU, HardSwish, Mish and their like, recognised by their values.

Around an operator that such spellings share (Erf, Tanh, Sigmoid, Clip, …) grows the piece of graph that computes one
value from another, element by element and with scalar constants alone. The piece is evaluated at some points: what
agrees there with an activation is that activation, in whatever order its factors are multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from onnxlint.finding import Edit, Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.patterns.permutations import only_reader
from onnxlint.values import Array

_MAX_BEFORE, _MAX_BEHIND, _MAX_ASIDE = 8, 6, 3
_POINTS = np.linspace(-7.9, 8.1, 41)
_TOLERANCE = 2e-4
"""Above the rounding of float16 constants, below the distance between the two GELUs (4.7e-4)."""


@dataclass(frozen=True, slots=True)
class SpelledActivation:
    """`output` is the activation `kind` of `source`; `nodes` compute nothing else that is read elsewhere."""

    kind: str
    nodes: tuple[Node, ...]
    source: str
    output: str

    @property
    def operators(self) -> tuple[Insert, ...]:
        """The activation as one operator, in each form that ONNX and ONNX Runtime have."""
        forms = _OPERATORS[self.kind]
        return tuple(Insert(op, (self.source,), (self.output,), given, domain) for domain, op, given in forms)

    def edits(self, operator: Insert) -> tuple[Edit, ...]:
        """One operator in place of the nodes."""
        return (*(Remove(node.key) for node in self.nodes), operator)


@lru_cache(maxsize=2)
def spelled_activations(graph: Graph) -> tuple[SpelledActivation, ...]:
    """Every activation that is spelled out, in execution order; each node is in one at most."""
    found: list[SpelledActivation] = []
    taken: set[str] = set()
    for node in graph.compute_nodes:
        if node.op_type in _ANCHORS and not node.domain and node.key not in taken:
            spelled = _around(graph, node)
            if spelled is not None and taken.isdisjoint(member.key for member in spelled.nodes):
                taken.update(member.key for member in spelled.nodes)
                found.append(spelled)
    return tuple(found)


def _around(graph: Graph, anchor: Node) -> SpelledActivation | None:
    """The largest activation that the anchor takes part in, of the sources the nearest."""
    for source, before in _sources(graph, anchor):
        best: SpelledActivation | None = None
        for output, behind in _results(graph, source, before, anchor):
            kind = _kind(graph, source, behind, output)
            if kind and _is_closed(graph, behind, output) and _same_shape(graph, source, output):
                best = SpelledActivation(kind, tuple(behind), source, output)
        if best is not None:
            return best
    return None


def _sources(graph: Graph, anchor: Node) -> Iterator[tuple[str, list[Node]]]:
    """The values that all of the anchor's input comes from, the nearest first, with the nodes up to the anchor."""
    nodes = [anchor]
    open_values = _operands(graph, anchor)
    for _ in range(_MAX_BEFORE):
        if len(open_values) == 1:
            yield next(iter(open_values)), nodes
        writers = [writer for name in open_values if (writer := graph.producer(name)) is not None]
        last = max(writers, key=lambda node: graph.position[node.key], default=None)
        if last is None or not _is_pointwise(graph, last):
            return
        nodes = [last, *nodes]
        open_values = (open_values - {last.outputs[0]}) | _operands(graph, last)


def _results(graph: Graph, source: str, before: list[Node], anchor: Node) -> Iterator[tuple[str, list[Node]]]:
    """The values behind the anchor that come from `source` alone, the nearest first, with the nodes that make them."""
    nodes = list(before)
    known = {source, *(node.outputs[0] for node in nodes)}
    value = anchor.outputs[0]
    yield value, nodes
    for _ in range(_MAX_BEHIND):
        reader = only_reader(graph, value)
        if reader is None or not _is_pointwise(graph, reader):
            return
        aside = _aside(graph, _operands(graph, reader) - known, source)
        if aside is None:
            return
        nodes = [*nodes, *aside, reader]
        known |= {node.outputs[0] for node in (*aside, reader)}
        value = reader.outputs[0]
        yield value, nodes


def _aside(graph: Graph, missing: set[str], source: str) -> list[Node] | None:
    """The nodes that make the missing values out of `source`; None where they need anything else."""
    found: list[Node] = []
    while missing:
        name = missing.pop()
        writer = graph.producer(name)
        if writer is None or not _is_pointwise(graph, writer) or len(found) == _MAX_ASIDE:
            return None
        found.insert(0, writer)
        missing |= _operands(graph, writer) - {source, *(node.outputs[0] for node in found)}
    return found


def _operands(graph: Graph, node: Node) -> set[str]:
    return {name for name in node.inputs if name and not graph.is_constant(name)}


def _is_pointwise(graph: Graph, node: Node) -> bool:
    """The node computes one value element by element with constants that are numbers."""
    if node.domain or node.role != "compute" or node.op_type not in _FUNCTIONS or len(node.outputs) != 1:
        return False
    constants = [name for name in node.inputs if name and graph.is_constant(name)]
    return all(_scalar(graph, name) is not None for name in constants)


def _scalar(graph: Graph, name: str) -> float | None:
    value = graph.values.get(name)
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 and value.dtype.kind in "fiu" else None


def _is_closed(graph: Graph, nodes: list[Node], output: str) -> bool:
    """What the nodes compute is read by themselves alone, but for `output`."""
    keys = {node.key for node in nodes}
    inner = (node.outputs[0] for node in nodes if node.outputs[0] != output)
    return all(
        name not in graph.is_output and all(reader.key in keys for reader in graph.readers(name)) for name in inner
    )


def _same_shape(graph: Graph, source: str, output: str) -> bool:
    return graph.type_of(source).shape == graph.type_of(output).shape


def _kind(graph: Graph, source: str, nodes: list[Node], output: str) -> str:
    """The activation that the nodes agree with at all points; "" for none."""
    values: dict[str, Array] = {source: _POINTS}
    with np.errstate(all="ignore"):
        for node in sorted(nodes, key=lambda node: graph.position[node.key]):
            given: list[Array | None] = []
            for name in node.inputs:
                number = _scalar(graph, name) if name else None
                given.append(values[name] if name in values else None if number is None else np.asarray(number))
            if not given or given[0] is None:
                return ""
            try:
                values[node.outputs[0]] = _FUNCTIONS[node.op_type](node, given)
            except (TypeError, ValueError):
                return ""
        agrees = (np.abs(values[output] - _ALL_WANTED) <= _MOST_APART).all(axis=1)
    return next((kind for kind, agreed in zip(_WANTED, agrees.tolist(), strict=True) if agreed), "")


def _erf(x: Array) -> Array:
    return np.array([math.erf(value) for value in np.atleast_1d(x)])


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _clip(node: Node, given: list[Array | None]) -> Array:
    low = node.attr("min", None) if len(given) < 2 or given[1] is None else given[1]
    high = node.attr("max", None) if len(given) < 3 or given[2] is None else given[2]
    return np.clip(given[0], -np.inf if low is None else low, np.inf if high is None else high)  # type: ignore[arg-type]


def _unary(function: Callable[[Array], Array]) -> Callable[[Node, list[Array | None]], Array]:
    return lambda node, given: function(given[0])  # type: ignore[arg-type]


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Node, list[Array | None]], Array]:
    def pair(node: Node, given: list[Array | None]) -> Array:
        if len(given) != 2:  # Min and Max take any number
            raise TypeError
        return function(given[0], given[1])  # type: ignore[arg-type]

    return pair


def _hard_sigmoid(node: Node, given: list[Array | None]) -> Array:
    return np.clip(node.attr("alpha", 0.2) * given[0] + node.attr("beta", 0.5), 0, 1)  # type: ignore[no-any-return]


_FUNCTIONS: Mapping[str, Callable[[Node, list[Array | None]], Array]] = {
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(np.divide),
    "Pow": _binary(np.power),
    "Min": _binary(np.minimum),
    "Max": _binary(np.maximum),
    "Erf": _unary(_erf),
    "Tanh": _unary(np.tanh),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Neg": _unary(np.negative),
    "Reciprocal": _unary(np.reciprocal),
    "Sigmoid": _unary(_sigmoid),
    "Softplus": _unary(_softplus),
    "HardSigmoid": _hard_sigmoid,
    "Relu": _unary(lambda x: np.maximum(x, 0)),
    "Clip": _clip,
    "Cast": _unary(np.asarray),
    "CastLike": _unary(np.asarray),
    "Identity": _unary(np.asarray),
}
_ANCHORS = frozenset({"Erf", "Tanh", "Sigmoid", "HardSigmoid", "Clip", "Min", "Max", "Exp"})
_WANTED: Mapping[str, Array] = {
    "Gelu": 0.5 * _POINTS * (1 + _erf(_POINTS / math.sqrt(2))),
    "GeluTanh": 0.5 * _POINTS * (1 + np.tanh(math.sqrt(2 / math.pi) * (_POINTS + 0.044715 * _POINTS**3))),
    "QuickGelu": _POINTS * _sigmoid(1.702 * _POINTS),
    "SiLU": _POINTS * _sigmoid(_POINTS),
    "HardSwish": _POINTS * np.clip(_POINTS + 3, 0, 6) / 6,
    "Mish": _POINTS * np.tanh(_softplus(_POINTS)),
}
_ALL_WANTED = np.stack([*_WANTED.values()])
_MOST_APART = _TOLERANCE * (1 + np.abs(_ALL_WANTED))
_OPERATORS: Mapping[str, tuple[tuple[str, str, tuple[tuple[str, object], ...]], ...]] = {
    "Gelu": (("", "Gelu", ()), ("com.microsoft", "Gelu", ())),
    "GeluTanh": (("", "Gelu", (("approximate", "tanh"),)), ("com.microsoft", "FastGelu", ())),
    "QuickGelu": (("com.microsoft", "QuickGelu", (("alpha", 1.702),)),),
    "SiLU": (("", "Swish", ()), ("com.microsoft", "QuickGelu", (("alpha", 1.0),))),
    "HardSwish": (("", "HardSwish", ()),),
    "Mish": (("", "Mish", ()),),
}
