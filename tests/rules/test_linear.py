"""Each rule takes time in proportion to the graph: four times the nodes, about four times as long."""

from __future__ import annotations

import gc
import time

import onnx
import pytest
from models import constant, model, value, weight
from onnx import helper

from onnxlint.analysis import Analysis, target_for
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.registry import installed_rules
from onnxlint.rule import Context, LoadedRule
from onnxlint.settings import Settings

NODE = helper.make_node
SMALL, LARGE = 5_000, 20_000
NEGLIGIBLE_S = 0.2


def network(length: int) -> onnx.ModelProto:
    """Blocks of what rules look for: convolutions of all kinds, shuffles, gates, attention, things to tidy."""
    nodes: list[onnx.NodeProto] = []
    last = "x"

    def add(op: str, *inputs: str, **attributes: object) -> str:
        nodes.append(NODE(op, list(inputs), [f"v{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    while len(nodes) < length:
        normal = add("BatchNormalization", add("Conv", last, "w1"), *"somq")
        deep = add("Conv", add("Relu", normal), "wd", group=8, pads=[1, 1, 1, 1])
        grouped = add("Conv", add("Conv", deep, "wg", group=2), "wg", group=2)
        split = add("Transpose", add("Reshape", grouped, "five"), perm=[0, 2, 1, 3, 4])
        shuffled = add("Reshape", split, "four")
        gate = add("Sigmoid", add("Conv", add("GlobalAveragePool", shuffled), "w1"))
        gated = add("Mul", shuffled, gate)
        there = add("Transpose", add("Transpose", gated, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
        swish = add("Mul", there, add("HardSigmoid", there))
        tokens = add("Transpose", add("Reshape", swish, "flat"), perm=[0, 2, 1])
        scores = add("Softmax", add("MatMul", tokens, add("Transpose", tokens, perm=[0, 2, 1])), axis=-1)
        mixed = add("Transpose", add("MatMul", scores, tokens), perm=[0, 2, 1])
        wide = add("Concat", *(add("Conv", last, "w4", pads=[1, 1, 1, 1]) for _ in range(4)), axis=1)
        joined = add("Add", add("Reshape", add("Identity", mixed), "four"), add("Conv", wide, "w5", pads=[2, 2, 2, 2]))
        last = add("Reshape", joined, add("Shape", joined))
    nodes.append(NODE("Relu", [last], ["y"]))
    tensors = [
        *(weight(name, 8) for name in "somq"),
        weight("w1", 8, 8, 1, 1),
        weight("wd", 8, 1, 3, 3),
        weight("wg", 8, 4, 1, 1),
        weight("w4", 2, 8, 3, 3),
        weight("w5", 8, 8, 5, 5),
        constant("five", [1, 2, 4, 6, 6]),
        constant("four", [1, 8, 6, 6]),
        constant("flat", [1, 8, 36]),
    ]
    return model(nodes, [value("x", [1, 8, 6, 6])], ["y"], tensors)


@pytest.fixture(scope="module", params=["rk3588", "t4", "cortex-a76"])
def contexts(request: pytest.FixtureRequest) -> tuple[Context, Context]:
    target = target_for(load_device(request.param))
    reads = [read_model(network(length), Settings()) for length in (SMALL, LARGE)]
    small, large = (Context(Analysis(read.graph, target), (), read.unused) for read in reads)
    return small, large


def seconds(rule: LoadedRule, context: Context) -> float:
    best = float("inf")
    gc.disable()
    try:
        for _ in range(2):
            start = time.process_time()
            list(rule.check(context))
            best = min(best, time.process_time() - start)
            if best < NEGLIGIBLE_S:
                break
    finally:
        gc.enable()
    return best


@pytest.mark.parametrize("rule", installed_rules(), ids=lambda rule: rule.code)
def test_a_rule_is_linear(rule: LoadedRule, contexts: tuple[Context, Context]) -> None:
    small, large = contexts
    large_s = seconds(rule, large)
    assert large_s < 30
    if large_s > NEGLIGIBLE_S:
        assert large_s <= 7 * seconds(rule, small)
