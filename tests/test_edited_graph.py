"""A graph after edits says what a graph made anew of the same nodes says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.edited_graph import EditedGraph
from onnxlint.engine import read_model
from onnxlint.finding import Edit, Reorder
from onnxlint.graph import Graph, Node
from onnxlint.ordering import CycleError, execution_order
from onnxlint.places import in_order
from onnxlint.registry import installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for
from onnxlint.whatif import apply


def facts(graph: Graph) -> list[object]:
    names = {name for node in graph.nodes for name in (*node.reads, *node.outputs)}
    return [
        {name: graph.producer(name) for name in names},
        {name: graph.consumers(name) for name in names},
        {name: graph.readers(name) for name in names},
        {name: graph.is_constant(name) for name in names},
        {node.key: graph.get(node.key) for node in graph.nodes},
        dict(graph.position),
        graph.compute_nodes,
        list(graph.writers.items()),
        graph.has_dequantized,
    ]


def anew(graph: Graph) -> Graph:
    return Graph(graph.nodes, graph.inputs, graph.outputs, graph.types, graph.values, graph.weights, graph.outer)


@pytest.mark.parametrize("device", ["hi3519", "t4"])
@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "vit_tiny", "ghostnet", "inception_v3"])
def test_an_edited_graph_says_what_a_new_one_says(name: str, device: str) -> None:
    graph = read_model(build(name), Settings()).graph
    context = Context(Analysis(graph, target_for(load_device(device))))
    fixes = [fix for rule in installed_rules() for finding in rule.check(context) for fix in finding.fixes]
    edits: list[tuple[Edit, ...]] = [fix.edits for fix in fixes]
    edits.append((Reorder(tuple(node.key for node in reversed(graph.nodes))),))
    for one in edits:
        edited = apply(graph, one)
        assert facts(edited) == facts(anew(edited))
        # what is fixed once can be fixed again
        again = apply(edited, (Reorder(tuple(node.key for node in graph.nodes)),))
        assert facts(again) == facts(anew(again))


def node(index: int, reads: set[int]) -> Node:
    return Node("Sum", "", 13, f"v{index}", "", tuple(f"v{one}" for one in sorted(reads)), (f"v{index}",), {})


@given(st.lists(st.sets(st.integers(0, 9)), min_size=10, max_size=10))
def test_nodes_out_of_order_are_put_where_a_sort_puts_them(reads: list[set[int]]) -> None:
    nodes = [node(index, read) for index, read in enumerate(reads)]
    places = {node.key: index for index, node in enumerate(nodes)}
    late = {index for index, read in enumerate(reads) if max(read, default=-1) >= index}

    def readers(name: str) -> list[int]:
        return [index for index, read in enumerate(reads) if places[name] in read]

    try:
        wanted = [nodes[index] for index in execution_order(reads)]
    except CycleError:
        with pytest.raises(CycleError):
            in_order(nodes, late, places.__getitem__, readers)
        return
    assert in_order(nodes, late, places.__getitem__, readers)[0] == wanted


def test_what_is_left_alone_is_the_same_object() -> None:
    graph = read_model(build("ghostnet"), Settings()).graph
    edited = apply(graph, ())
    assert isinstance(edited, EditedGraph)
    assert edited.types is graph.types
    assert all(one is other for one, other in zip(edited.nodes, graph.nodes, strict=True))
