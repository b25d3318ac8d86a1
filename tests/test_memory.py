"""The peak of live activations, by hand and against brute force."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import analyse, constant, model, value, weight
from onnx import TensorProto, helper
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.memory import peak_activation_bytes
from onnxlint.operators import ELEMENTWISE, VIEWS

NODE = helper.make_node


def peak(
    nodes: list[onnx.NodeProto], dims: list[int], outputs: list[str], tensors: tuple = (), **options: object
) -> int:
    return peak_activation_bytes(analyse(model(nodes, [value("x", dims)], outputs, tensors), **options))


def test_a_chain_holds_two_values() -> None:
    nodes = [NODE("MaxPool", ["x"], ["a"], kernel_shape=[1]), NODE("MaxPool", ["a"], ["y"], kernel_shape=[1])]
    assert peak(nodes, [1, 1, 10], ["y"]) == 80


def test_a_residual_holds_three() -> None:
    pools = [NODE("MaxPool", [a], [b], kernel_shape=[1]) for a, b in ("xa", "ab", "bc")]
    assert peak([*pools, NODE("Concat", ["a", "c"], ["y"], axis=1)], [1, 1, 10], ["y"]) == 40 + 40 + 80
    assert peak([*pools, NODE("Concat", ["x", "c"], ["y"], axis=1)], [1, 1, 10], ["y"]) == 40 + 40 + 80


def test_elementwise_work_writes_over_an_input_that_dies() -> None:
    assert peak([NODE("Relu", ["x"], ["y"])], [10], ["y"]) == 40
    assert peak([NODE("Add", ["x", "x"], ["y"])], [10], ["y"]) == 40
    # x is needed again
    nodes = [NODE("Relu", ["x"], ["a"]), NODE("Concat", ["x", "a"], ["y"], axis=0)]
    assert peak(nodes, [10], ["y"]) == 40 + 40 + 80
    # the output is larger than the input that dies
    assert peak([NODE("Add", ["x", "w"], ["y"])], [10, 1], ["y"], (weight("w", 1, 3),)) == 40 + 120


def test_a_view_shares_its_sources_memory() -> None:
    shape = constant("s", [2, 5])
    nodes = [NODE("MaxPool", ["x"], ["a"], kernel_shape=[1]), NODE("Reshape", ["a", "s"], ["b"])]
    assert peak([*nodes, NODE("Transpose", ["b"], ["y"])], [1, 1, 10], ["y"], (shape,)) == 80
    # and keeps it alive
    late = [*nodes, NODE("MaxPool", ["x"], ["c"], kernel_shape=[1]), NODE("Transpose", ["b"], ["d"])]
    assert peak(late, [1, 1, 10], ["c", "d"], (shape,)) == 120


def test_what_stays_inside_a_kernel_takes_none() -> None:
    nodes = [NODE("Conv", ["x", "w"], ["a"]), NODE("Relu", ["a"], ["y"])]
    assert peak(nodes, [1, 4, 5, 5], ["y"], (weight("w", 4, 4, 1, 1),)) == 800


def test_precision_and_batch_scale_it() -> None:
    proto = build("mobilenet_v2")
    whole = peak_activation_bytes(analyse(proto))
    assert peak_activation_bytes(analyse(proto, "t4", "fp16")) == whole // 2
    assert peak_activation_bytes(analyse(proto, "t4", "int8")) == whole // 4
    # the largest pair: 96 channels at 112x112 beside what they become at 56x56
    assert whole == 4 * (96 * 112 * 112 + 96 * 56 * 56)


def test_a_loop_adds_what_its_body_holds() -> None:
    body_inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, [])]
    body_inputs += [helper.make_tensor_value_info("go", TensorProto.BOOL, []), value("h", [10])]
    nodes = [NODE("Concat", ["h", "h"], ["wide"], axis=0), NODE("Slice", ["wide", "zero", "ten"], ["h2"])]
    outputs = [helper.make_tensor_value_info("go2", TensorProto.BOOL, []), value("h2", [10])]
    body = helper.make_graph([*nodes, NODE("Identity", ["go"], ["go2"])], "body", body_inputs, outputs)
    loop = NODE("Loop", ["n", "", "x"], ["y"], body=body)
    tensors = (constant("n", 2), constant("zero", [0]), constant("ten", [10]))
    assert peak([loop], [10], ["y"], tensors) == 40 + (8 + 1 + 40 + 80 + 40) - 40


def brute(analysis: Analysis) -> int:
    """The peak without sharing: at each step, what was written until then and is still read or returned."""
    graph, kernels = analysis.graph, analysis.kernels
    best = 0
    for now, kernel in enumerate(kernels):
        written = {name for earlier in kernels[: now + 1] for node in earlier.nodes for name in node.outputs}
        needed = {name for later in kernels[now:] for node in later.nodes for name in node.inputs}
        fresh = {name for node in kernel.nodes for name in node.outputs}
        alive = ({*graph.inputs} | written) & (needed | set(graph.outputs) | fresh)
        best = max(best, sum(map(analysis.value_bytes, alive)))
    return best


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_without_views_and_sharing_it_is_the_brute_force_sum(edges: list[tuple[int, int]]) -> None:
    nodes, names = [], ["x"]
    for index, (a, b) in enumerate(edges):
        name = f"v{index}"
        nodes.append(NODE("Concat", [names[a % len(names)], names[b % len(names)]], [name], axis=0))
        names.append(name)
    read = {name for node in nodes for name in node.input}
    nodes.append(NODE("Concat", [name for name in names if name not in read] or ["x"], ["y"], axis=0))
    names.append("y")
    analysis = analyse(model(nodes, [value("x", [3])], ["y"]))
    assert not {node.op_type for node in analysis.graph.nodes} & (ELEMENTWISE | VIEWS)
    assert peak_activation_bytes(analysis) == brute(analysis)
    assert peak_activation_bytes(analysis) <= sum(analysis.value_bytes(name) for name in names)


@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "vit_tiny", "densenet121", "bert_base"])
def test_it_lies_between_the_largest_step_and_everything(name: str) -> None:
    analysis = analyse(build(name))
    graph = analysis.graph
    steps = [
        sum(map(analysis.value_bytes, {n for n in (*node.inputs, *node.outputs) if n and not graph.is_constant(n)}))
        for node in graph.compute_nodes
        if node.op_type in ("Conv", "MatMul", "Gemm")
    ]
    everything = sum(analysis.value_bytes(n) for node in graph.compute_nodes for n in node.outputs)
    assert max(steps) <= peak_activation_bytes(analysis) + max(steps) // 2
    assert peak_activation_bytes(analysis) < everything
