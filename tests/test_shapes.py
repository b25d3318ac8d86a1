"""Shapes of whole models: native inference, then what values make known."""

from __future__ import annotations

import onnx
import pytest
from models import analyse, constant, lint, model, observed, value, weight
from onnx import TensorProto, helper
from zoo import build

from onnxlint import isolated, shapes
from onnxlint.engine import read_model
from onnxlint.settings import Settings

NODE = helper.make_node


def types(proto: onnx.ModelProto, **bindings: object) -> dict[str, tuple | None]:
    return {info.name: info.shape for info in lint(proto, **bindings).model.outputs}


def test_shape_chains_are_carried_through() -> None:
    nodes = [
        NODE("Shape", ["x"], ["s"]),
        NODE("Gather", ["s", "zero"], ["n"]),
        NODE("Concat", ["n", "rest"], ["target"], axis=0),
        NODE("Reshape", ["x", "target"], ["y"]),
    ]
    proto = model(nodes, [value("x", ["N", 6, 4])], ["y"], [constant("zero", [0]), constant("rest", [2, -1])])
    assert types(proto, batch=3) == {"y": (3, 2, 12)}


def test_the_models_own_claims_are_not_believed_where_inference_knows_better() -> None:
    proto = model([NODE("Relu", ["x"], ["y"])], [value("x", [2, 3])], [value("y", [9, 9])])
    proto.graph.value_info.append(value("y", [7]))
    assert types(proto) == {"y": (2, 3)}


def test_the_models_claims_fill_what_nothing_else_tells() -> None:
    nodes = [NODE("Mystery", ["x"], ["m"], domain="nobody"), NODE("MatMul", ["m", "w"], ["y"])]
    proto = model(nodes, [value("x", ["N", 3])], [value("y", None)], [weight("w", 5, 7)], domains={"nobody": 1})
    proto.graph.value_info.append(value("m", ["N", 5]))
    assert types(proto, batch=4) == {"y": (4, 7)}


def test_declared_output_shapes_serve_where_inference_is_silent() -> None:
    node = NODE("Mystery", ["x"], ["y"], domain="nobody")
    proto = model([node], [value("x", [2, 3])], [value("y", [2, 9])], domains={"nobody": 1})
    assert types(proto) == {"y": (2, 9)}


def test_the_proto_is_left_as_it_was() -> None:
    proto = build("squeezenet_1_1", batch="N")
    before = proto.SerializeToString()
    lint(proto, batch=2)
    assert proto.SerializeToString() == before


def test_a_crash_of_native_inference_leaves_what_the_file_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    def died(*_: object) -> bytes:
        raise isolated.ChildDied("crashed (SIGSEGV)")

    monkeypatch.setattr(shapes.isolated, "call", died)
    proto = model([NODE("Relu", ["x"], ["y"])], [value("x", [2, 3])], [value("y", [2, 3])])
    report = lint(proto)
    assert report.model.outputs[0].shape == (2, 3)
    assert any("SIGSEGV" in line for line in report.incomplete)


def test_equal_calls_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = [NODE("Conv", ["x", "w"], ["c"], pads=[0, 0, 0, 0]), NODE("Relu", ["c"], ["y"])]
    block = helper.make_function("local", "Block", ["x", "w"], ["y"], inner, [helper.make_opsetid("", 17)])
    calls = [NODE("Block", [f"v{i}", "w"], [f"v{i + 1}"], domain="local") for i in range(50)]
    tensors = [weight("w", 4, 4, 1, 1)]
    proto = model(calls, [value("v0", [1, 4, 8, 8])], ["v50"], tensors, [block], domains={"local": 1})
    asked = []
    original = onnx.shape_inference.infer_node_outputs
    monkeypatch.setattr(
        onnx.shape_inference, "infer_node_outputs", lambda *a, **k: asked.append(1) or original(*a, **k)
    )
    monkeypatch.setattr(shapes.isolated, "call", lambda function, limits: function())
    graph = read_model(proto, Settings()).graph
    assert len(graph.nodes) == 100
    assert not graph.unresolved
    assert 0 < len(asked) <= 2


@pytest.mark.parametrize("level", ["basic", "extended", "all"])
def test_models_that_onnx_runtime_optimized_are_known(level: str, tmp_path) -> None:
    import onnxruntime
    from zoo.weights import fill

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    for name in ("squeezenet_1_1", "tinybert_4l_312"):
        proto = fill(build(name))
        onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
        optimized = onnx.load(tmp_path / "optimized.onnx")
        del optimized.graph.value_info[:]
        plain, report = lint(proto), lint(optimized)
        assert not report.model.unresolved
        assert not report.model.unknown_operators
        assert report.totals is not None
        assert plain.totals is not None
        assert report.totals.macs == pytest.approx(plain.totals.macs, rel=0.1)


@pytest.mark.parametrize("name", ["mobilevit_xs", "shufflenet_v2_x0_5"])
def test_inferred_shapes_are_those_that_were_run(name: str) -> None:
    import numpy as np
    from zoo.weights import fill

    proto = fill(build(name))
    (source,) = proto.graph.input
    dims = [dim.dim_value for dim in source.type.tensor_type.shape.dim]
    seen = observed(proto, {source.name: np.zeros(dims, np.float32)})
    graph = analyse(proto).graph
    assert {n: graph.type_of(n).shape for n in seen} == seen


def test_sparse_and_half_initializers_have_types() -> None:
    node = NODE("Cast", ["x"], ["h"], to=TensorProto.FLOAT16)
    proto = model(
        [node, NODE("MatMul", ["h", "w"], ["y"])],
        [value("x", [2, 4])],
        [value("y", None, 10)],
        [weight("w", 4, 5, dtype="f2")],
    )
    assert str(analyse(proto).graph.type_of("y")) == "float16[2x5]"


def test_padding_is_known_though_a_clip_of_its_pads_leaves_a_bound_out() -> None:
    """TensorFlow's SAME padding as PyTorch exports it: the pads are clipped from below alone."""
    nodes = [
        NODE("Clip", ["size", "zero", ""], ["clipped"]),
        NODE("Cast", ["clipped"], ["each"], to=TensorProto.INT64),
        NODE("Concat", ["none", "each", "each", "none", "each", "each"], ["pads"], axis=0),
        NODE("Pad", ["x", "pads"], ["y"]),
    ]
    given = [constant("size", [1.0], "float32"), constant("zero", 0.0, "float32"), constant("none", [0, 0])]
    assert types(model(nodes, [value("x", [1, 3, 8, 8])], ["y"], given)) == {"y": (1, 3, 10, 10)}
