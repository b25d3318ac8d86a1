"""The zoo in code against the published counts of its networks, and in ONNX Runtime."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from zoo import DETECTORS, NETWORKS, build, count, weights
from zoo.store import STORED

FEW = ["shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet_1_1", "ghostnet", "espnet_c", "repvgg_a0_train"]
FEW += ["mobilevit_xs", "vit_tiny", "efficientformer_l1", "mobileformer_294m", "tinybert_4l_312", "nasnet_mobile"]


def run(model: onnx.ModelProto, batch: int = 1) -> list[np.ndarray]:
    """The outputs for seeded images, or for tokens of small numbers."""
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = 2
    session_options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options, ["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    feeds = {}
    for value in session.get_inputs():
        shape = [batch if isinstance(dim, str) else dim for dim in value.shape]
        feeds[value.name] = (
            np.ones(shape, np.int64) if "int64" in value.type else rng.standard_normal(shape).astype(np.float32)
        )
    return [np.asarray(output) for output in session.run(None, feeds)]


def reshapes_in_groups(model: onnx.ModelProto) -> int:
    """How many Reshape, Transpose, Reshape runs there are that swap two groups of channels."""
    reads = {node.input[0]: node for node in model.graph.node if node.op_type in ("Reshape", "Transpose")}
    runs = 0
    for node in model.graph.node:
        if node.op_type == "Transpose" and list(node.attribute[0].ints) == [0, 2, 1, 3, 4]:
            runs += reads[node.output[0]].op_type == "Reshape"
    return runs


ALL = NETWORKS | DETECTORS


@pytest.mark.parametrize("name", ALL)
def test_parameters_are_those_published(name: str) -> None:
    network = ALL[name]
    found = count.parameters(build(name, fold_batchnorm=False))
    assert found == pytest.approx(network.params, rel=network.params_tolerance, abs=0), network.note


@pytest.mark.parametrize("name", ALL)
def test_multiply_accumulates_are_those_published(name: str) -> None:
    network = ALL[name]
    found = count.multiply_accumulates(build(name))
    assert found == pytest.approx(network.macs, rel=network.macs_tolerance, abs=0), network.note


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_saves_one_parameter_per_channel(name: str) -> None:
    kept = build(name, fold_batchnorm=False)
    folded = build(name, fold_batchnorm=True)
    assert count.parameters(kept) - count.parameters(folded) == count.saved_by_folding(kept)
    assert count.saved_by_folding(folded) == 0


@pytest.mark.parametrize(("name", "printed"), [("mobiledet_edgetpu", "4.20"), ("mobiledet_dsp", "7.16")])
def test_mobiledet_parameters_with_statistics_round_to_those_printed(name: str, printed: str) -> None:
    model = build(name, fold_batchnorm=False)
    statistics = 2 * count.saved_by_folding(model)
    assert f"{(count.parameters(model) + statistics) / 1e6:.2f}" == printed


@pytest.mark.parametrize("name", NETWORKS)
def test_large_weights_are_absent(name: str) -> None:
    model = build(name)
    end = 0
    for tensor in model.graph.initializer:
        size = int(np.prod(tensor.dims))
        assert (tensor.data_location == TensorProto.EXTERNAL) == (size > 256)
        if size > 256:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            assert entries == {"location": "weights.bin", "offset": str(end), "length": str(4 * size)}
            end += 4 * size
    assert end > 0


@pytest.mark.parametrize("name", FEW)
def test_runs_with_seeded_weights(name: str) -> None:
    model = build(name)
    outputs = run(weights.fill(model))
    for output, declared in zip(outputs, model.graph.output, strict=True):
        assert list(output.shape) == [dim.dim_value for dim in declared.type.tensor_type.shape.dim]
        assert np.isfinite(output).all()
        assert output.std() > 0


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "vit_tiny", "mobilevit_xs", "tinybert_4l_312"])
def test_runs_with_a_symbolic_batch(name: str) -> None:
    outputs = run(weights.fill(build(name, batch="batch")), batch=2)
    assert {output.shape[0] for output in outputs} == {2}


@pytest.mark.parametrize("opset", [13, 18, 20])
def test_builds_for_other_opsets(opset: int) -> None:
    name = "efficientnet_b0" if opset == 13 else "efficientformer_l1"
    onnx.shape_inference.infer_shapes(build(name, opset=opset), strict_mode=True, data_prop=True)


def test_constant_weights_need_no_file() -> None:
    model = build("mobilenet_v3_small", weights="constant")
    assert model.ByteSize() < 200_000
    assert np.isfinite(run(model)[0]).all()
    assert count.multiply_accumulates(model) == NETWORKS["mobilenet_v3_small"].macs


def test_stored_shufflenet_is_the_built_one() -> None:
    stored = onnx.load(STORED)
    built = build("shufflenet_v2_x1_0", weights="constant")
    assert list(stored.graph.node) == list(built.graph.node)
    kinds = Counter(node.op_type for node in stored.graph.node)
    assert (kinds["Split"], kinds["Concat"], kinds["Conv"], reshapes_in_groups(stored)) == (13, 16, 56, 16)
    assert run(stored)[0].shape == (1, 1000)
