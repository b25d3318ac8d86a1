"""Totals as formulas in the free dims: exact polynomials through a few bindings, checked at one more.

A model with open dims is priced at assumed ones. Here it is inferred again at a few others, and where a total is a
polynomial in them (degree 3 at most in each), it is given as one: `MACs = 4.09 G·N`. Sizes of images go in steps of 32,
since strides round in between; the formula then holds for multiples of 32, and says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec
import onnx

from onnxlint.analysis import Analysis
from onnxlint.binding import ASSUMED_CHANNELS, Bindings, Bound, bind, free_dims
from onnxlint.cost import Cost
from onnxlint.device import Device
from onnxlint.graph_builder import build_graph
from onnxlint.isolated import Limits
from onnxlint.report import FormulaInfo, FormulaTerm, Report
from onnxlint.resolved import GraphDef
from onnxlint.scope import read_graph
from onnxlint.settings import Settings
from onnxlint.shapes import infer
from onnxlint.target import Target, target_for
from onnxlint.tensor import TensorType

MAX_DEGREE = 3
MAX_INFERENCES = 64
MAX_NODES_INFERRED = 400_000
MAX_NODES_INFERRED_IN_REPORT = 10_000
_STEPS = (1, 32)
_METRICS = ("macs", "flops", "memory_access_bytes")

Point = tuple[int, ...]
Totals = tuple[int, ...]
Powers = tuple[int, ...]


class _TooDear(Exception):
    """Finding the formula would take too many inferences."""


class _Incomparable(Exception):
    """At some size more or fewer shapes are known than at the assumed ones."""


def formulas(
    proto: onnx.ModelProto, bindings: Bindings, target: Target, limits: Limits, max_nodes: int = MAX_NODES_INFERRED
) -> tuple[FormulaInfo, ...]:
    """The totals as formulas in the dims that had to be assumed; empty where none was, or where they are none."""
    definition = read_graph(proto)
    bound = bind(definition, bindings)
    places = free_dims(definition, bound)
    if not places or definition.problems:
        return ()
    model = _Model(proto, definition, bound, target, limits, places, max_nodes)
    try:
        return tuple(_formulas(model))
    except (_TooDear, _Incomparable):
        return ()


def with_formulas(
    report: Report, proto: onnx.ModelProto, device: Device, settings: Settings, max_nodes: int = MAX_NODES_INFERRED
) -> Report:
    """The report with `model.formulas`, where dims were assumed and `max_nodes` inferred nodes are enough."""
    if not report.model.assumed or report.totals is None:
        return report
    found = formulas(proto, settings.bindings, target_for(device, settings.precision), settings.limits, max_nodes)
    return msgspec.structs.replace(report, model=msgspec.structs.replace(report.model, formulas=found))


class _Model:
    """The totals at any values of the free dims, each point inferred once."""

    def __init__(
        self,
        proto: onnx.ModelProto,
        definition: GraphDef,
        bound: Bound,
        target: Target,
        limits: Limits,
        places: Mapping[str, Sequence[tuple[str, int]]],
        max_nodes: int,
    ) -> None:
        self.proto, self.definition, self.bound, self.target, self.limits = proto, definition, bound, target, limits
        self.places, self.symbols, self.max_nodes = places, tuple(places), max_nodes
        self.base: Point = tuple(self.size(symbol) for symbol in self.symbols)
        self.known: dict[Point, tuple[Totals, int]] = {}

    def size(self, symbol: str) -> int:
        name, axis = self.places[symbol][0]
        return self.bound.types[name].dims[axis]

    def at(self, point: Point) -> Totals:
        """The totals at these values; raises _Incomparable, _TooDear."""
        if point not in self.known:
            nodes = len(self.definition.nodes)
            if len(self.known) >= MAX_INFERENCES or nodes * len(self.known) > self.max_nodes:
                raise _TooDear
            self.known[point] = self.totals(point)
        totals, unknown = self.known[point]
        if unknown != self.known.get(self.base, (totals, unknown))[1]:
            raise _Incomparable
        return totals

    def totals(self, point: Point) -> tuple[Totals, int]:
        types, symbols = dict(self.bound.types), dict(self.bound.symbols)
        for symbol, size in zip(self.symbols, point, strict=True):
            for name, axis in self.places[symbol]:
                dims = types[name].dims
                types[name] = TensorType(types[name].dtype, (*dims[:axis], size, *dims[axis + 1 :]))
            if symbol in symbols:
                symbols[symbol] = size
        bound = msgspec.structs.replace(self.bound, types=types, symbols=symbols)
        shapes = infer(self.proto, self.definition, bound, self.limits)
        graph = build_graph(self.definition, shapes)
        analysis = Analysis(graph, self.target)
        cost = sum(analysis.kernel_costs, Cost())
        unknown = len(graph.unresolved) + len(graph.uncounted_loops) + len(analysis.unknown_nodes)
        return (cost.macs, cost.flops, cost.memory_access_bytes), unknown


def _formulas(model: _Model) -> Iterator[FormulaInfo]:
    model.at(model.base)
    axes = [_axis(model, index) for index in range(len(model.symbols))]
    if not any(degree for _, degree in axes):
        return
    grid = itertools.product(*(range(degree + 1) for _, degree in axes))
    values = {steps: model.at(_moved(model.base, steps, axes)) for steps in grid}
    elsewhere = _moved(model.base, [degree + 1 if degree else 0 for _, degree in axes], axes)
    seen = model.at(elsewhere)
    for position, metric in enumerate(_METRICS):
        column = {steps: Fraction(totals[position]) for steps, totals in values.items()}
        coefficients = _interpolate(column, [degree for _, degree in axes], model.base, [step for step, _ in axes])
        if _evaluate(coefficients, elsewhere) == seen[position]:
            yield _info(metric, coefficients, model, axes)


def _moved(base: Point, steps: Sequence[int], axes: Sequence[tuple[int, int]]) -> Point:
    return tuple(b + k * step for b, k, (step, _) in zip(base, steps, axes, strict=True))


def _axis(model: _Model, index: int) -> tuple[int, int]:
    """The step along one dim in which all totals are polynomials of degree 3 at most, and their largest degree.

    A dim in which they are none is held where it is: step 0, degree 0.
    """
    base = model.base[index]
    if _is_side(model, index) and base == ASSUMED_CHANNELS:
        return 0, 0  # the channels of an image: the weights fix them
    for step in _STEPS[1:] if _is_side(model, index) and base % _STEPS[-1] == 0 else _STEPS:
        line: list[Totals] = []
        try:
            for k in range(MAX_DEGREE + 2):
                line.append(model.at((*model.base[:index], base + k * step, *model.base[index + 1 :])))
                degree = _degree(line)
                if degree is not None and k > degree + 1:
                    return step, degree
        except _Incomparable:
            continue
    return 0, 0


def _is_side(model: _Model, index: int) -> bool:
    """The dim is a side of an image (which strides halve again and again) or its channels."""
    name, axis = model.places[model.symbols[index]][0]
    return len(model.bound.types[name].dims) == 4 and axis > 0


def _degree(line: Sequence[Totals]) -> int | None:
    """The degree of the polynomials through equally spaced totals, by differences; None if none vanishes."""
    rows = [list(totals) for totals in line]
    for degree in range(-1, len(line) - 1):
        if all(value == 0 for row in rows for value in row):
            return max(degree, 0)
        rows = [[b - a for a, b in zip(first, second, strict=True)] for first, second in itertools.pairwise(rows)]
    return None


def _interpolate(
    values: Mapping[Point, Fraction], degrees: Sequence[int], base: Point, steps: Sequence[int]
) -> dict[Powers, Fraction]:
    """The coefficients of the polynomial through a grid of values, one dim after the other."""
    table = dict(values)
    for index, degree in enumerate(degrees):
        points = [Fraction(base[index] + k * steps[index]) for k in range(degree + 1)]
        bases = [_lagrange(points, k) for k in range(degree + 1)]
        lines = {(*key[:index], *key[index + 1 :]) for key in table}
        table = {
            (*line[:index], power, *line[index:]): sum(
                (table[(*line[:index], k, *line[index:])] * bases[k][power] for k in range(degree + 1)), Fraction()
            )
            for line in lines
            for power in range(degree + 1)
        }
    return {powers: value for powers, value in table.items() if value}


def _lagrange(points: Sequence[Fraction], index: int) -> list[Fraction]:
    """The coefficients, by rising power, of the polynomial that is 1 at one point and 0 at the others."""
    coefficients = [Fraction(1)]
    for k, point in enumerate(points):
        if k != index:
            scale = points[index] - point
            shifted = [Fraction(0), *coefficients]
            coefficients = [(a - point * b) / scale for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def _evaluate(coefficients: Mapping[Powers, Fraction], point: Point) -> Fraction:
    total = Fraction()
    for powers, value in coefficients.items():
        for size, power in zip(point, powers, strict=True):
            value *= size**power
        total += value
    return total


def _info(
    metric: str, coefficients: Mapping[Powers, Fraction], model: _Model, axes: Sequence[tuple[int, int]]
) -> FormulaInfo:
    steps = dict(zip(model.symbols, (step for step, _ in axes), strict=True))
    terms = tuple(
        FormulaTerm(
            coefficient=float(value),
            exact=str(value),
            powers={symbol: power for symbol, power in zip(model.symbols, powers, strict=True) if power},
        )
        for powers, value in sorted(coefficients.items(), reverse=True)
    )
    return FormulaInfo(
        metric=metric,
        terms=terms,
        multiple_of={symbol: step for symbol, step in steps.items() if step > 1},
        held={symbol: size for symbol, size in zip(model.symbols, model.base, strict=True) if not steps[symbol]},
    )
