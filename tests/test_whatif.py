"""Edits on a graph's nodes and types, and what they save."""

import pytest
from zoo import build

from onnxlint.analysis import Analysis, target_for
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.finding import Declare, Insert, Reconnect, Remove
from onnxlint.graph import Graph
from onnxlint.registry import installed_rules
from onnxlint.rule import Context, example_model
from onnxlint.settings import Settings
from onnxlint.tensor import TensorType
from onnxlint.whatif import EditError, apply, saving

TEXT = """g (float[1,32,28,28] x) => (float[1,32,28,28] y) <float[32,32,3,3] w, float[32,32,3,3] v>
{ a = Conv<pads=[1,1,1,1]>(x, w) b = Transpose<perm=[0,1,3,2]>(a) c = Transpose<perm=[0,1,3,2]>(b)
  y = Conv<pads=[1,1,1,1]>(c, v) }"""


@pytest.fixture
def graph() -> Graph:
    return read_model(example_model(TEXT), Settings()).graph


def test_removing_what_cancels_saves_its_time(graph: Graph) -> None:
    analysis = Analysis(graph, target_for(load_device("t4")))
    edits = (Remove("b"), Remove("c"), Reconnect("c", "a"))
    after = apply(graph, edits)
    assert [node.op_type for node in after.nodes] == ["Conv", "Conv"]
    assert after.node("y").inputs[0] == "a"
    spent = analysis.seconds_of([graph.node("b"), graph.node("c")])
    assert saving(analysis, edits).tolist() == pytest.approx(spent.tolist(), rel=1e-9)


def test_inserting_in_place_of_what_was_removed(graph: Graph) -> None:
    edits = (
        Remove("b"),
        Remove("c"),
        Declare("perm", TensorType(1, (32, 32, 1, 1)), is_weight=True),
        Insert("Conv", ("a", "perm"), ("c",)),
    )
    after = apply(graph, edits)
    assert [node.key for node in after.nodes] == ["a", "c", "y"]
    assert after.is_constant("perm")


def test_edits_leave_the_graph_as_it_was(graph: Graph) -> None:
    before = [(node.key, node.inputs) for node in graph.nodes]
    apply(graph, (Remove("b"), Reconnect("b", "a")))
    assert [(node.key, node.inputs) for node in graph.nodes] == before


@pytest.mark.parametrize(
    "edits",
    [
        (Remove("nothing"),),
        (Remove("b"), Remove("b")),
        (Reconnect("a", "b"), Reconnect("b", "a")),
        (Remove("b"), Insert("Relu", ("y",), ("b",))),
    ],
)
def test_edits_that_do_not_fit_are_refused(graph: Graph, edits: tuple[Remove | Reconnect | Insert, ...]) -> None:
    with pytest.raises(EditError):
        apply(graph, edits)


@pytest.mark.parametrize("device", ["hi3519", "t4"])
@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "mobilenet_v2", "inception_v3", "ghostnet"])
def test_pricing_from_a_base_is_pricing_anew(name: str, device: str) -> None:
    """What is taken over from the unchanged graph's analysis is what a fresh one would find."""
    graph = read_model(build(name), Settings()).graph
    base = Analysis(graph, target_for(load_device(device)))
    fixes = [fix for rule in installed_rules() for finding in rule.check(Context(base)) for fix in finding.fixes]
    assert fixes
    for fix in fixes:
        changed = apply(graph, fix.edits)
        anew, reused = Analysis(changed, base.target), Analysis(changed, base.target, base)
        assert reused.total.tolist() == pytest.approx(anew.total.tolist(), rel=1e-12)
        assert reused.kernel_costs == anew.kernel_costs
