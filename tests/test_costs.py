"""Costs of whole models: parameters, quantization, control flow, functions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest
from models import analyse, constant, lint, model, value, weight
from onnx import TensorProto, helper
from zoo import NETWORKS, build, count

from onnxlint.cost import Cost
from onnxlint.costs import CostModel

NODE = helper.make_node


@pytest.mark.parametrize("name", NETWORKS)
def test_zoo_networks_cost_what_the_independent_count_says(name: str) -> None:
    proto = build(name, fold_batchnorm=False)
    report = lint(proto)
    assert report.totals is not None
    assert report.totals.macs == count.multiply_accumulates(proto)
    assert report.totals.learnable_params == count.parameters(proto)
    assert not report.model.unresolved
    assert not report.model.unknown_operators
    assert not report.incomplete


LIGHT = {
    "bvlc_alexnet": (654_560_384, 60_965_224),
    "densenet121": (2_834_161_664, 8_146_152),
    "inception_v1": (1_431_556_352, 6_998_552),
    "inception_v2": (2_018_851_840, 11_234_792),
    "resnet50": (4_089_184_256, 25_610_152),
    "shufflenet": (124_664_528, 1_420_152),
    "squeezenet": (349_151_936, 1_235_496),
    "vgg19": (19_632_062_464, 143_667_240),
    "zfnet512": (1_481_727_008, 87_250_536),
}


class TestLightModels:
    """The models of the onnx wheel: their weights come out of ConstantOfShape nodes.

    The counts are those of the shapes that ONNX Runtime saw, running statistics included in the parameters.
    """

    @pytest.mark.parametrize("name", LIGHT)
    def test_counts(self, name: str) -> None:
        from importlib.resources import files

        with (files("onnx.backend.test") / "data" / "light" / f"light_{name}.onnx").open("rb") as file:
            report = lint(onnx.load(file))
        assert report.totals is not None
        assert (report.totals.macs, report.totals.params) == LIGHT[name]
        assert not report.model.unresolved


class TestParams:
    def totals(self, proto: onnx.ModelProto) -> tuple[int, int, int]:
        found = lint(proto).totals
        assert found is not None
        return found.params, found.learnable_params, found.weight_bytes

    def test_a_shared_tensor_counts_once(self) -> None:
        nodes = [NODE("MatMul", ["x", "w"], ["a"]), NODE("MatMul", ["a", "w"], ["y"])]
        assert self.totals(model(nodes, [value("x", [2, 4])], ["y"], [weight("w", 4, 4)])) == (16, 16, 64)

    def test_running_statistics_are_not_learnable(self) -> None:
        names = ["s", "b", "m", "v"]
        node = NODE("BatchNormalization", ["x", *names], ["y"])
        proto = model([node], [value("x", [1, 3, 4, 4])], ["y"], [weight(name, 3) for name in names])
        assert self.totals(proto) == (12, 6, 48)

    def test_scalars_shapes_and_initial_states_are_no_params(self) -> None:
        nodes = [
            NODE("Mul", ["x", "half"], ["a"]),
            NODE("Reshape", ["a", "shape"], ["b"]),
            NODE("GRU", ["b", "w", "r", "", "", "h0"], ["y"], hidden_size=3),
        ]
        tensors = [constant("half", 0.5, np.float32), constant("shape", [2, 1, 4])]
        tensors += [weight("w", 1, 9, 4), weight("r", 1, 9, 3), weight("h0", 1, 1, 3)]
        assert self.totals(model(nodes, [value("x", [2, 4])], ["y"], tensors))[0] == 9 * 7

    @pytest.mark.parametrize(
        ("node", "extra"),
        [
            (NODE("Transpose", ["w"], ["v"], perm=[1, 0]), []),
            (NODE("Identity", ["w"], ["v"]), []),
            (NODE("Cast", ["w"], ["v"], to=TensorProto.FLOAT), []),
            (NODE("Reshape", ["w", "s"], ["v"]), [constant("s", [4, 4])]),
            (NODE("Unsqueeze", ["w", "s"], ["v"]), [constant("s", [0])]),
            (NODE("ConstantOfShape", ["s"], ["v"]), [constant("s", [4, 4])]),
        ],
    )
    def test_weights_behind_constant_nodes_are_weights(self, node: onnx.NodeProto, extra: list) -> None:
        proto = model(
            [node, NODE("MatMul", ["x", "v"], ["y"])], [value("x", [2, 4])], ["y"], [weight("w", 4, 4), *extra]
        )
        report = lint(proto)
        assert report.totals is not None
        assert (report.totals.params, report.totals.macs, report.totals.weight_bytes) == (16, 32, 64)

    def test_four_bit_weights_count_whole_and_store_half(self) -> None:
        node = NODE("MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft", K=64, N=8, bits=4, block_size=32)
        tensors = [weight("b", 8, 2, 16, dtype=np.uint8), weight("s", 8 * 2)]
        proto = model([node], [value("x", [2, 64])], ["y"], tensors, domains={"com.microsoft": 1})
        assert self.totals(proto) == (512, 512, 256 + 64)
        assert lint(proto).totals.macs == 2 * 64 * 8  # type: ignore[union-attr]

    def test_int4_weights_behind_dequantize(self) -> None:
        nodes = [NODE("DequantizeLinear", ["w", "s"], ["v"]), NODE("MatMul", ["x", "v"], ["y"])]
        packed = helper.make_tensor("w", TensorProto.INT4, [4, 4], [1] * 16)
        proto = model(nodes, [value("x", [2, 4])], ["y"], [packed, constant("s", 1, np.float32)], opset=21)
        assert self.totals(proto) == (16, 16, 8 + 4)
        costs = analyse(proto).costs
        assert costs.cost(costs.graph.compute_nodes).weight_bytes == 8

    @pytest.mark.parametrize(("dtype", "size"), [(TensorProto.FLOAT16, 2), (TensorProto.BFLOAT16, 2)])
    def test_half_weights(self, dtype: int, size: int) -> None:
        tensor = helper.make_tensor("w", dtype, [4, 4], [1.0] * 16)
        proto = model(
            [NODE("MatMul", ["x", "w"], ["y"])], [value("x", [2, 4], dtype)], [value("y", None, dtype)], [tensor]
        )
        assert self.totals(proto) == (16, 16, 16 * size)


def conv_pair(quantized: bool) -> onnx.ModelProto:
    """Conv, Relu, Conv; in QDQ form with int8 weights, int32 biases and quantized activations."""
    tensors = [constant("s", 0.1, np.float32), constant("z", 0, np.uint8), constant("wz", 0, np.int8)]
    names = {"x": "x", "r": "r"}
    nodes: list[onnx.NodeProto] = []
    if quantized:
        for name in ("x", "r", "c2"):
            nodes += [NODE("QuantizeLinear", [name, "s", "z"], [f"{name}_q"])]
            nodes += [NODE("DequantizeLinear", [f"{name}_q", "s", "z"], [f"{name}_d"])]
        names = {"x": "x_d", "r": "r_d"}
        for name, dims, kind in (("w1", (8, 3, 3, 3), np.int8), ("w2", (4, 8, 1, 1), np.int8), ("b1", (8,), np.int32)):
            tensors.append(weight(f"{name}_q", *dims, dtype=kind))
            nodes.append(NODE("DequantizeLinear", [f"{name}_q", "s", *(["wz"] if kind is np.int8 else [])], [name]))
    else:
        tensors += [weight("w1", 8, 3, 3, 3), weight("w2", 4, 8, 1, 1), weight("b1", 8)]
    nodes += [NODE("Conv", [names["x"], "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]), NODE("Relu", ["c1"], ["r"])]
    nodes += [NODE("Conv", [names["r"], "w2"], ["c2"])]
    return model(nodes, [value("x", [1, 3, 8, 8])], ["c2_d" if quantized else "c2"], tensors)


class TestQuantized:
    def test_a_qdq_model_costs_what_its_float_twin_does(self) -> None:
        plain, twin = lint(conv_pair(False)).totals, lint(conv_pair(True)).totals
        assert plain is not None
        assert twin is not None
        assert (plain.macs, plain.params) == (twin.macs, twin.params) == (64 * 8 * 27 + 64 * 32, 216 + 32 + 8)
        assert 216 + 32 + 8 * 4 <= twin.weight_bytes < 216 + 32 + 8 * 4 + 32  # scales and zero points are stored too

    def test_quantize_and_dequantize_run_within_the_convolutions(self) -> None:
        analysis = analyse(conv_pair(True))
        groups = [kernel.label for kernel in analysis.kernels if not kernel.is_free]
        assert groups == ["QuantizeLinear", "Conv+Relu+QuantizeLinear", "Conv+QuantizeLinear", "DequantizeLinear"]
        first = analysis.kernel_costs[[k.label for k in analysis.kernels].index("Conv+Relu+QuantizeLinear")]
        # int8 in, out and weights; the bias is kept at 32 bits
        assert (first.read_bytes, first.written_bytes, first.weight_bytes) == (192, 512, 216 + 32 + 4 + 1)

    def test_integers_pass_through_views_and_splits(self) -> None:
        tensors = [constant("s", 0.1, np.float32), constant("z", 0, np.uint8), weight("w", 8, 4, 1, 1, dtype=np.int8)]
        tensors += [constant("shape", [1, 8, 16, 1]), weight("w2", 4, 8, 1, 1, dtype=np.int8)]
        nodes = [
            NODE("DequantizeLinear", ["x", "s", "z"], ["d"]),
            NODE("Reshape", ["d", "shape"], ["v"]),
            NODE("QuantizeLinear", ["v", "s", "z"], ["q"]),
            NODE("DequantizeLinear", ["q", "s", "z"], ["d2"]),
            NODE("Split", ["d2"], ["a", "b"], axis=1),
            *(NODE("QuantizeLinear", [n, "s", "z"], [f"{n}q"]) for n in "ab"),
        ]
        proto = model(nodes, [value("x", [1, 8, 4, 4], TensorProto.UINT8)], ["aq", "bq"], tensors)
        analysis = analyse(proto)
        assert [kernel.label for kernel in analysis.kernels if not kernel.is_free] == ["Split"]
        cost = sum(analysis.kernel_costs, Cost())
        assert (cost.read_bytes, cost.written_bytes) == (128, 128)

    def test_a_zoo_network_through_onnx_runtimes_quantizer(self, tmp_path) -> None:
        quantization = pytest.importorskip("onnxruntime.quantization")
        from zoo.weights import fill

        class Reader(quantization.CalibrationDataReader):
            def __init__(self) -> None:
                self.feeds = iter([{"input": np.ones((1, 3, 224, 224), np.float32)}])

            def get_next(self):
                return next(self.feeds, None)

        proto = fill(build("squeezenet_1_1"))
        proto.graph.node[0].input[0] = proto.graph.input[0].name = "input"
        onnx.save(proto, tmp_path / "float.onnx")
        plain = lint(proto).totals
        assert plain is not None
        for form in ("QDQ", "QOperator"):
            path = tmp_path / f"{form}.onnx"
            chosen = getattr(quantization.QuantFormat, form)
            quantization.quantize_static(tmp_path / "float.onnx", path, Reader(), quant_format=chosen)
            report = lint(onnx.load(path))
            assert report.totals is not None
            assert (report.totals.macs, report.totals.params) == (plain.macs, plain.params)
            assert not report.model.unresolved
            assert report.totals.memory_access_bytes < plain.memory_access_bytes / 3


def branch(name: str, *nodes: onnx.NodeProto, output: str, tensors: tuple = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), name, [], [value(output, None)], list(tensors))


class TestControlFlow:
    def test_an_undecided_if_costs_its_dearer_branch(self) -> None:
        small = branch("s", NODE("MatMul", ["x", "w"], ["a"]), output="a")
        big = branch("b", NODE("MatMul", ["x", "w"], ["c"]), NODE("MatMul", ["c", "w"], ["d"]), output="d")
        node = NODE("If", ["flag"], ["y"], then_branch=small, else_branch=big)
        inputs = [value("flag", [], TensorProto.BOOL), value("x", [2, 4])]
        report = lint(model([node], inputs, ["y"], [weight("w", 4, 4)]))
        assert report.totals is not None
        assert (report.totals.macs, report.totals.params) == (2 * 2 * 16, 16)
        assert report.model.outputs[0].shape == (2, 4)

    def test_a_decided_if_costs_the_branch_taken(self) -> None:
        small = branch("s", NODE("MatMul", ["x", "w"], ["a"]), output="a")
        big = branch("b", NODE("MatMul", ["x", "w"], ["c"]), NODE("MatMul", ["c", "w"], ["d"]), output="d")
        node = NODE("If", ["flag"], ["y"], then_branch=small, else_branch=big)
        tensors = [weight("w", 4, 4), constant("flag", True, np.bool_)]
        assert lint(model([node], [value("x", [2, 4])], ["y"], tensors)).totals.macs == 32  # type: ignore[union-attr]

    @staticmethod
    def loop(limit: list[onnx.TensorProto], condition: str = "", inner_condition: str = "go") -> onnx.ModelProto:
        body_inputs = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("h", [2, 4])]
        nodes = [NODE("MatMul", ["h", "w"], ["h2"]), NODE("Identity", [inner_condition], ["on"])]
        outputs = [value("on", [], TensorProto.BOOL), value("h2", [2, 4])]
        body = helper.make_graph(nodes, "body", body_inputs, outputs)
        node = NODE("Loop", ["n", condition, "x"], ["y"], body=body)
        inputs = [value("x", [2, 4]), value("flag", [], TensorProto.BOOL)]
        inputs += [] if limit else [value("n", [], TensorProto.INT64)]
        return model([node], inputs, ["y"], [weight("w", 4, 4), *limit])

    def test_a_loop_costs_its_trips(self) -> None:
        totals = lint(self.loop([constant("n", 5)])).totals
        assert totals is not None
        assert (totals.macs, totals.params) == (5 * 32, 16)
        # weights, state in and state out, each trip
        assert totals.memory_access_bytes == 5 * (64 + 32 + 32)

    @pytest.mark.parametrize(
        "proto",
        [
            loop([]),
            loop([constant("n", 5)], "flag"),
            loop([constant("n", 5)], "", "flag"),
            loop([constant("n", 2**62)]),
        ],
        ids=["limit is data", "condition is data", "end is data", "no real limit"],
    )
    def test_a_loop_of_unknown_trips_counts_once_and_says_so(self, proto: onnx.ModelProto) -> None:
        report = lint(proto)
        assert report.totals is not None
        assert report.totals.macs == 32
        assert report.model.unresolved == ("y (trip count)",)
        assert any("counted as once" in line for line in report.incomplete)
        assert report.exit_code == 1

    def test_a_state_that_grows_is_not_guessed(self) -> None:
        body_inputs = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("h", None)]
        nodes = [NODE("Concat", ["h", "h"], ["h2"], axis=0), NODE("Identity", ["go"], ["on"])]
        body = helper.make_graph(nodes, "body", body_inputs, [value("on", [], TensorProto.BOOL), value("h2", None)])
        node = NODE("Loop", ["n", "", "x"], ["y"], body=body)
        report = lint(model([node], [value("x", [2, 4])], ["y"], [constant("n", 3)]))
        assert report.model.unresolved
        assert report.model.outputs[0].shape in (None, (None, 4))

    def test_a_scan_costs_its_length(self) -> None:
        body_inputs, outputs = [value("h", [4]), value("e", [4])], [value("h2", [4]), value("o", [4])]
        nodes = [NODE("MatMul", ["e", "w"], ["m"]), NODE("Add", ["h", "m"], ["h2"]), NODE("Identity", ["h2"], ["o"])]
        body = helper.make_graph(nodes, "body", body_inputs, outputs)
        node = NODE("Scan", ["h0", "x"], ["last", "all"], body=body, num_scan_inputs=1)
        report = lint(model([node], [value("x", [6, 4])], ["last", "all"], [weight("h0", 4), weight("w", 4, 4)]))
        assert report.totals is not None
        assert report.totals.macs == 6 * 16
        assert [info.shape for info in report.model.outputs] == [(4,), (6, 4)]

    def test_bodies_nest_and_their_keys_carry_the_path(self) -> None:
        inner = branch("i", NODE("MatMul", ["h", "w"], ["a"]), output="a")
        other = branch("o", NODE("Identity", ["h"], ["b"]), output="b")
        body_inputs = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("h", [2, 4])]
        nodes = [NODE("If", ["flag"], ["h2"], then_branch=inner, else_branch=other), NODE("Identity", ["go"], ["on"])]
        body = helper.make_graph(nodes, "body", body_inputs, [value("on", [], TensorProto.BOOL), value("h2", [2, 4])])
        inputs = [value("x", [2, 4]), value("flag", [], TensorProto.BOOL)]
        proto = model(
            [NODE("Loop", ["n", "", "x"], ["y"], body=body)], inputs, ["y"], [weight("w", 4, 4), constant("n", 3)]
        )
        analysis = analyse(proto)
        (loop,) = analysis.graph.compute_nodes
        branches = [node for node in loop.bodies["body"].nodes if node.op_type == "If"]
        assert branches[0].bodies["then_branch"].nodes[0].key == "y/body/h2/then_branch/a"
        assert sum(analysis.kernel_costs, Cost()).macs == 3 * 32

    def test_an_operator_without_cost_inside_a_body_is_unknown(self) -> None:
        body = branch("b", NODE("Mystery", ["x"], ["a"], domain="nobody"), output="a")
        other = branch("o", NODE("Identity", ["x"], ["b"]), output="b")
        node = NODE("If", ["flag"], ["y"], then_branch=body, else_branch=other)
        inputs = [value("flag", [], TensorProto.BOOL), value("x", [2, 4])]
        report = lint(model([node], inputs, ["y"], domains={"nobody": 1}))
        assert report.model.unknown_operators == {"nobody:Mystery": 1}


class TestFunctions:
    def test_functions_are_inlined_with_their_attributes(self) -> None:
        inner = NODE("Conv", ["x", "w"], ["c"])
        reference = onnx.AttributeProto(name="group", ref_attr_name="groups", type=onnx.AttributeProto.INT)
        inner.attribute.append(reference)
        function = helper.make_function(
            "local",
            "Block",
            ["x", "w"],
            ["y"],
            [inner, NODE("Relu", ["c"], ["y"])],
            [helper.make_opsetid("", 17)],
            ["groups"],
        )
        calls = [NODE("Block", ["x", "w1"], ["a"], domain="local", groups=2)]
        calls += [
            NODE("Block", [f"a{i}" if i else "a", "w1"], [f"a{i + 1}"], domain="local", groups=2) for i in range(20)
        ]
        proto = model(
            calls, [value("x", [1, 4, 8, 8])], ["a20"], [weight("w1", 4, 2, 1, 1)], [function], domains={"local": 1}
        )
        report = lint(proto)
        assert report.totals is not None
        assert (report.totals.macs, report.totals.params) == (21 * 64 * 4 * 2, 8)
        assert not report.model.unresolved


def test_costs_add_up_over_nodes() -> None:
    analysis = analyse(build("shufflenet_v2_x0_5"))
    costs = analysis.costs
    alone = sum((costs.cost((node,)) for node in analysis.graph.compute_nodes), Cost())
    together = sum(analysis.kernel_costs, Cost())
    assert (alone.macs, alone.other_flops) == (together.macs, together.other_flops)
    assert alone.memory_access_bytes > together.memory_access_bytes


def test_a_group_does_not_move_what_passes_inside() -> None:
    proto = model([NODE("Relu", ["x"], ["a"]), NODE("Sigmoid", ["a"], ["y"])], [value("x", [10])], ["y"])
    graph = analyse(proto).graph
    costs = CostModel(graph, "fp32")
    assert costs.cost(graph.nodes).memory_access_bytes == 80
    assert [costs.cost((node,)).memory_access_bytes for node in graph.nodes] == [80, 80]


def test_repeated_runs_read_weights_each_time_but_a_batch_reads_them_once() -> None:
    cost = Cost(macs=2, weight_bytes=3, read_bytes=4)
    assert (cost.scaled(5).weight_bytes, cost.repeated(5).weight_bytes) == (3, 15)
    assert cost.scaled(5).macs == cost.repeated(5).macs == 10
    assert all(a.macs <= b.macs for a, b in pairwise([cost, cost.scaled(2)]))
