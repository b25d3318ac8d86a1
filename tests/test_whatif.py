"""Edits on a graph's nodes and types, and what they save."""

from contextlib import suppress
from functools import cache

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from zoo import build

from onnxlint.analysis import Analysis
from onnxlint.calibrate.partial import Circumstances
from onnxlint.calibrate.profile import starting_device
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.finding import Declare, Edit, Insert, Reconnect, Remove
from onnxlint.graph import Graph
from onnxlint.registry import installed_rules
from onnxlint.rule import Context, example_model
from onnxlint.settings import Settings
from onnxlint.target import Target, target_for
from onnxlint.tensor import TensorType
from onnxlint.whatif import EditError, alone, apply, saving, seconds_alone

TEXT = """g (float[1,32,28,28] x) => (float[1,32,28,28] y) <float[32,32,3,3] w, float[32,32,3,3] v>
{ a = Conv<pads=[1,1,1,1]>(x, w) b = Transpose<perm=[0,1,3,2]>(a) c = Transpose<perm=[0,1,3,2]>(b)
  y = Conv<pads=[1,1,1,1]>(c, v) }"""

BOX = "box"
WHERE = Circumstances("a machine", "onnxruntime 0", "CPUExecutionProvider", 1, 0)
DEVICES = ["hi3519", "rk3588", "t4", "edgetpu", BOX]
"""With a host beside it, with memory on the chip, with a single partition, with a blocked layout."""


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


def _conv(width: int, source: str, name: str) -> tuple[Edit, ...]:
    return (
        Declare(f"{name}.w", TensorType(1, (32, 32, width, width)), is_weight=True),
        Declare(name, TensorType(1, (1, 32, 29 - width, 29 - width))),
        Insert("Conv", (source, f"{name}.w"), (name,)),
    )


def test_changes_alike_are_priced_alike_and_each_as_if_by_itself(graph: Graph) -> None:
    analysis = Analysis(graph, target_for(load_device("t4")))
    changes = [_conv(1, "x", "p"), _conv(7, "a", "q"), _conv(1, "a", "r")]
    one, other, again = seconds_alone(analysis, changes)
    assert one == again != other
    assert [one, other] == pytest.approx([float(alone(analysis, edits).total.mean()) for edits in changes[:2]])


def test_what_stands_alone_writes_its_result(graph: Graph) -> None:
    analysis = Analysis(graph, target_for(load_device("t4")))
    (cost,) = alone(analysis, _conv(1, "x", "p")).kernel_costs
    assert cost.written_bytes == cost.read_bytes == 32 * 28 * 28 * 2


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


def target_of(name: str) -> Target:
    """The device of that name, or a machine under ONNX Runtime as a calibration takes it: its layout is blocked."""
    return target_for(starting_device(BOX, WHERE, 16, 100.0, 200.0) if name == BOX else load_device(name))


def test_a_calibrated_machine_converts_layouts() -> None:
    analysis = _analysed("shufflenet_v2_x0_5", BOX)
    assert any(load.conversions for load in analysis.device_loads())


def assert_same(reused: Analysis, anew: Analysis) -> None:
    """To the bit: the same kernels, costs, loads and seconds."""
    assert [[node.key for node in kernel.nodes] for kernel in reused.kernels] == [
        [node.key for node in kernel.nodes] for kernel in anew.kernels
    ]
    for now, fresh in zip(reused.kernels, anew.kernels, strict=True):
        assert (now.kernel_class, now.is_free, now.on_host) == (fresh.kernel_class, fresh.is_free, fresh.on_host)
        assert now.group == fresh.group
    assert reused.kernel_costs == anew.kernel_costs
    assert [reused.load(index) for index in range(len(reused.kernels))] == [
        anew.load(index) for index in range(len(anew.kernels))
    ]
    assert reused.times.tolist() == anew.times.tolist()
    assert reused.bounds == anew.bounds
    assert reused.placement == anew.placement


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "inception_v3", "ghostnet", "mobilevit_xs", "tinybert_4l_312"])
def test_pricing_from_a_base_is_pricing_anew(name: str, device: str) -> None:
    """What is taken over from the unchanged graph's analysis is what a fresh one would find, fix after fix."""
    graph = read_model(build(name), Settings()).graph
    base = Analysis(graph, target_of(device))
    fixes = [fix for rule in installed_rules() for finding in rule.check(Context(base)) for fix in finding.fixes]
    assert fixes
    before = base
    for fix in fixes:
        changed = apply(graph, fix.edits)
        assert_same(Analysis(changed, base.target, base), Analysis(changed, base.target))
        with suppress(EditError):
            further = apply(before.graph, fix.edits)
            before = Analysis(further, base.target, before)
            assert_same(before, Analysis(further, base.target))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=10, phases=[Phase.generate])
@given(data=st.data())
def test_any_edits_are_priced_as_if_anew(device: str, data: st.DataObject) -> None:
    """Nodes bypassed, doubled or followed by others anywhere, once and again."""
    analysis = _analysed("shufflenet_v2_x0_5", device)
    for step in range(2):
        graph = analysis.graph
        plain = [
            node.key
            for node in graph.compute_nodes
            if len(node.outputs) == 1 and node.outputs[0] not in graph.is_output and node.inputs and node.inputs[0]
        ]
        edits: list[Edit] = []
        for key in data.draw(st.lists(st.sampled_from(plain), min_size=1, max_size=4, unique=True)):
            node = graph.node(key)
            ways = ("bypass", "double", "swap", "follow") if graph.consumers(key) else ("bypass", "double", "swap")
            way, out = data.draw(st.sampled_from(ways)), node.outputs[0]
            if way == "bypass":
                edits += [Remove(node.key), Reconnect(out, node.inputs[0])]
            elif way == "swap":
                op = data.draw(st.sampled_from(("Relu", "Sigmoid", "Erf", "Identity")))
                edits += [Remove(node.key), Insert(op, node.inputs[:1], node.outputs)]
            elif way == "double":
                edits += [Declare(f"{out}/{step}", graph.type_of(out))]
                edits += [Insert(node.op_type, node.inputs, (f"{out}/{step}",))]
            else:
                reader = graph.consumers(out)[0]
                new = f"{out}/{step}+"
                edits += [Declare(new, graph.type_of(out)), Insert("HardSwish", (out,), (new,)), Remove(reader.key)]
                edits += [Insert("Sum", tuple(new if n == out else n for n in reader.inputs), reader.outputs[:1])]
        try:
            changed = apply(graph, edits)
        except EditError:
            return
        analysis, anew = Analysis(changed, analysis.target, analysis), Analysis(changed, analysis.target)
        assert_same(analysis, anew)


@cache
def _analysed(name: str, device: str) -> Analysis:
    return Analysis(read_model(build(name), Settings()).graph, target_of(device))
