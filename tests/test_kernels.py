"""Which nodes run as one launch."""

from __future__ import annotations

import onnx
import pytest
from models import analyse, constant, model, value, weight
from onnx import helper
from zoo import build

from onnxlint.kernels import ATTENTION_GROUP, MULTIPLIERS, Kernel, classify

NODE = helper.make_node
CONV = NODE("Conv", ["x", "w"], ["c"])
W = weight("w", 4, 4, 1, 1)


def labels(
    nodes: list[onnx.NodeProto], outputs: list[str], device: str = "generic", tensors: tuple = (W,)
) -> list[str]:
    analysis = analyse(model(nodes, [value("x", [1, 4, 8, 8])], outputs, tensors), device)
    return [kernel.label for kernel in analysis.kernels if not kernel.is_free]


def test_an_activation_runs_within_its_convolution() -> None:
    assert labels([CONV, NODE("Relu", ["c"], ["y"])], ["y"]) == ["Conv+Relu"]


def test_silu_spelled_as_two_nodes_too() -> None:
    nodes = [CONV, NODE("Sigmoid", ["c"], ["s"]), NODE("Mul", ["c", "s"], ["y"])]
    assert labels(nodes, ["y"]) == ["Conv+Sigmoid+Mul"]


def test_a_value_that_others_read_ends_the_kernel() -> None:
    nodes = [CONV, NODE("Relu", ["c"], ["r"]), NODE("MaxPool", ["c"], ["p"], kernel_shape=[2, 2])]
    assert labels(nodes, ["r", "p"]) == ["Conv", "Relu", "MaxPool"]
    assert labels([CONV, NODE("Relu", ["c"], ["y"])], ["c", "y"]) == ["Conv", "Relu"]


def test_a_residual_is_added_where_the_other_side_is_ready() -> None:
    nodes = [CONV, NODE("Add", ["c", "x"], ["a"]), NODE("Relu", ["a"], ["y"])]
    assert labels(nodes, ["y"]) == ["Conv+Add+Relu"]
    two = [CONV, NODE("Conv", ["x", "w"], ["d"]), NODE("Add", ["c", "d"], ["y"])]
    assert labels(two, ["y"]) == ["Conv", "Conv+Add"]


def test_views_are_free_where_the_device_says_so() -> None:
    nodes = [CONV, NODE("Flatten", ["c"], ["y"])]
    kernels = analyse(model(nodes, [value("x", [1, 4, 8, 8])], ["y"], [W])).kernels
    assert [(kernel.label, kernel.is_free) for kernel in kernels] == [("Conv", False), ("Flatten", True)]


@pytest.mark.parametrize(
    ("dims", "group", "expected"),
    [
        ((4, 4, 1, 1), 1, "pointwise"),
        ((4, 4, 3, 3), 1, "conv3x3"),
        ((4, 1, 3, 3), 4, "depthwise"),
        ((4, 2, 1, 1), 2, "grouped"),
    ],
)
def test_convolutions_are_classed_by_kernel_and_groups(dims: tuple, group: int, expected: str) -> None:
    node = NODE("Conv", ["x", "w"], ["y"], group=group)
    graph = analyse(model([node], [value("x", [1, 4, 8, 8])], ["y"], [weight("w", *dims)])).graph
    assert classify(graph, graph.nodes[0]) == expected


@pytest.mark.parametrize("device", ["generic", "t4", "hi3519", "cortex-a76"])
@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "efficientnet_b0", "bert_base", "nasnet_mobile"])
def test_kernels_part_the_runtime_nodes_in_an_order_that_data_flow_allows(name: str, device: str) -> None:
    analysis = analyse(build(name), device)
    keys = [node.key for kernel in analysis.kernels for node in kernel.nodes]
    assert sorted(keys) == sorted(node.key for node in analysis.graph.compute_nodes)
    done: set[str] = set(analysis.graph.inputs)
    for kernel in analysis.kernels:
        inner: set[str] = set()
        for node in kernel.nodes:
            for value_name in node.inputs:
                known = value_name in done or value_name in inner or analysis.graph.is_constant(value_name)
                assert known or not value_name, (kernel.label, value_name)
            inner |= set(node.outputs)
        done |= inner
        most = 2 if kernel.group == ATTENTION_GROUP else 1
        assert sum(node.op_type in MULTIPLIERS for node in kernel.nodes) <= most


def test_a_kernel_knows_its_main_node() -> None:
    analysis = analyse(model([CONV, NODE("Relu", ["c"], ["y"])], [value("x", [1, 4, 8, 8])], ["y"], [W]))
    (kernel,) = analysis.kernels
    assert isinstance(kernel, Kernel)
    assert (kernel.main.op_type, kernel.kernel_class) == ("Conv", "pointwise")


