"""What is recognised in the networks of the zoo, how it is printed, and that its time grows with the graph alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import growth
import onnx
import pytest
from linting import network
from models import analyse, model, value
from onnx import helper
from zoo import build

from onnxlint.engine import read_model
from onnxlint.graph import Graph
from onnxlint.output.structure_table import rows_of, write
from onnxlint.patterns.structures import KINDS, structures
from onnxlint.rule import example_model
from onnxlint.settings import Settings


def counted(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind, _ in structures(graph):
        found[kind] = found.get(kind, 0) + 1
    return found


def graph_of(text: str) -> Graph:
    return read_model(example_model(text), Settings()).graph


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alexnet", {}),
        ("vgg16", {}),
        ("googlenet", {}),
        ("inception_v3", {}),
        ("squeezenet_1_1", {}),
        ("repvgg_a0_deploy", {}),
        ("repvgg_a0_train", {"parallel-linear-branches": 22}),
        ("resnet50", {"residual": 16}),
        ("se_resnet50", {"residual": 16, "squeeze-excite": 16}),
        ("cspresnet50", {"residual": 13, "cross-stage-partial": 4}),
        ("densenet121", {"dense-block": 4}),
        ("vovnet39", {"one-shot-aggregation": 6}),
        ("mobilenet_v1", {"separable-pair": 13}),
        ("shufflenet_v2_x1_0", {"separable-pair": 19, "channel-shuffle": 16}),
        ("ghostnet", {"residual": 16, "separable-pair": 9, "squeeze-excite": 7, "ghost-module": 32}),
        ("tinybert_4l_312", {"residual": 4, "attention": 4, "normalization": 9, "activation": 4}),
    ],
)
def test_networks(name: str, expected: dict[str, int]) -> None:
    assert counted(network(name).graph) == expected


def test_a_transformer_of_images() -> None:
    found = counted(network("vit_tiny").graph)
    assert {kind: found[kind] for kind in ("attention", "patch-embedding", "normalization", "packed-heads")} == {
        "attention": 12,
        "patch-embedding": 1,
        "normalization": 25,
        "packed-heads": 12,
    }
    assert counted(network("mobilevit_s").graph)["unfold-fold"] == 6
    assert counted(network("mobileformer_294m").graph)["bridge"] == 22


def test_rows_share_the_time_and_fit_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = analyse(build("mobilevit_s"), "rk3588")
    rows = rows_of(analysis)
    assert all(0 < row.share <= 1 and len(row.places) == row.count for row in rows)
    monkeypatch.setenv("COLUMNS", "80")
    table = io.StringIO()
    write(analysis, "m.onnx", table, "table")
    assert max(map(len, table.getvalue().splitlines())) <= 80
    assert "16 x 256 queries x 256 keys of 36" in table.getvalue()
    as_json = io.StringIO()
    write(analysis, "m.onnx", as_json, "json")
    written = json.loads(as_json.getvalue())
    assert written["schema_version"] == 1
    assert {row["kind"] for row in written["structures"]} == {row.kind for row in rows}


def test_nothing_recognised_is_said() -> None:
    stream = io.StringIO()
    write(analyse(model([helper.make_node("Relu", ["x"], ["y"])], [value("x", [4])], ["y"])), "m", stream, "table")
    assert stream.getvalue() == "m: no structure is recognised\n"


@pytest.mark.parametrize(
    "text",
    [
        # packed heads taken apart by Slice and Squeeze
        """net (float[1,197,192] x) => (float[1,3,197,64] q, float[1,3,197,64] k, float[1,3,197,64] v)
        <int64[5] s = {1,197,3,3,64}, int64[1] a = {0}, int64[1] b = {1}, int64[1] c = {2}, int64[1] e = {3},
         float[192,576] w> {
            p = MatMul(x, w) r = Reshape(p, s) t = Transpose<perm = [2,0,3,1,4]>(r)
            q0 = Slice(t, a, b, a) q = Squeeze(q0, a)
            k0 = Slice(t, b, c, a) k = Squeeze(k0, a)
            v0 = Slice(t, c, e, a) v = Squeeze(v0, a)
        }"""
    ],
)
def test_packed_heads_by_slices(text: str) -> None:
    assert counted(graph_of(text)) == {"packed-heads": 1}


@pytest.mark.parametrize(("mask", "scale"), [(m, s) for m in ("", "m") for s in ("before", "behind", "none")])
def test_attention_in_its_spellings(mask: str, scale: str) -> None:
    before = "qs = Mul(q, c)" if scale == "before" else "qs = Identity(q)"
    behind = "d = Div(a, c)" if scale == "behind" else "d = Identity(a)"
    masked = "e = Add(d, m)" if mask else "e = Identity(d)"
    text = f"""net (float[2,4,50,16] q, float[2,4,16,30] k, float[2,4,30,8] v, float[2,1,1,30] m)
        => (float[2,4,50,8] y) {{
        c = Constant<value_float = 4.0>()
        {before} a = MatMul(qs, k) {behind} {masked} s = Softmax<axis = -1>(e) y = MatMul(s, v)
    }}"""
    (found,) = [one for kind, one in structures(graph_of(text)) if kind == "attention"]
    assert found.numbers == "8 x 50 queries x 30 keys of 16" + (", masked or biased" if mask else "")


def test_a_softmax_that_is_no_attention() -> None:
    text = """net (float[1,10] x) => (float[1,10] y) <float[10,10] w> { a = MatMul(x, w) y = Softmax(a) }"""
    assert counted(graph_of(text)) == {}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "LayerNorm",
            "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) p = Pow(d, two) v = ReduceMean<axes = [-1]>(p)"
            " e = Add(v, eps) r = Sqrt(e) q = Div(d, r) g = Mul(q, w) y = Add(g, b)",
        ),
        (
            "LayerNorm",
            "m = ReduceMean<axes = [2]>(x) d = Sub(x, m) p = Mul(d, d) v = ReduceMean<axes = [2]>(p)"
            " e = Add(v, eps) r = Sqrt(e) i = Reciprocal(r) q = Mul(d, i) g = Mul(w, q) y = Add(b, g)",
        ),
        (
            "RMSNorm",
            "p = Pow(x, two) v = ReduceMean<axes = [-1]>(p) e = Add(v, eps) r = Sqrt(e) q = Div(x, r) y = Mul(q, w)",
        ),
        (
            "SimpleNorm",
            "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) p = Mul(d, d) v = ReduceMean<axes = [-1]>(p) n = Mul(v, two)"
            " o = Div(n, two) e = Add(o, eps) r = Sqrt(e) i = Div(two, r) q = Mul(x, i) y = Mul(q, w)",
        ),
    ],
)
def test_normalizations_spelled_out(kind: str, body: str) -> None:
    text = f"""net (float[1,50,64] x) => (float[1,50,64] y) <float[64] w, float[64] b> {{
        two = Constant<value_float = 2.0>() eps = Constant<value_float = 0.00001>() {body}
    }}"""
    graph = graph_of(text)
    assert counted(graph) == {"normalization": 1}
    ((_, found),) = structures(graph)
    assert found.numbers == f"{kind} of 1x50x64, spelled out"
    assert len(found.nodes) == len(graph.compute_nodes)


def chain(count: int) -> onnx.ModelProto:
    """Inverted bottlenecks with gates and residuals, token mixing between: as many nodes as asked for."""
    nodes: list[onnx.NodeProto] = []
    last = "x"

    def add(op: str, *inputs: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, list(inputs), [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    while len(nodes) < count:
        start = last
        wide = add("Conv", start, "w")
        wide = add("Mul", wide, add("Sigmoid", wide))
        pooled = add("GlobalAveragePool", wide)
        wide = add("Mul", wide, add("Sigmoid", add("Conv", pooled, "w")))
        last = add("Add", start, add("Conv", wide, "w"))
        tokens = add("Reshape", last, "flat")
        tokens = add("Transpose", tokens, perm=[0, 2, 1])
        scores = add("Softmax", add("MatMul", tokens, add("Transpose", tokens, perm=[0, 2, 1])))
        mixed = add("Transpose", add("MatMul", scores, tokens), perm=[0, 2, 1])
        last = add("Concat", add("Conv", add("Reshape", mixed, "map"), "half"), add("Conv", last, "half"), axis=1)
    shapes = [helper.make_tensor("flat", 7, [3], [1, 8, 16]), helper.make_tensor("map", 7, [4], [1, 8, 4, 4])]
    weights = [helper.make_tensor(n, 1, [c, 8, 1, 1], [0.1] * c * 8) for n, c in (("w", 8), ("half", 4))]
    return model(nodes, [value("x", [1, 8, 4, 4])], [last], [*shapes, *weights])


def test_time_grows_with_the_graph_alone() -> None:
    def counting(count: int) -> Callable[[], None]:
        graph = read_model(chain(count), Settings()).graph

        def run() -> None:
            assert {"residual", "squeeze-excite", "attention"} <= set(counted(graph))

        return run

    assert growth.at_most(25, counting(2_000), counting(20_000))


def test_every_kind_has_a_name_of_its_own() -> None:
    assert all(kind == kind.lower() and " " not in kind for kind in KINDS)
