"""Edits that only remove nodes and reconnect values, carried out on a model's main graph."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from onnxlint.finding import Declare, Edit, Reconnect, Remove


def applied(proto: onnx.ModelProto, edits: Iterable[Edit]) -> onnx.ModelProto:
    """A copy of the model with the edits; nodes are located by their first output."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    removed: set[str] = set()
    renamed: dict[str, str] = {}
    for edit in edits:
        match edit:
            case Remove(key):
                removed.add(key)
            case Reconnect(value, to):
                renamed[value] = to
            case Declare():
                pass
            case _:
                raise AssertionError(f"{edit} is more than removing and reconnecting")
    kept = [node for node in made.graph.node if next(filter(None, node.output), "") not in removed]
    for node in kept:
        for index, name in enumerate(node.input):
            while name in renamed:
                name = renamed[name]
            node.input[index] = name
    del made.graph.node[:]
    made.graph.node.extend(kept)
    return made