def test_a_quantize_on_another_grid_is_work() -> None:
    grid = [constant("s", 0.1, "float32"), constant("z", 0, "uint8"), constant("s2", 0.2, "float32")]
    shape = constant("shape", [4, 64])
    for scale, expected in (("s", []), ("s2", ["QuantizeLinear"])):
        nodes = [NODE("DequantizeLinear", ["x", "s", "z"], ["d"]), NODE("Reshape", ["d", "shape"], ["v"])]
        nodes.append(NODE("QuantizeLinear", ["v", scale, "z"], ["y"]))
        proto = model(nodes, [value("x", [1, 4, 8, 8], onnx.TensorProto.UINT8)], ["y"], [*grid, shape])
        found = [kernel.label for kernel in analyse(proto).kernels if not kernel.is_free]
        assert found == expected


def attention(*on_scores: onnx.NodeProto, outputs: tuple[str, ...] = ("y",)) -> list[str]:
    """The kernels of softmax(q·k)·v on a device that runs it as one, with more done to the scores `s` → `t`."""
    nodes = [
        NODE("MatMul", ["q", "k"], ["s"]),
        *(on_scores or [NODE("Identity", ["s"], ["t"])]),
        NODE("Softmax", ["t"], ["p"], axis=-1),
        NODE("MatMul", ["p", "v"], ["y"]),
    ]
    inputs = [value("q", [1, 2, 4, 8]), value("k", [1, 2, 8, 4]), value("v", [1, 2, 4, 8]), value("m", [1, 1, 4, 4])]
    analysis = analyse(model(nodes, inputs, list(outputs), []), "t4")
    assert all(kernel.kernel_class == "attention" for kernel in analysis.kernels if "Softmax+MatMul" in kernel.label)
    return [kernel.label for kernel in analysis.kernels]


def test_attention_is_one_kernel_whatever_is_done_to_its_scores() -> None:
    assert attention() == ["MatMul+Identity+Softmax+MatMul"]
    assert attention(NODE("Add", ["s", "m"], ["t"])) == ["MatMul+Add+Softmax+MatMul"]


def test_attention_whose_scores_are_read_elsewhere_is_not() -> None:
    assert "Softmax" in attention(outputs=("y", "p"))
    assert "Softmax" in attention(NODE("Relu", ["s"], ["t"]))


def test_attention_with_more_dims_than_a_batch_and_heads_is_not() -> None:
    nodes = [
        NODE("MatMul", ["q", "k"], ["s"]),
        NODE("Softmax", ["s"], ["p"], axis=-1),
        NODE("MatMul", ["p", "q"], ["y"]),
    ]
    inputs = [value("q", [1, 3, 2, 4, 8]), value("k", [1, 3, 2, 8, 4])]
    assert [kernel.label for kernel in analyse(model(nodes, inputs, ["y"], []), "t4").kernels] == [
        "MatMul", "Softmax", "MatMul",
    ]  # fmt: skip


def moved(perm: list[int], *readers: onnx.NodeProto) -> list[str]:
    """What runs on the H100 of a Transpose of `x` and those who read it as `t`."""
    outputs = [node.output[0] for node in readers]
    return labels([NODE("Transpose", ["x"], ["t"], perm=perm), *readers], outputs, "h100")


def test_a_transpose_is_a_view_where_its_readers_take_strides() -> None:
    product, copied = NODE("MatMul", ["t", "t"], ["y"]), NODE("Reshape", ["t", "shape"], ["z"])
    assert moved([0, 1, 3, 2], product) == ["MatMul"]
    assert moved([0, 1, 3, 2], product, NODE("Relu", ["t"], ["z"])) == ["Transpose", "MatMul", "Relu"]
    assert moved([0, 2, 3, 1], NODE("Relu", ["t"], ["z"])) == ["Relu"]
    assert "Transpose" in labels(
        [NODE("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]), copied], ["z"], "h100", (W, constant("shape", [4, 64]))
    )


def test_an_activation_joins_its_convolution_through_what_does_nothing() -> None:
    nodes = [CONV, NODE("Pad", ["c", "none"], ["p"]), NODE("Relu", ["p"], ["y"])]
    tensors = (W, constant("none", [0] * 8))
    assert labels(nodes, ["y"], tensors=tensors) == ["Conv+Pad+Relu"]
    assert labels(nodes, ["y"], "rk3588", tensors) == ["Conv", "Pad", "Relu"]
    assert labels([NODE("Pad", ["x", "none"], ["p"]), NODE("Relu", ["p"], ["y"])], ["y"], tensors=tensors) == ["Relu"]
