"""The rules on windows, heads, quantization and weights on graphs of up to 20,000 nodes: time in proportion to it."""

from __future__ import annotations

from functools import cache

import growth
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.registry import find_rule, installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for

SHORT, LONG = 250, 2_500


@cache
def context(blocks: int) -> Context:
    """Blocks of Conv, Relu, pairs and a sum: eight nodes each."""
    nodes, value = [], "x"
    for i in range(blocks):
        names = [f"{name}{i}" for name in "abcdefgh"]
        ops = ("Conv", "Relu", "QuantizeLinear", "DequantizeLinear", "Conv", "Add", "Sigmoid", "Relu")
        inputs = [[value, "w"], [names[0]], [names[1], "s"], [names[2], "s"], [names[3], "w"]]
        inputs += [[names[4], names[1]], [names[5]], [names[6]]]
        for op, read, name in zip(ops, inputs, names, strict=True):
            attributes = {"pads": [2, 2, 2, 2]} if op == "Conv" else {}
            nodes.append(helper.make_node(op, read, [name], **attributes))
        value = names[-1]
    weight = np.random.default_rng(0).standard_normal((8, 8, 5, 5)).astype(np.float32)
    tensors = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.float32(0.1), "s")]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in ("x", value))
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    proto: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = read_model(proto, Settings())
    analysis = Analysis(model.graph, target_for(load_device("rk3588")))
    return Context(analysis, model.bound.assumed, model.unused, model.weights)


@pytest.mark.parametrize(
    "code",
    ["CNV002", "CNV003", "CNV005", "CNV006", "CHN003", "PRN001", "PRN002", "QNT001", "QNT002", "QNT003", "QNT004"],
)
def test_ten_times_the_nodes_take_about_ten_times_as_long(code: str) -> None:
    check = find_rule(installed_rules(), code).check
    small, large = (lambda blocks=blocks: list(check(context(blocks))) for blocks in (SHORT, LONG))
    assert len(context(LONG).graph.nodes) == 20_000
    assert growth.at_most(25, small, large, slack_s=0.2)
