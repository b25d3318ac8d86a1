"""What the file holds that nothing reads."""

from __future__ import annotations

from models import constant, model, value, weight
from onnx import helper

from onnxlint.unused import find_unused

NODE = helper.make_node


def test_a_chain_that_ends_nowhere_is_dead_with_its_weights() -> None:
    nodes = [
        NODE("Relu", ["x"], ["y"]),
        NODE("MatMul", ["x", "w"], ["a"]),
        NODE("Relu", ["a"], ["b"]),
        NODE("Split", ["x", "s"], ["left", ""], axis=0),
    ]
    tensors = [weight("w", 8, 8), constant("s", [1, 1]), weight("never", 2, 2)]
    found = find_unused(model(nodes, [value("x", [2, 8])], ["y"], tensors))
    assert found.nodes == ("a", "b", "left")
    assert found.weights == ("w", "s", "never")
    assert found.weight_bytes == 4 * 64 + 2 * 8 + 4 * 4
    assert (found.functions, found.imports) == ((), ())


def test_what_a_body_reads_is_read() -> None:
    inner = helper.make_graph([NODE("Add", ["x", "w"], ["t"])], "then", [], [value("t", None)])
    other = helper.make_graph([], "else", [], [value("v", None)])
    nodes = [NODE("Neg", ["x"], ["v"]), NODE("If", ["flag"], ["y"], then_branch=inner, else_branch=other)]
    proto = model(nodes, [value("x", [2]), value("flag", [], 9)], ["y"], [weight("w", 2)])
    found = find_unused(proto)
    assert found.nodes == ()
    assert found.weights == ()


def test_functions_that_call_each_other() -> None:
    def function(name: str, *calls: str):
        nodes = [NODE(call, ["a"], [f"b{i}"], domain="own") for i, call in enumerate(calls)]
        nodes.append(NODE("Relu", ["a"], ["b"]))
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        return helper.make_function("own", name, ["a"], ["b"], nodes, imports)

    functions = [function("Used", "Inner"), function("Inner"), function("Left", "AlsoLeft"), function("AlsoLeft")]
    nodes = [NODE("Used", ["x"], ["y"], domain="own")]
    proto = model(nodes, [value("x", [2])], ["y"], functions=functions, domains={"own": 1, "acme": 3})
    found = find_unused(proto)
    assert found.functions == ("own:Left", "own:AlsoLeft")
    assert found.imports == ("acme",)


def test_an_output_that_is_an_initializer_or_an_input_is_read() -> None:
    proto = model([NODE("Relu", ["x"], ["y"])], [value("x", [2])], ["y", "w", "x"], [weight("w", 2)])
    assert find_unused(proto).weights == ()


def test_an_operator_of_functions_used_by_name_alone() -> None:
    proto = model([NODE("Relu", ["x"], ["y"])], [value("x", [2])], [], [])
    assert find_unused(proto).nodes == ("y",)
