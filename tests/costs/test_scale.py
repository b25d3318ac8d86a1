"""Time grows with the number of nodes, not with its square; depth and width are no matter."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import growth
import onnx
import pytest
from models import constant, lint, model, value, weight
from onnx import helper

from onnxlint.api import lint_model

NODE = helper.make_node
OPERATORS = ("Conv", "Relu", "Add", "Sigmoid", "Mul")


def chain(length: int) -> onnx.ModelProto:
    nodes, names = [], ["x"]
    for index in range(length):
        op = OPERATORS[index % 5]
        inputs = [names[-1], *(["w"] if op == "Conv" else [names[-2]] if op in ("Add", "Mul") else [])]
        nodes.append(NODE(op, inputs, [f"v{index}"]))
        names.append(f"v{index}")
    return model(nodes, [value("x", [1, 8, 4, 4])], [names[-1]], [weight("w", 8, 8, 1, 1)])


def wide(width: int) -> onnx.ModelProto:
    nodes = [NODE("Relu", ["x"], [f"v{index}"]) for index in range(width)]
    nodes.append(NODE("Concat", [f"v{index}" for index in range(width)], ["y"], axis=0))
    return model(nodes, [value("x", [2])], ["y"])


def fan(width: int) -> onnx.ModelProto:
    """One value that many nodes of several kinds read, and their results."""
    ones = constant("ones", [1, 1, 1, 1])
    kinds = [
        ("Conv", ["r", "w"], {}),
        ("Conv", ["r", "grouped"], {"group": 8}),
        ("Transpose", ["r"], {"perm": [0, 2, 3, 1]}),
        ("Reshape", ["r", "flat"], {}),
        ("Mul", ["r", "gate"], {}),
        ("Softmax", ["r"], {}),
        ("Gather", ["r", "first"], {"axis": 1}),
        ("Expand", ["r", "ones"], {}),
        ("MatMul", ["r", "r"], {}),
    ]
    nodes = [NODE("Relu", ["x"], ["r"]), NODE("GlobalAveragePool", ["x"], ["gate"])]
    ends = []
    for index in range(width):
        op, inputs, attributes = kinds[index % len(kinds)]
        nodes.append(NODE(op, inputs, [f"v{index}"], **attributes))
        nodes.append(NODE("Sigmoid", [f"v{index}"], [f"s{index}"]))
        nodes.append(NODE("Flatten", [f"s{index}"], [f"e{index}"]))
        ends.append(f"e{index}")
    nodes.append(NODE("Concat", ends, ["y"], axis=1))
    tensors = [weight("w", 8, 8, 1, 1), weight("grouped", 8, 1, 1, 1), constant("flat", [1, 8, 16])]
    return model(nodes, [value("x", [1, 8, 4, 4])], ["y"], [*tensors, ones, constant("first", [0])])


def joined(width: int) -> onnx.ModelProto:
    """Parallel branches that one Sum joins, and a long run of Adds beside it."""
    nodes = [NODE("Conv", ["x", "w"], [f"v{index}"]) for index in range(width)]
    nodes += [NODE("Sigmoid", [f"v{index}"], [f"s{index}"]) for index in range(width)]
    nodes.append(NODE("Sum", [f"s{index}" for index in range(width)], ["sum"]))
    last = "sum"
    for index in range(width):
        nodes += [NODE("Conv", ["x", "w"], [f"c{index}"]), NODE("Add", [last, f"c{index}"], [f"a{index}"])]
        last = f"a{index}"
    return model(nodes, [value("x", [1, 8, 4, 4])], [last], [weight("w", 8, 8, 1, 1)])


def constants(length: int) -> onnx.ModelProto:
    """A chain of constants, each of whose values is read at run time."""
    nodes, last = [], "w"
    for index in range(length):
        nodes.append(NODE("Neg", [last], [f"c{index}"]))
        nodes.append(NODE("Add", ["x", f"c{index}"], [f"v{index}"]))
        last = f"c{index}"
    return model(nodes, [value("x", [2])], [f"v{length - 1}"], [constant("w", [1, 2], "float32")])


def branches(count: int) -> onnx.ModelProto:
    nodes, last = [], "x"
    for index in range(count):
        bodies = [
            helper.make_graph([NODE(op, [last], [f"{op}{index}"])], op, [], [value(f"{op}{index}", None)])
            for op in ("Relu", "Neg")
        ]
        nodes.append(NODE("If", ["flag"], [f"v{index}"], then_branch=bodies[0], else_branch=bodies[1]))
        last = f"v{index}"
    return model(nodes, [value("x", [2]), value("flag", [], onnx.TensorProto.BOOL)], [last])


def concatenated(width: int) -> onnx.ModelProto:
    """Parallel convolutions that one Concat joins."""
    return _convolutions(width, "Concat", axis=1)


def summed(width: int) -> onnx.ModelProto:
    """Parallel convolutions that one Sum joins."""
    return _convolutions(width, "Sum")


def _convolutions(width: int, join: str, **attributes: int) -> onnx.ModelProto:
    nodes = [NODE("Conv", ["x", "w"], [f"v{index}"]) for index in range(width)]
    nodes.append(NODE(join, [f"v{index}" for index in range(width)], ["y"], **attributes))
    return model(nodes, [value("x", [1, 8, 4, 4])], ["y"], [weight("w", 8, 8, 1, 1)])


def is_linear(build, size: int, device: str = "generic", most: float = 2.6, *, rules: bool = False) -> bool:
    """Twice the size takes about twice the time."""
    return growth.at_most(most, *(linting(build(nodes), device, rules=rules) for nodes in (size, 2 * size)))


def linting(proto: onnx.ModelProto, device: str = "generic", *, rules: bool = False) -> Callable[[], None]:
    def run() -> None:
        assert not (lint_model(proto, device) if rules else lint(proto, device)).incomplete

    return run


@pytest.mark.parametrize(
    ("build", "size"),
    [(chain, 6000), (wide, 6000), (constants, 3000), (branches, 1000)],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_twice_the_nodes_take_about_twice_the_time(build, size: int) -> None:
    assert is_linear(build, size)


@pytest.mark.parametrize("device", ["hi3519", "t4"])
@pytest.mark.parametrize(("build", "size"), [(fan, 1500), (joined, 1500)], ids=lambda v: getattr(v, "__name__", v))
def test_many_readers_and_joins_of_many_take_no_longer_each(build, size: int, device: str) -> None:
    assert is_linear(build, size, device)


@pytest.mark.parametrize("build", [chain, concatenated, summed], ids=lambda build: build.__name__)
def test_with_all_rules_twice_the_nodes_take_at_most_2_3_times_as_long(build) -> None:
    assert is_linear(build, 4000, most=2.3, rules=True)


def test_doubled_ways_are_walked_once() -> None:
    """60 forks in a row: 2^60 ways through them."""
    nodes, last = [], "x"
    for index in range(60):
        nodes += [NODE("Conv", [last, "w"], [f"a{index}"]), NODE("Conv", [last, "w"], [f"b{index}"])]
        nodes += [NODE("Add", [f"a{index}", f"b{index}"], [f"s{index}"]), NODE("Relu", [f"s{index}"], [f"r{index}"])]
        last = f"r{index}"
    forks = model(nodes, [value("x", [1, 8, 4, 4])], [last], [weight("w", 8, 8, 1, 1)])
    assert growth.cpu_seconds(linting(forks)) < 30


def test_sums_of_a_value_and_itself_are_walked_once() -> None:
    def sums(count: int) -> onnx.ModelProto:
        names = ["x", *(f"v{index}" for index in range(count))]
        nodes = [NODE("Add", [a, a], [b]) for a, b in itertools.pairwise(names)]
        return model(nodes, [value("x", [4])], [names[-1]], [])

    assert is_linear(sums, 2000, rules=True)


def test_nested_branches_cost_one_way_through_them() -> None:
    graph = helper.make_graph([NODE("Relu", ["x"], ["inner"])], "g", [], [value("inner", None)])
    for depth in range(6):
        node = NODE("If", ["flag"], [f"d{depth}"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "g", [], [value(f"d{depth}", None)])
    top = NODE("If", ["flag"], ["y"], then_branch=graph, else_branch=graph)
    report = lint(model([top], [value("x", [2]), value("flag", [], onnx.TensorProto.BOOL)], ["y"]))
    assert report.totals is not None
    assert report.totals.flops == 2
