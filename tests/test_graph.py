"""The graph that rules read."""

from __future__ import annotations

import networkx
import onnx
import pytest
from models import analyse, constant, model, value, weight
from onnx import TensorProto, helper
from zoo import build

from onnxlint.graph import Graph

NODE = helper.make_node


def graph_of(nodes: list[onnx.NodeProto], outputs: list[str], tensors: tuple = (), dims: tuple = (2, 4)) -> Graph:
    return analyse(model(nodes, [value("x", dims)], outputs, tensors)).graph


def roles(graph: Graph) -> dict[str, str]:
    return {node.key: node.role for node in graph.nodes}


def test_inputs_keep_order_repetition_and_gaps() -> None:
    graph = graph_of(
        [NODE("Clip", ["x", "", "hi"], ["a"]), NODE("Add", ["a", "a"], ["y"])], ["y"], (constant("hi", 6, "f4"),)
    )
    assert graph.node("a").inputs == ("x", "", "hi")
    assert graph.node("y").inputs == ("a", "a")
    assert [node.key for node in graph.consumers("a")] == ["y"]


def test_what_depends_on_constants_or_shapes_alone_is_no_work() -> None:
    nodes = [
        NODE("Transpose", ["w"], ["wt"], perm=[1, 0]),
        NODE("MatMul", ["x", "wt"], ["m"]),
        NODE("Shape", ["m"], ["s"]),
        NODE("Gather", ["s", "zero"], ["n"]),
        NODE("Concat", ["n", "minus"], ["target"], axis=0),
        NODE("Reshape", ["m", "target"], ["y"]),
    ]
    tensors = (weight("w", 3, 4), constant("zero", [0]), constant("minus", [-1]))
    graph = graph_of(nodes, ["y"], tensors)
    assert roles(graph) == {
        "wt": "constant",
        "m": "compute",
        "s": "shape",
        "n": "shape",
        "target": "shape",
        "y": "compute",
    }
    assert [node.key for node in graph.compute_nodes] == ["m", "y"]
    assert graph.is_constant("wt")
    assert graph.is_constant("w")
    assert not graph.is_constant("m")


def test_noise_is_work() -> None:
    node = NODE("RandomNormal", [], ["r"], shape=[2, 4])
    assert roles(graph_of([node, NODE("Add", ["x", "r"], ["y"])], ["y"])) == {"r": "compute", "y": "compute"}


def test_a_decided_branch_is_spliced_in() -> None:
    then = helper.make_graph([NODE("Relu", ["x"], ["r"])], "t", [], [value("r", None)])
    other = helper.make_graph([NODE("Sigmoid", ["x"], ["s"])], "e", [], [value("s", None)])
    nodes = [NODE("If", ["flag"], ["i"], then_branch=then, else_branch=other), NODE("Neg", ["i"], ["y"])]
    graph = graph_of(nodes, ["y"], (constant("flag", False, "bool"),))
    assert [(node.op_type, node.key) for node in graph.nodes] == [("Sigmoid", "i/else_branch/s"), ("Neg", "y")]
    assert graph.node("y").inputs == ("i/else_branch/s",)


def test_weights_taken_into_a_body_are_constants_there() -> None:
    then = helper.make_graph([NODE("MatMul", ["x", "w"], ["r"])], "t", [], [value("r", None)])
    other = helper.make_graph([NODE("Identity", ["x"], ["s"])], "e", [], [value("s", None)])
    node = NODE("If", ["flag"], ["y"], then_branch=then, else_branch=other)
    inputs = [value("x", [2, 4]), value("flag", [], TensorProto.BOOL)]
    graph = analyse(model([node], inputs, ["y"], [weight("w", 4, 4)])).graph
    body = graph.nodes[0].bodies["then_branch"]
    assert body.is_constant("w")
    assert not body.is_constant("x")
    assert body.captured == {"x", "w"}
    assert [consumer.key for consumer in graph.consumers("w")] == ["y"]


@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "nasnet_mobile"])
def test_the_network_is_the_data_flow(name: str) -> None:
    graph = analyse(build(name)).graph
    network = graph.network
    assert networkx.is_directed_acyclic_graph(network)
    assert set(network) == {node.key for node in graph.nodes}
    edges = {(graph.producer(n).key, node.key, n) for node in graph.nodes for n in node.inputs if graph.producer(n)}  # type: ignore[union-attr]
    assert set(network.edges(keys=True)) == edges
    assert all(graph.position[a] < graph.position[b] for a, b, _ in edges)
