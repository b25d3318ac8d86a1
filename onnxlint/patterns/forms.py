"""Nodes in other forms, and one form in all the places that it fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from onnxlint.finding import Edit, Fix, Safety
from onnxlint.graph import Graph, Node

_MAX_ALIKE = 32

Runs = Callable[[tuple[Edit, ...]], bool]


@dataclass(frozen=True, slots=True)
class Form:
    """A node, and the pattern around it, in other operators; `told` says with its numbers what it is."""

    title: str
    safety: Safety
    edits: tuple[Edit, ...]
    told: str = ""


def by_title(forms: Iterable[Form]) -> dict[str, list[Form]]:
    """The same form of different nodes together."""
    found: dict[str, list[Form]] = {}
    for form in forms:
        found.setdefault(form.title, []).append(form)
    return found


def edits_of(forms: Iterable[Form]) -> tuple[Edit, ...]:
    """All their edits."""
    return tuple(edit for form in forms for edit in form.edits)


def together(forms: Sequence[Form], places: int) -> Fix:
    """One form of several nodes as one fix, which says so where there are more `places`."""
    where = f" in {len(forms)} of {places} places" if len(forms) < places else ""
    return Fix(forms[0].title + where, forms[0].safety, edits_of(forms))


def everywhere(
    graph: Graph, nodes: Sequence[Node], forms_of: Callable[[Node], Iterable[Form]], runs: Runs
) -> Iterator[tuple[Fix, str]]:
    """Each form in all the places that it fits and that the device runs, with its numbers in the first.

    Of nodes alike `runs` is asked once.
    """
    alike: dict[tuple[object, ...], list[Node]] = {}
    for node in nodes:
        types = tuple(graph.type_of(name) for name in (*node.inputs, *node.outputs) if name)
        given = tuple((name, str(node.attr(name))) for name in sorted(node.attributes))
        alike.setdefault((*types, *given), []).append(node)
    found: list[Form] = []
    for same in list(alike.values())[:_MAX_ALIKE]:
        titles = {form.title for form in forms_of(same[0]) if runs(form.edits)}
        found += [form for node in same for form in forms_of(node) if form.title in titles]
    for forms in by_title(found).values():
        yield together(forms, len(nodes)), forms[0].told
