"""The rules on operators take time in proportion to the graph: twenty thousand nodes of everything they look at."""

from __future__ import annotations

import growth
import onnx
import pytest
from onnx import TensorProto, helper

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.registry import find_rule, installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for

CODES = ("OPS001", "OPS005", "OPS006", "OPS007", "OPS008", "OPS009", "OPS010", "CNV007")
UNIT = ("Conv", "HardSwish", "Sigmoid", "Mul", "MaxPool", "Resize", "Erf", "Abs", "Cast", "Cast")


def long_model(nodes: int) -> onnx.ModelProto:
    """One chain of units that break every limit."""
    made, value = [], "x"
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 1, 1])
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [4, 4, 9, 9], [0.0] * 1296)
    for index in range(nodes):
        op, out = UNIT[index % len(UNIT)], f"v{index}"
        inputs, attributes = [value], {}
        if op == "Conv":
            inputs, attributes = [value, "weight"], {"kernel_shape": [9, 9], "pads": [4, 4, 4, 4]}
        elif op == "MaxPool":
            attributes = {"kernel_shape": [65, 65], "pads": [32, 32, 32, 32]}
        elif op == "Mul":
            inputs = [value, made[-1].input[0]]
        elif op == "Resize":
            inputs, attributes = [value, "", "scales"], {"mode": "cubic"}
        elif op == "Cast":
            attributes = {"to": TensorProto.DOUBLE if made[-1].op_type != "Cast" else TensorProto.FLOAT}
        made.append(helper.make_node(op, inputs, [out], **attributes))
        value = out
    shape = [1, 4, 16, 16]
    graph = helper.make_graph(
        made,
        "long",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape)],
        [scales, weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("device", ["x3"])
def test_each_rule_is_linear(device: str) -> None:
    contexts = [
        Context(Analysis(read_model(long_model(nodes), Settings()).graph, target_for(load_device(device))))
        for nodes in (2_000, 20_000)
    ]
    for code in CODES:
        check = find_rule(installed_rules(), code).check
        small, large = (lambda context=context, check=check: list(check(context)) for context in contexts)
        assert growth.at_most(25, small, large, slack_s=0.2), code
