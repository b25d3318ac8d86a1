"""Names resolved across bodies and functions, and graphs that are none."""

from __future__ import annotations

from itertools import pairwise

import modelfiles
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxlint.api import lint_model
from onnxlint.load import LoadError
from onnxlint.resolved import GraphDef
from onnxlint.scope import read_graph

LOCAL = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
IF = """g (float[1,3] x, bool c) => (float[1,3] y) {
    y = If (c) <then_branch = t () => (float[1,3] a) { a = Relu(x) },
                else_branch = e () => (float[1,3] a) { a = Neg(x) }>
}"""


def function(name: str, nodes: list[onnx.NodeProto], attributes: tuple[str, ...] = ()) -> onnx.FunctionProto:
    return helper.make_function("local", name, ["a"], ["b"], nodes, LOCAL, list(attributes))


def call(name: str, source: str, target: str, **attributes: float) -> onnx.NodeProto:
    return helper.make_node(name, [source], [target], domain="local", **attributes)


def calling(nodes: list[onnx.NodeProto], *functions: onnx.FunctionProto) -> onnx.ModelProto:
    dims = [1, 3]
    return modelfiles.model_of(nodes, {"x": dims}, {"y": dims}, functions=functions, opset_imports=LOCAL)


def keys(graph: GraphDef) -> list[str]:
    return [node.key for node in graph.nodes]


def test_values_of_bodies_carry_the_path() -> None:
    (node,) = read_graph(modelfiles.parse(IF)).nodes
    assert {name: keys(body) for name, body in node.bodies.items()} == {
        "then_branch": ["y/then_branch/a"],
        "else_branch": ["y/else_branch/a"],
    }
    assert node.reads() == {"x", "c"}
    assert lint_model(modelfiles.parse(IF)).exit_code == 0


def test_a_body_may_hide_an_outer_name() -> None:
    graph = read_graph(modelfiles.parse(IF.replace("float[1,3] y) {", "float[1,3] y) { a = Abs(x)")))
    assert keys(graph) == ["a", "y"]
    assert keys(graph.nodes[1].bodies["then_branch"]) == ["y/then_branch/a"]


def test_unsorted_nodes_are_sorted() -> None:
    nodes = [helper.make_node("Relu", [f"v{n}"], [f"v{n + 1}"]) for n in reversed(range(9))]
    graph = read_graph(modelfiles.model_of(nodes, {"v0": [1]}, {"v9": [1]}))
    assert keys(graph) == [f"v{n}" for n in range(1, 10)]


def test_a_bodys_captured_values_order_the_nodes() -> None:
    model = modelfiles.parse(IF.replace("Relu(x)", "Relu(late)"))
    model.graph.node.append(helper.make_node("Abs", ["x"], ["late"]))
    assert keys(read_graph(model)) == ["late", "y"]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([("Add", "x b", "a"), ("Relu", "a", "b")], "cycle"),
        ([("Add", "x a", "a")], "cycle"),
        ([("Relu", "x", "a"), ("Neg", "x", "a")], "written twice"),
        ([("Split", "x", "a a")], "written twice"),
        ([("Relu", "x", "x")], "written twice"),
    ],
)
def test_graphs_that_are_none(nodes: list[tuple[str, str, str]], words: str) -> None:
    made = [helper.make_node(op, reads.split(), writes.split()) for op, reads, writes in nodes]
    with pytest.raises(LoadError, match=words):
        read_graph(modelfiles.model_of(made, {"x": [1]}, {"a": [1]}))


def test_a_cycle_through_a_body() -> None:
    with pytest.raises(LoadError, match="cycle"):
        read_graph(modelfiles.parse(IF.replace("Relu(x)", "Relu(y)")))


@pytest.mark.parametrize(
    ("nodes", "outputs", "words"),
    [
        ([helper.make_node("Relu", ["q"], ["y"])], ["y"], "1 value is read that nothing writes (q)"),
        ([helper.make_node("Relu", ["x"], ["y"])], ["y", "z"], "1 value is read that nothing writes (z)"),
        ([], ["z"], "1 value is read that nothing writes (z)"),
        ([helper.make_node("Relu", ["x"], ["y"])], [], "the graph has no outputs"),
        ([helper.make_node("Foo", ["x"], ["y"], domain="bar")], ["y"], "of the domain 'bar', which is not imported"),
    ],
)
def test_what_nothing_writes_is_a_problem(nodes: list[onnx.NodeProto], outputs: list[str], words: str) -> None:
    model = modelfiles.model_of(nodes, {"x": [1, 3]}, {name: [1, 3] for name in outputs})
    (problem,) = read_graph(model).problems
    assert words in problem
    report = lint_model(model)
    assert problem in report.incomplete
    assert report.exit_code == 1


def test_dangling_values_of_bodies_and_functions_are_found() -> None:
    assert "(q)" in str(read_graph(modelfiles.parse(IF.replace("Relu(x)", "Relu(q)"))).problems).replace(
        "y/then_branch/", ""
    )
    broken = function("F", [helper.make_node("Add", ["a", "q"], ["b"])])
    assert read_graph(calling([call("F", "x", "y")], broken)).problems


