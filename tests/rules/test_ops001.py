"""OPS001, OPS003 and OPS004: what the device does not run, hold or compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edited import same_outputs
from zoo import NETWORKS, build

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import lint_graph, read_model
from onnxlint.finding import Insert
from onnxlint.graph import Graph
from onnxlint.patterns.focus import focus
from onnxlint.patterns.packed_heads import four_dimensional, packed_heads
from onnxlint.patterns.rewrites import rewrites
from onnxlint.patterns.stacked_sums import stacked_sums
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import Report, ReportedFinding
from onnxlint.rule import Context, example_model
from onnxlint.settings import Settings
from onnxlint.target import target_for
from onnxlint.whatif import apply

CODES = ("OPS001", "OPS002", "OPS003", "OPS004", "CHN001", "STR006")
CAUSES = (
    "OPS001",
    "OPS002",
    "OPS003",
    "OPS005",
    "OPS006",
    "OPS007",
    "OPS008",
    "OPS010",
    "CNV007",
    "TRF001",
    "TRF002",
    "TRF003",
)
RULES = [find_rule(installed_rules(), code) for code in CODES]


def lint(name: str, device: str) -> Report:
    return lint_graph(read_model(build(name), Settings()), load_device(device), RULES, Settings())


def found(report: Report, code: str) -> list[ReportedFinding]:
    return [finding for finding in report.findings if finding.rule == code]


def text_graph(text: str) -> Graph:
    return read_model(example_model(text), Settings()).graph


@pytest.mark.parametrize("name", NETWORKS)
def test_no_rule_fails_on_the_zoo(name: str) -> None:
    model = read_model(build(name), Settings())
    for device in ("hi3519", "x3", "rk3588", "cv22", "t4", "cortex-a76"):
        assert lint_graph(model, load_device(device), RULES, Settings()).incomplete == ()


@pytest.mark.parametrize("name", ["resnet18", "repvgg_a0_deploy"])
def test_a_plain_network_has_no_warning_on_a_gpu(name: str) -> None:
    assert [f.rule for f in lint(name, "t4").findings if f.severity != "info"] == []


@pytest.mark.parametrize("device", ["hi3519", "x3", "x5", "rk3588", "edgetpu", "ethos-u65", "ane", "cv22"])
@pytest.mark.parametrize("name", ["vit_tiny", "shufflenet_v2_x1_0", "mobilevit_xs", "mobilenet_v3_large"])
def test_every_unsupported_node_is_explained_once(name: str, device: str) -> None:
    if name not in NETWORKS:
        pytest.skip("not in the zoo")
    profile = load_device(device)
    model = read_model(build(name), Settings())
    rules = [find_rule(installed_rules(), code) for code in CAUSES]
    report = lint_graph(model, profile, rules, Settings())
    told = [
        finding
        for finding in report.findings
        if finding.rule not in ("TRF002", "TRF003") or " leave" in finding.message
    ]
    nodes = [node for finding in told for node in finding.nodes]
    assert len(nodes) == len(set(nodes))
    support = Analysis(model.graph, target_for(profile)).placement.support
    assert {key for key, told in support.items() if told.status != "supported"} <= set(nodes)


@pytest.mark.parametrize("name", ["vit_tiny"])
def test_packed_heads_have_a_form_of_four_dims(name: str) -> None:
    if name not in NETWORKS:
        pytest.skip("not in the zoo")
    graph = read_model(build(name), Settings()).graph
    packings = list(packed_heads(graph))
    if not packings:
        pytest.skip("its heads are not packed")
    edits = [edit for packed in packings for edit in four_dimensional(graph, packed)]
    after = apply(graph, edits)
    assert max(after.type_of(name).rank or 0 for node in after.compute_nodes for name in node.outputs) <= 4


UNTURNED = """n (float[2,2,2,48] x) => (float[2,2,4,4] y) <int64[5] s = {2,4,3,2,8}> {
  r = Reshape(x, s)
  a, b, c = Split<axis = 2>(r)
  p = Constant<value_ints = [2]>()
  q = Squeeze(a, p) k = Squeeze(b, p) v = Squeeze(c, p)
  qt = Transpose<perm = [0, 2, 1, 3]>(q) kt = Transpose<perm = [0, 2, 3, 1]>(k) vt = Transpose<perm = [0, 2, 3, 1]>(v)
  qk = MatMul(qt, kt) qv = MatMul(qt, vt) y = Add(qk, qv)
}"""


def test_packed_heads_that_are_cut_before_they_are_transposed() -> None:
    [finding] = found(lint_text(UNTURNED, "rk3588"), "OPS003")
    assert finding.fix is not None
    graph = text_graph(UNTURNED)
    [packed] = packed_heads(graph)
    assert same_outputs(graph, four_dimensional(graph, packed))


SELECTED = """n (float[2,3,5,5] a, float[2,3,5,5] b, float[2,6,1,1] g) => (float[2,3,5,5] u, float[2,3,5,5] v)
<int64[1] one = {1}, int64[5] s = {2,2,3,1,1}> {
  x = Unsqueeze(a, one) y = Unsqueeze(b, one) c = Concat<axis = 1>(x, y)
  u = ReduceSum<keepdims = 0>(c, one)
  r = Reshape(g, s) p = Softmax<axis = 1>(r) m = Mul(c, p) v = ReduceSum<keepdims = 0>(m, one)
}"""


def test_maps_that_are_stacked_to_be_summed_are_added() -> None:
    graph = text_graph(SELECTED)
    [stack] = stacked_sums(graph)
    assert same_outputs(graph, stack.edits)
    after = apply(graph, stack.edits)
    assert max(after.type_of(name).rank or 0 for node in after.compute_nodes for name in node.outputs) == 4
    [finding] = found(lint_text(SELECTED, "rk3588"), "OPS003")
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    plain = next(node for node in graph.nodes if node.outputs == ("u",))
    [rewrite] = rewrites(graph, plain)
    assert same_outputs(graph, rewrite.edits)


def test_a_softmax_over_two_maps_is_a_sigmoid_where_the_device_has_but_that() -> None:
    graph = text_graph(SELECTED)
    [stack] = stacked_sums(graph, by_sigmoid=True)
    assert same_outputs(graph, stack.edits, lambda name, dims, dtype: np.full(dims, -1, np.float32))
    after = apply(graph, stack.edits)
    assert max(after.type_of(name).rank or 0 for node in after.compute_nodes for name in node.outputs) == 4
    assert "Softmax" not in [node.op_type for node in after.compute_nodes]
    for device in ("hi3519", "x3"):
        [finding] = found(lint_text(SELECTED, device), "OPS003")
        assert finding.fix is not None
        assert finding.fix.safety == "exact"
        assert "sigmoid" in finding.suggestion


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sum_over_any_axis_of_a_stack_adds_its_maps(axis: int) -> None:
    text = f"""n (float[2,3] a, float[2,3] b, float[2,3] c) => (y) <int64[1] s = {{{axis}}}> {{
      u = Unsqueeze(a, s) v = Unsqueeze(b, s) w = Unsqueeze(c, s)
      t = Concat<axis = {axis}>(u, v, w) y = ReduceSum<keepdims = 0>(t, s) }}"""
    graph = text_graph(text)
    rewrite, *_ = rewrites(graph, graph.nodes[-1])
    assert same_outputs(graph, rewrite.edits)


def test_what_the_device_lacks_anyway_hinders_no_form() -> None:
    text = """n (float[1,8,14,14] x, float[1,8,1,1] z) => (y) <int64[4] s = {1,8,14,14}> {
      e = Expand(z, s) y = Div(x, e) }"""
    fixes = {f.message.split()[0]: f.fix for f in found(lint_text(text, "hi3519"), "OPS001")}
    assert fixes["Expand"] is not None


def test_a_constant_that_no_runtime_takes_is_where_unknown_sizes_begin() -> None:
    text = """n (float[1,4,8] x) => (float[1,m,8] y) <float[1,1,8] c, int64[3] s = {1,3,3}> {
      e = Expand(c, s) f = Identity(e) a = Concat<axis = 1>(f, x) y = Relu(a) }"""
    [finding] = found(lint_text(text, "rk3588"), "OPS004")
    assert "No runtime takes this Expand" in finding.suggestion


def test_free_dims_are_frozen_by_a_command() -> None:
    text = "n (float[batch,3,height,224] x) => (float[batch,3,height,224] y) { y = Relu(x) }"
    model = read_model(example_model(text), Settings())
    [finding] = lint_graph(model, load_device("hi3519"), [RULES[3]], Settings()).findings
    assert "--dim batch=1 --dim height=224" in finding.suggestion
    assert finding.saving_s is None
    assert lint_graph(model, load_device("t4"), [RULES[3]], Settings()).findings == ()


def lint_text(text: str, device: str) -> Report:
    return lint_graph(read_model(example_model(text), Settings()), load_device(device), RULES, Settings())


FOCUS = """n (float[1,3,64,64] x) => (float[1,16,32,32] y)
<float[16,12,3,3] w, int64[2] a = {0,0}, int64[2] b = {1,0}, int64[2] c = {0,1}, int64[2] d = {1,1},
 int64[2] end = {64,64}, int64[2] axes = {2,3}, int64[2] step = {2,2}> {
  p = Slice(x, a, end, axes, step) q = Slice(x, b, end, axes, step)
  r = Slice(x, c, end, axes, step) s = Slice(x, d, end, axes, step)
  t = Concat<axis = 1>(p, q, r, s)
  y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(t, w)
}"""
LRN = """n (float[1,96,27,27] x) => (float[1,96,27,27] y)
<float[96,96,1,1] w, int64[5] s = {1,1,96,27,27}, int64[4] u = {1,96,27,27}, int64[10] p = {0,0,2,0,0,0,0,2,0,0},
 float alpha, float one, float beta> {
  x1 = Conv(x, w)
  q = Mul(x1, x1) a = Reshape(q, s) b = Pad(a, p) c = AveragePool<kernel_shape = [5, 1, 1]>(b) d = Reshape(c, u)
  e = Mul(d, alpha) f = Add(e, one) g = Pow(f, beta) y = Div(x1, g)
}"""
WINDOWS = """n (float[1,56,56,96] x) => (float[64,49,96] y)
<int64[6] s = {1,8,7,8,7,96}, int64[3] u = {64,49,96}> {
  a = Reshape(x, s) b = Transpose<perm = [0, 1, 3, 2, 4, 5]>(a) y = Reshape(b, u)
}"""


def test_focus_merges_with_the_first_convolution() -> None:
    [finding] = found(lint_text(FOCUS, "hi3519"), "OPS001")
    assert finding.fix is not None
    assert (finding.fix.title, finding.fix.safety) == (
        "the slices merged with the first convolution: 6x6, stride 2",
        "exact",
    )
    sliced = focus(text_graph(FOCUS))
    assert sliced is not None
    [conv] = [edit for edit in sliced.form.edits if isinstance(edit, Insert)]
    assert dict(conv.attributes) == {"strides": [2, 2], "pads": [2, 2, 2, 2]}
    assert conv.inputs[0] == "x"


def test_slices_that_are_no_focus_have_no_rewrite() -> None:
    text = FOCUS.replace("b = {1,0}", "b = {0,0}")
    assert found(lint_text(text, "hi3519"), "OPS001")[0].fix is None


@pytest.mark.parametrize(("device", "is_offered"), [("hi3519", True), ("x3", False)])
def test_lrn_spelled_out_is_one_finding(device: str, is_offered: bool) -> None:
    report = lint_text(LRN, device)
    [finding] = found(report, "OPS003")
    assert found(report, "OPS001") == []
    assert (finding.fix is not None) == is_offered
    assert ("Exact" in finding.suggestion) == is_offered
    assert "indow" not in finding.suggestion


@pytest.mark.parametrize(("device", "is_offered"), [("rk3588", True), ("hi3519", False), ("x3", False)])
def test_windows_are_joined_where_the_device_transposes(device: str, is_offered: bool) -> None:
    [finding] = found(lint_text(WINDOWS, device), "OPS003")
    assert (finding.fix is not None) == is_offered
    assert ("8x7x8x672 transposed by (0, 2, 1, 3)" in finding.suggestion) == is_offered
    assert ("Exact" in finding.suggestion) == is_offered


def test_a_product_by_a_constant_is_a_gemm() -> None:
    text = "n (float[1,197,192] x) => (float[1,197,768] y) <float[192,768] w> { y = MatMul(x, w) }"
    graph = text_graph(text)
    [rewrite] = rewrites(graph, graph.nodes[0])
    after = apply(graph, rewrite.edits)
    assert [node.op_type for node in after.compute_nodes] == ["Reshape", "Gemm", "Reshape"]
    assert rewrite.safety == "exact"


def test_no_known_form_is_said_so() -> None:
    [finding] = found(lint("vit_tiny", "x3"), "OPS003")
    assert finding.suggestion.startswith("Its form in fewer dims") or "by hand" in finding.suggestion


def test_small_operators_are_one_info() -> None:
    text = """n (float[1,64,256,256] x, float[1,8] z) => (y, v) {
      y = Softmax(x) a = Floor(z) v = Ceil(a) b = Floor(z) }"""
    messages = [f.message for f in found(lint_text(text, "x3"), "OPS001") if f.severity == "info"]
    assert messages == ["3 small operators (Floor, Ceil) leave x3"]


def test_what_follows_a_cut_is_priced_on_the_host() -> None:
    text = "n (float[1,8,14,14] x) => (float[1,8,14,14] y) { a = Mish(x) b = Softmax(a) y = Mish(b) }"
    [finding] = [f for f in found(lint_text(text, "hi3519"), "OPS001") if "not public" in f.message]
    assert "one node is priced on the host" in finding.suggestion


@pytest.mark.parametrize("bias", ["", ", b"])
def test_layer_normalization_spelled_out_computes_the_same(bias: str) -> None:
    text = f"n (float[1,6,8] x) => (y) <float[8] s, float[8] b> {{ y = LayerNormalization(x, s{bias}) }}"
    graph = text_graph(text)
    [rewrite] = rewrites(graph, graph.nodes[0])

    def weights(name: str, dims: tuple[int, ...], dtype: int) -> np.ndarray[Any, Any]:
        return np.full(dims, 1e-5 if name.endswith("epsilon") else 0.5, np.float32)

    assert same_outputs(graph, rewrite.edits, weights)


def test_what_the_profile_says_of_an_operator_is_told() -> None:
    text = "n (float[1,8,8,8] x) => (y) { y = Softmax(x) }"
    [finding] = [f for f in lint_text(text, "x5").findings if f.rule == "OPS001"]
    assert "run_on_bpu" in finding.suggestion


def test_partitions_are_named_with_what_crosses() -> None:
    text = """n (float[1,8,14,14] x) => (y) <float[8,8,1,1] w, float[8] s, float[8] b>
    { a = Conv(x, w) c = InstanceNormalization(a, s, b) y = Conv(c, w) }"""
    [finding] = [f for f in lint_text(text, "x3").findings if f.rule == "OPS001"]
    assert finding.message == "InstanceNormalization leaves x3: in the only partition on the cortex-a53"
    assert finding.details[0].startswith("that partition takes ")
    assert "for 2 tensors (3.14 kB) that cross, and 1 hand-over" in finding.details[0]


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("y = ReduceL2<axes=[1,2], keepdims=1>(x)", {"axes": [1, 2]}),
        ("y = ReduceL2<axes=[-1], keepdims=0>(x)", {"axes": [-1]}),
        ("y = ReduceL2(x)", {}),
        ("y = Neg(x)", {"minus": -1.0}),
        ("y = Sum(x, x, x)", {}),
        ("r = Relu(x) y = Sub(x, r)", {"minus": -1.0}),
        ("y = Softmax<axis=2>(x)", {}),
        ("y = Softmax<axis=1>(x)", {}),
    ],
)
def test_rewrites_compute_the_same(body: str, weights: dict[str, Any]) -> None:
    graph = text_graph(f"n (float[2,3,4,5] x) => (y) {{ {body} }}")
    rewrite, *_ = rewrites(graph, graph.nodes[-1])

    def values(name: str, dims: tuple[int, ...], dtype: int) -> np.ndarray[Any, Any]:
        return np.array(weights[name.rpartition("/")[2]], np.int64 if dtype == 7 else np.float32)

    assert same_outputs(graph, rewrite.edits, values)


def test_a_softmax_of_three_dims_has_a_form_in_four() -> None:
    graph = text_graph("n (float[3,4,5] x) => (y) { y = Softmax(x) }")
    [rewrite] = rewrites(graph, graph.nodes[0])
    assert same_outputs(graph, rewrite.edits)


@pytest.mark.parametrize(("back", "left"), [("{1,24,4,5}", []), ("{24,20}", ["Reshape", "Reshape"])])
def test_a_transposition_of_dims_of_one_is_a_view(back: str, left: list[str]) -> None:
    text = f"""n (float[1,24,4,5] x) => (y) <int64[{back.count(",") + 1}] s = {back}> {{
      t = Transpose<perm = [1, 0, 2, 3]>(x) r = Reshape(t, s) y = Relu(r)
    }}"""
    graph = text_graph(text)
    [rewrite] = rewrites(graph, graph.nodes[0])
    assert [node.op_type for node in apply(graph, rewrite.edits).compute_nodes] == [*left, "Relu"]
    assert same_outputs(graph, rewrite.edits)


def test_a_transposition_that_moves_more_is_none() -> None:
    graph = text_graph("n (float[1,64,40,50] x) => (y) { y = Transpose<perm = [0, 2, 1, 3]>(x) }")
    assert list(rewrites(graph, graph.nodes[0])) == []


@pytest.mark.parametrize(("axis", "is_offered"), [(1, True), (3, False)])
def test_a_split_is_slices_only_where_those_run_along_its_axis(axis: int, is_offered: bool) -> None:
    half = [1, 8, 16, 16]
    half[axis] //= 2
    shape = ",".join(map(str, half))
    sizes = f"{half[axis]}, {half[axis]}"
    text = f"""n (float[1,8,16,16] x) => (float[{shape}] a, float[{shape}] b) <int64[2] sizes = {{{sizes}}}> {{
      a, b = Split<axis={axis}>(x, sizes)
    }}"""
    graph = text_graph(text)
    [rewrite] = rewrites(graph, graph.nodes[0])
    context = Context(Analysis(graph, target_for(load_device("hi3519"))))
    assert context.runs(rewrite.edits) == is_offered


def test_a_split_is_as_many_slices() -> None:
    text = """n (float[2,8,4,5] x) => (a, b) <int64[2] sizes = {3, 5}> { a, b = Split<axis=1>(x, sizes) }"""
    graph = text_graph(text)
    [rewrite] = rewrites(graph, graph.nodes[0])
    limits = {"a/starts": 0, "a/ends": 3, "b/starts": 3, "b/ends": 8, "a/axes": 1, "b/axes": 1}
    assert same_outputs(graph, rewrite.edits, lambda name, dims, dtype: np.array([limits[name]]))


def test_places_without_a_form_hide_no_others() -> None:
    text = """n (float[1,8,14,14] x, float[1,2,2,2,2,2] z) => (y, v) <float s = {2}> { y = Div(x, s) v = Div(z, s) }"""
    [finding] = [f for f in found(lint_text(text, "hi3519"), "OPS001") if f.message.startswith("2 Div")]
    assert "Mul of the reciprocal in 1 of 2 places" in finding.suggestion


def test_a_cast_to_the_same_type_is_no_fault_of_the_device() -> None:
    text = "n (float[1,8,14,14] x) => (y) { a = Relu(x) b = Cast<to = 1>(a) y = Relu(b) }"
    assert found(lint_text(text, "hi3519"), "OPS001") == []


@pytest.mark.parametrize(("behind", "told"), [("y = Relu (s)", False), ("y = Reshape (s, d)", True)])
def test_what_ends_the_network_is_left_to_post_processing(behind: str, told: bool) -> None:
    """A view behind it is no work for the device, an activation is."""
    text = f"""end (float[1,8,28,28] x) => (float[1,8,28,28] y) <float[8,8,3,3] w, int64[4] d = {{1, 8, 28, 28}}>
    {{ a = Conv <pads = [1,1,1,1]> (x, w) s = LogSoftmax <axis = 1> (a) {behind} }}"""
    reported = lint_text(text, "x3")
    (finding,) = (one for one in reported.findings if "LogSoftmax" in one.message)
    assert ("export the network up to it" in finding.suggestion) == told


@pytest.mark.parametrize(("device", "title"), [("hi3519", "as Mul of the reciprocal"), ("x3", "in 4-D, between views")])
def test_a_form_in_four_dims_is_told_where_the_plain_one_does_not_run(device: str, title: str) -> None:
    text = """n (float[1,8,28] x) => (float[1,4,28] y) <float[8,8,1] w, float[4,8,1] v, float s> {
      a = Conv (x, w) c = Add (a, x) b = Div (c, s) d = Add (b, a) y = Conv (d, v) }"""
    (finding,) = found(lint_text(text, device), "OPS001")
    assert finding.suggestion.splitlines()[0].endswith(title)
    assert ";" not in finding.suggestion


def test_a_maximum_over_points_is_a_pool() -> None:
    text = """points (float[1,8,1024] x) => (float[1,4,1] y) <float[8,8,1] w, float[4,8,1] v> {
      a = Conv (x, w) b = ReduceMax<axes = [2], keepdims = 1> (a) y = Conv (b, v) }"""
    (finding,) = found(lint_text(text, "x3"), "OPS001")
    assert "GlobalMaxPool" in finding.suggestion


def test_a_network_behind_the_only_cut_is_no_post_processing() -> None:
    text = """n (float[1,8,28,28] x) => (float[1,8,28,28] y) <float[8,8,3,3] w, float[8,8,3,3] v>
    { a = Conv <pads = [1,1,1,1]> (x, w) b = Erf (a) y = Conv <pads = [1,1,1,1]> (b, v) }"""
    told = [one.suggestion for one in lint_text(text, "edgetpu").findings if "Erf" in one.message]
    assert told
    assert not any("export the network up to it" in suggestion for suggestion in told)
