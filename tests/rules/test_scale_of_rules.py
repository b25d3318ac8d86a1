"""Each rule by itself, its fixes priced, takes time in proportion to the graph; all of them little beside its costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import growth
import onnx
import pytest
from benchmarks.rules_per_costs import best
from onnx import TensorProto, helper
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.pricing import priced_findings
from onnxlint.registry import find_rule, installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for

SHORT, LONG = 2_000, 20_000
CODES = sorted(rule.code for rule in installed_rules() if not rule.rule.needs_weights)


def blocks(count: int) -> onnx.ModelProto:
    """Attention, GELU, squeeze-and-excite, a depthwise pair, a shuffle's moves: what most rules look for, in a row."""
    half = count // 20
    nodes, value = [], "x"
    for i in range(half):
        steps = (
            ("Conv", [value, "k1"], {}),
            ("HardSigmoid", ["Conv"], {}),
            ("Mul", ["Conv", "HardSigmoid"], {}),
            ("Conv", ["Mul", "k3"], {"group": 8, "pads": [1, 1, 1, 1]}),
            ("GlobalAveragePool", ["Conv"], {}),
            ("Conv", ["GlobalAveragePool", "k1"], {}),
            ("Sigmoid", ["Conv"], {}),
            ("Mul", ["Conv@3", "Sigmoid"], {}),
            ("Div", ["Mul", "two"], {}),
            ("Erf", ["Div"], {}),
            ("Add", ["Erf", "one"], {}),
            ("Mul", ["Mul@7", "Add"], {}),
            ("Transpose", ["Mul"], {"perm": [0, 2, 3, 1]}),
            ("MatMul", ["Transpose", "w"], {}),
            ("Softmax", ["MatMul"], {"axis": -1}),
            ("MatMul", ["Softmax", "w"], {}),
            ("Transpose", ["MatMul"], {"perm": [0, 3, 1, 2]}),
            ("Concat", ["Transpose", value], {"axis": 1}),
            ("Conv", ["Concat", "k2"], {}),
            ("Add", ["Conv", value], {}),
        )
        last: dict[str, str] = {}
        for at, (op, reads, attributes) in enumerate(steps):
            out = f"{op}_{i}_{at}"
            nodes.append(helper.make_node(op, [last.get(name, name) for name in reads], [out], **attributes))
            last |= {op: out, f"{op}@{at}": out}
        value = last["Add"]
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, dims, [0.1] * size)
        for name, dims, size in (
            ("k1", [8, 8, 1, 1], 64), ("k2", [8, 16, 1, 1], 128), ("k3", [8, 1, 3, 3], 72), ("w", [8, 8], 64),
            ("two", [], 1), ("one", [], 1),
        )
    ]  # fmt: skip
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in ("x", value))
    return _model(helper.make_graph(nodes, "blocks", [x], [y], tensors))


def branches(count: int) -> onnx.ModelProto:
    """One value with half as many readers as nodes, each read once and no more."""
    nodes = [helper.make_node("Conv", ["x", "w"], [f"a{i}"]) for i in range(count // 2)]
    nodes += [helper.make_node("HardSwish", [f"a{i}"], [f"y{i}"]) for i in range(count // 2)]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], [0.1] * 64)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 8, 8]) for name in ("x", "y0"))
    return _model(helper.make_graph(nodes, "branches", [x], [y], [weight]))


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@cache
def context(make: Callable[[int], onnx.ModelProto], count: int, device: str) -> Context:
    model = read_model(make(count), Settings())
    return Context(Analysis(model.graph, target_for(load_device(device))), model.bound.assumed, model.unused)


def pricing(code: str, on: Context) -> Callable[[], None]:
    def run() -> None:
        on.analysis.savings.clear()
        priced_findings(on, [find_rule(installed_rules(), code)], Settings())

    return run


@pytest.mark.parametrize(("make", "device"), [(blocks, "hi3519"), (branches, "rk3588")])
def test_each_rule_alone_is_linear(make: Callable[[int], onnx.ModelProto], device: str) -> None:
    contexts = [context(make, count, device) for count in (SHORT, LONG)]
    for code in CODES:
        assert growth.at_most(25, *(pricing(code, one) for one in contexts), slack_s=0.5), code


@pytest.mark.parametrize("device", ["rk3588", "t4"])
@pytest.mark.parametrize("name", ["nasnet_mobile", "vit_tiny"])
def test_rules_take_little_beside_the_costs(name: str, device: str) -> None:
    """No square hides in a rule; tests/benchmarks/rules_per_costs.py states the figures."""
    proto = build(name)
    assert any(rules < 6 * costs for costs, rules in (best(lambda: proto, device, 1) for _ in range(4)))
