"""Every call of onnx's own node tests, with the shapes that the tests state, has a cost."""

import warnings

import numpy as np
import onnx
import pytest

from onnxlint.operators import Call, cost_function
from onnxlint.tensor import TensorType, UnknownShape


def kind(data: object) -> TensorType | None:
    if isinstance(data, onnx.TensorProto):
        return TensorType(data.data_type, tuple(data.dims))
    if isinstance(data, np.ndarray | np.generic):
        return TensorType(0, np.asarray(data).shape)
    return None


@pytest.fixture(scope="module")
def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if len(case.model.graph.node) == 1]


@pytest.mark.parametrize("constants", [True, False])
def test_well_formed_calls_have_a_cost(cases, constants):
    assert len(cases) > 1000
    unknown = []
    for case in cases:
        graph, (inputs, outputs) = case.model.graph, case.data_sets[0]
        node = graph.node[0]
        function = cost_function(node.domain, node.op_type)
        if function is None:
            continue
        data = {value.name: array for value, array in zip(graph.input, inputs, strict=True)}
        data |= {value.name: array for value, array in zip(graph.output, outputs, strict=True)}
        values = tuple(data[name] if isinstance(data.get(name), np.ndarray) else None for name in node.input)
        call = Call(
            node.op_type,
            max((opset.version for opset in case.model.opset_import if opset.domain == node.domain), default=1),
            {attribute.name: attribute for attribute in node.attribute},
            tuple(kind(data.get(name)) for name in node.input),
            tuple(kind(data.get(name)) for name in node.output),
            values if constants else (),
        )
        try:
            function(call)
        except UnknownShape:
            unknown.append(case.name)
    assert unknown == []