def test_functions_are_inlined() -> None:
    inner = function("Inner", [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Neg", ["t"], ["b"])])
    outer = function("Outer", [call("Inner", "a", "t"), call("Inner", "t", "b")])
    graph = read_graph(calling([call("Outer", "x", "y")], inner, outer))
    assert [node.op_type for node in graph.nodes] == ["Relu", "Neg"] * 2
    assert (graph.nodes[0].inputs, graph.nodes[-1].outputs) == (("x",), ("y",))
    for before, after in pairwise(graph.nodes):
        assert before.outputs == after.inputs
    assert len(set(keys(graph))) == 4


def reference(node: onnx.NodeProto, name: str, actual: str) -> onnx.NodeProto:
    node.attribute.add(name=name, ref_attr_name=actual, type=onnx.AttributeProto.FLOAT)
    return node


def alpha(graph: GraphDef) -> float | None:
    found = graph.nodes[-1].attributes.get("alpha")
    return found.f if found is not None else None


def test_attributes_by_reference() -> None:
    leaky = function("L", [reference(helper.make_node("LeakyRelu", ["a"], ["b"]), "alpha", "al")], ("al",))
    assert alpha(read_graph(calling([call("L", "x", "y", al=0.5)], leaky))) == 0.5
    assert alpha(read_graph(calling([call("L", "x", "y")], leaky))) is None
    del leaky.attribute[:]
    leaky.attribute_proto.append(helper.make_attribute("al", 0.25))
    assert alpha(read_graph(calling([call("L", "x", "y")], leaky))) == 0.25


def test_attributes_by_reference_inside_a_functions_body() -> None:
    inner = reference(helper.make_node("LeakyRelu", ["a"], ["r"]), "alpha", "al")
    body = helper.make_graph([inner], "g", [], [helper.make_tensor_value_info("r", 1, None)])
    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", 9, [], [1]))
    nodes = [condition, helper.make_node("If", ["c"], ["b"], then_branch=body, else_branch=body)]
    graph = read_graph(calling([call("L", "x", "y", al=0.5)], function("L", nodes, ("al",))))
    assert graph.nodes[-1].bodies["then_branch"].nodes[0].attributes["alpha"].f == 0.5


def test_optional_inputs_of_functions_stay_omitted() -> None:
    clip = helper.make_function(
        "local", "C", ["a", "low", "high"], ["b"], [helper.make_node("Clip", ["a", "low", "high"], ["b"])], LOCAL
    )
    for given in (["x"], ["x", "", ""]):
        graph = read_graph(calling([helper.make_node("C", given, ["y"], domain="local")], clip))
        assert graph.nodes[0].inputs == ("x", "", "")
        assert not graph.problems


def test_functions_that_never_end() -> None:
    with pytest.raises(LoadError, match="deep inside each other"):
        read_graph(calling([call("F", "x", "y")], function("F", [call("F", "a", "b")])))
    body = helper.make_graph([call("F", "a", "r")], "g", [], [helper.make_tensor_value_info("r", 1, None)])
    through = function("F", [helper.make_node("If", ["a"], ["b"], then_branch=body, else_branch=body)])
    with pytest.raises(LoadError, match="deep inside each other"):
        read_graph(calling([call("F", "x", "y")], through))


def test_functions_that_double_at_each_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxlint.scope.MAX_INLINED_NODES", 5000)
    chain = [function(f"F{n}", [call(f"F{n + 1}", "a", "t"), call(f"F{n + 1}", "t", "b")]) for n in range(40)]
    chain.append(function("F40", [helper.make_node("Relu", ["a"], ["b"])]))
    with pytest.raises(LoadError, match="5,000 nodes in its functions"):
        read_graph(calling([call("F0", "x", "y")], *chain))


def test_long_names_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxlint.scope.MAX_NAME_CHARACTERS", 1 << 20)
    name = "n" * 100_000
    long = function("F", [helper.make_node("Relu", ["a"], [name]), helper.make_node("Relu", [name], ["b"])])
    nodes = [call("F", f"v{n}", f"v{n + 1}") for n in range(20)]
    model = modelfiles.model_of(nodes, {"v0": [1]}, {"v20": [1]}, functions=[long], opset_imports=LOCAL)
    with pytest.raises(LoadError, match="names of more than"):
        read_graph(model)


def test_ir_3_initializers_are_no_inputs() -> None:
    model = modelfiles.conv(ir_version=3)
    model.graph.input.append(helper.make_tensor_value_info("w", 1, [64, 3, 3, 3]))
    graph = read_graph(model)
    assert graph.inputs == ["x"]
    assert list(graph.initializers) == ["w"]


def test_sparse_initializers_are_weights() -> None:
    model = modelfiles.conv()
    del model.graph.initializer[:]
    sparse = model.graph.sparse_initializer.add(dims=[64, 3, 3, 3])
    sparse.values.CopyFrom(helper.make_tensor("w", 1, [2], [1.0, 2.0]))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([0, 5])))
    assert read_graph(model).inputs == ["x"]
    report = lint_model(model)
    assert report.totals is not None
    assert (report.totals.params, report.totals.macs) == (1728, 1728 * 64)


def test_names_that_are_no_utf8_stay_distinct() -> None:
    data = modelfiles.relu("aaaa", "bbbb").SerializeToString()
    model = onnx.ModelProto.FromString(data.replace(b"aaaa", b"\xff\xff\xff\xff").replace(b"bbbb", b"\xfe\xfe\xfe\xfe"))
    graph = read_graph(model)
    assert graph.inputs != graph.outputs
    assert lint_model(model).exit_code == 0


def test_empty_node_names_and_no_outputs() -> None:
    nodes = [helper.make_node("Relu", ["x"], []), helper.make_node("Relu", ["x"], ["y"])]
    graph = read_graph(modelfiles.model_of(nodes, {"x": [1]}, {"y": [1]}))
    assert keys(graph) == ["Relu#0", "y"]


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_every_operator_set_since_7(opset: int) -> None:
    report = lint_model(modelfiles.conv(opset=opset))
    assert (report.exit_code, report.totals.macs if report.totals else 0) == (0, 1728 * 64)
