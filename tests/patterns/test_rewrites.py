"""What every form of a node must bear."""

from __future__ import annotations

import pytest
from models import model, value
from onnx import helper

from onnxlint.engine import read_model
from onnxlint.patterns.rewrites import _FORMS, rewrites
from onnxlint.settings import Settings


@pytest.mark.parametrize("given", range(1, 5))
@pytest.mark.parametrize("op_type", sorted(_FORMS))
def test_inputs_of_unknown_shape_have_no_form_that_fails(op_type: str, given: int) -> None:
    nodes = [
        helper.make_node("Odd", ["x"], ["unknown"], domain="odd"),
        helper.make_node(op_type, ["unknown"] * given, ["y"]),
    ]
    proto = model(nodes, [value("x", [1, 2, 3, 4])], ["y"], [])
    del proto.graph.output[:]
    proto.graph.output.append(value("y", [1, 2, 3, 4]))
    graph = read_model(proto, Settings()).graph
    list(rewrites(graph, graph.producer("y")))
