"""Where nodes run, held against the definition of a stretch that is not worth leaving the host for."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st

from onnxlint.device import load_device
from onnxlint.edited_graph import EditedGraph
from onnxlint.finding import Insert, Remove
from onnxlint.graph import Graph, Node
from onnxlint.placement import WORTH_LEAVING, place
from onnxlint.support import SupportTable
from onnxlint.tensor import TensorType
from onnxlint.whatif import apply

DEVICE = load_device("hi3519")
TABLE = SupportTable(DEVICE)
KNOWN = TensorType(1, (1, 16, 8, 8))
OPERATORS = ("Relu", "Add", "Conv", "Erf", "Erf")
"""One that is light, one that joins, one that is worth leaving for, and one that the device does not run."""


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A dozen nodes, each reading one or two values before it."""
    values, nodes = ["x"], []
    for index in range(draw(st.integers(3, 12))):
        op = draw(st.sampled_from(OPERATORS))
        near = st.sampled_from(values[-4:])
        inputs = (draw(near), "w") if op == "Conv" else tuple(draw(near) for _ in range(2 if op == "Add" else 1))
        values.append(f"v{index}")
        nodes.append(Node(op, "", 17, values[-1], "", inputs, (values[-1],), {}))
    types = dict.fromkeys(values, KNOWN) | {"w": TensorType(1, (16, 16, 1, 1))}
    return Graph(tuple(nodes), ("x",), (values[-1],), types, {}, frozenset({"w"}))


def levels(graph: Graph, on_host: set[str]) -> dict[str, int]:
    """The changes of place on the longest way to each node; what the host begins with is a change."""
    found: dict[str, int] = {}
    for node in graph.compute_nodes:
        here = node.key in on_host
        before = [writer.key for name in node.inputs if (writer := graph.producer(name)) is not None]
        found[node.key] = max([found[key] + ((key in on_host) != here) for key in before], default=int(here))
    return found


def light(graph: Graph, on_host: set[str]) -> set[str]:
    """The nodes of light stretches, from the connected parts of the device's nodes of one level."""
    level = levels(graph, on_host)
    edges = [(writer.key, node.key) for node in graph.nodes for n in node.inputs if (writer := graph.producer(n))]
    parts: networkx.Graph[str] = networkx.Graph()
    parts.add_nodes_from(node.key for node in graph.nodes if node.key not in on_host)
    parts.add_edges_from((a, b) for a, b in edges if not {a, b} & on_host and level[a] == level[b])
    found: set[str] = set()
    for stretch in networkx.connected_components(parts):
        nodes = [graph.node(key) for key in stretch]
        fed = any(a in on_host and b in stretch for a, b in edges)
        read = any(a in stretch and b in on_host for a, b in edges)
        ends = any("x" in node.inputs or node.key in graph.is_output for node in nodes)
        if fed and read and not ends and not any(node.op_type in WORTH_LEAVING for node in nodes):
            found |= stretch
    return found


@given(graphs())
def test_light_stretches_between_two_of_the_host_stay_there(graph: Graph) -> None:
    on_host = {node.key for node in graph.nodes if TABLE.of(graph, node).status == "unsupported"}
    while more := light(graph, on_host):
        on_host |= more
    placed = place(graph, DEVICE, TABLE)
    assert placed.on_host == on_host
    assert placed.level == levels(graph, on_host)


@given(graphs(), st.data())
def test_an_edited_graph_is_placed_as_a_new_one(graph: Graph, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([node.key for node in graph.nodes]))
    node = graph.node(key)
    op = data.draw(st.sampled_from(("Relu", "Erf")))
    edited = apply(graph, (Remove(key), Insert(op, node.inputs[:1], node.outputs)))
    assert isinstance(edited, EditedGraph)
    assert place(edited, DEVICE, TABLE, place(graph, DEVICE, TABLE)) == place(edited, DEVICE, TABLE)
