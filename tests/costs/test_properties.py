"""Properties of costs on random small graphs, against what ONNX Runtime sees while it runs them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from models import analyse, constant, lint, model, observed, value, weight
from onnx import helper

from onnxlint.cost import Cost
from onnxlint.costs import CostModel
from onnxlint.graph import Graph
from onnxlint.tensor import TensorType

SLOW = settings(max_examples=40)
QUICK = settings(max_examples=40)
UNARY = ["Relu", "Sigmoid", "Tanh", "Erf", "HardSwish", "Identity", "Softplus", "Neg"]


@dataclass
class Draft:
    """A graph under construction: the values so far with their (N, C, H, W) dims."""

    values: dict[str, tuple[int, int, int, int]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], dims: tuple[int, int, int, int], **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.values[name] = dims
        return name

    def helper_node(self, op: str, inputs: list[str], **attributes: object) -> str:
        name = f"h{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def tensor(self, tensor: onnx.TensorProto) -> str:
        self.tensors.append(tensor)
        return tensor.name


@st.composite
def drafts(draw: st.DrawFn, batch: int | None = None) -> Draft:
    """A chain with side branches of convolutions, products, pools, reductions and data movement."""
    first = (
        batch or draw(st.integers(1, 3)),
        draw(st.integers(1, 6)),
        draw(st.integers(2, 9)),
        draw(st.integers(2, 9)),
    )
    made = Draft({"x": first})
    for step in range(draw(st.integers(1, 8))):
        _STEPS[draw(st.sampled_from(sorted(_STEPS)))](draw, made, step)
    return made


def conv(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, w = made.values[source]
    groups = draw(st.sampled_from([g for g in range(1, c + 1) if c % g == 0]))
    out = groups * draw(st.integers(1, 3))
    kernel, stride = draw(st.integers(1, min(3, h, w))), draw(st.integers(1, 2))
    weights = made.tensor(weight(f"w{step}", out, c // groups, kernel, kernel))
    dims = (n, out, (h - kernel) // stride + 1, (w - kernel) // stride + 1)
    made.add("Conv", [source, weights], dims, group=groups, strides=[stride, stride])


def transposed(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, w = made.values[source]
    weights = made.tensor(weight(f"w{step}", c, 2, 2, 2))
    made.add("ConvTranspose", [source, weights], (n, 2, 2 * h, 2 * w), strides=[2, 2])


def product(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, w = made.values[source]
    out = draw(st.integers(1, 5))
    made.add("MatMul", [source, made.tensor(weight(f"w{step}", w, out))], (n, c, h, out))


def attention(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, _w = made.values[source]
    turned = made.helper_node("Transpose", [source], perm=[0, 1, 3, 2])
    made.add("MatMul", [source, turned], (n, c, h, h))


def einsum(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, w = made.values[source]
    weights = made.tensor(weight(f"w{step}", c, 3))
    made.add("Einsum", [source, weights], (n, 3, h, w), equation="nchw,cd->ndhw")


def unary(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    made.add(draw(st.sampled_from(UNARY)), [source], made.values[source])


def binary(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    same = sorted(name for name, dims in made.values.items() if dims == made.values[source])
    made.add(draw(st.sampled_from(["Add", "Mul", "Max"])), [source, draw(st.sampled_from(same))], made.values[source])


def pool(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, _h, _w = made.values[source]
    made.add(draw(st.sampled_from(["GlobalAveragePool", "GlobalMaxPool"])), [source], (n, c, 1, 1))


def concat(draw: st.DrawFn, made: Draft, step: int) -> None:
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, w = made.values[source]
    made.add("Concat", [source, source], (n, 2 * c, h, w), axis=1)


def reshape(draw: st.DrawFn, made: Draft, step: int) -> None:
    """Through the Shape, Gather, Concat, Reshape chain that exporters write."""
    source = draw(st.sampled_from(sorted(made.values)))
    n, c, h, w = made.values[source]
    shape = made.helper_node("Shape", [source])
    first = made.helper_node("Gather", [shape, made.tensor(constant(f"zero{step}", [0]))], axis=0)
    target = made.helper_node("Concat", [first, made.tensor(constant(f"rest{step}", [1, -1, w]))], axis=0)
    made.add("Reshape", [source, target], (n, 1, c * h, w))


_STEPS = {f.__name__: f for f in (conv, transposed, product, attention, einsum, unary, binary, pool, concat, reshape)}


def proto_of(made: Draft, batch: int | str | None = None) -> onnx.ModelProto:
    read = {name for node in made.nodes for name in node.input}
    ends = [node.output[0] for node in made.nodes if node.output[0] not in read]
    dims = made.values["x"]
    return model(made.nodes, [value("x", [dims[0] if batch is None else batch, *dims[1:]])], ends, made.tensors)


def cost_of(graph: Graph) -> Cost:
    costs = CostModel(graph, "fp32")
    assert not costs.unknown
    return sum((costs.cost((node,)) for node in graph.compute_nodes), Cost())


@SLOW
@given(drafts())
def test_costs_from_inferred_shapes_are_those_of_the_shapes_that_were_run(made: Draft) -> None:
    proto = proto_of(made)
    analysis = analyse(proto)
    graph = analysis.graph
    seen = observed(proto, {"x": np.ones(made.values["x"], np.float32)})
    types = {name: TensorType(graph.type_of(name).dtype, tuple(dims)) for name, dims in seen.items()}
    assert {name: graph.type_of(name).shape for name in types} == {name: kind.shape for name, kind in types.items()}
    assert cost_of(graph) == cost_of(replace(graph, types=types))


@QUICK
@given(drafts(), st.integers(2, 5))
def test_the_batch_scales_macs_and_activations_but_no_weights(made: Draft, batch: int) -> None:
    one, many = proto_of(made, "N"), {"batch": batch}
    single, bound = lint(one, batch=1).totals, lint(one, **many).totals
    fixed = lint(proto_of(made, 1), **many).totals
    assert single is not None
    assert bound is not None
    assert fixed is not None
    assert bound.macs == fixed.macs == batch * single.macs
    assert bound.flops == fixed.flops == batch * single.flops
    assert bound.params == fixed.params == single.params
    assert bound.memory_access_bytes == fixed.memory_access_bytes
    assert bound.peak_activation_bytes == fixed.peak_activation_bytes == batch * single.peak_activation_bytes


@QUICK
@given(drafts())
def test_costs_add_up_over_nodes_and_kernels(made: Draft) -> None:
    analysis = analyse(proto_of(made))
    alone = cost_of(analysis.graph)
    together = sum(analysis.kernel_costs, Cost())
    assert together.macs == alone.macs
    assert together.other_flops == alone.other_flops
    assert together.memory_access_bytes <= alone.memory_access_bytes
    report = lint(proto_of(made))
    assert report.totals is not None
    assert sum(layer.macs for layer in report.layers) == report.totals.macs
    assert sum(layer.flops for layer in report.layers) == report.totals.flops
    assert sum(layer.params for layer in report.layers) == report.totals.params
    moved = sum(layer.read_bytes + layer.written_bytes for layer in report.layers)
    assert moved == report.totals.memory_access_bytes


@QUICK
@given(*(st.integers(1, 6) for _ in range(4)))
def test_spellings_of_the_same_arithmetic_cost_the_same(rows: int, depth: int, columns: int, side: int) -> None:
    node = helper.make_node
    x, w, b = value("x", [rows, depth]), weight("w", depth, columns), weight("b", columns)
    gemm = model([node("Gemm", ["x", "w", "b"], ["y"])], [x], ["y"], [w, b])
    split = model([node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])], [x], ["y"], [w, b])
    ein = model(
        [node("Einsum", ["x", "w"], ["m"], equation="ij,jk->ik"), node("Add", ["m", "b"], ["y"])], [x], ["y"], [w, b]
    )
    totals = [lint(proto).totals for proto in (gemm, split, ein)]
    assert len({(t.macs, t.flops, t.params, t.memory_access_bytes) for t in totals if t}) == 1

    image = value("x", [1, depth, side, side])
    pointwise = model([node("Conv", ["x", "w"], ["y"])], [image], ["y"], [weight("w", columns, depth, 1, 1)])
    flat, turned = constant("flat", [1, depth, -1]), weight("w", columns, depth)
    nodes = [node("Reshape", ["x", "flat"], ["f"]), node("MatMul", ["w", "f"], ["y"])]
    as_product = model(nodes, [image], ["y"], [flat, turned])
    totals = [lint(proto).totals for proto in (pointwise, as_product)]
    assert len({(t.macs, t.params, t.memory_access_bytes) for t in totals if t}) == 1

    row = value("x", [1, depth, side])
    views = [
        [node("Squeeze", ["x", "zero"], ["y"])],
        [node("Reshape", ["x", "dims"], ["y"])],
        [node("Flatten", ["x"], ["f"], axis=2), node("Identity", ["f"], ["y"])],
    ]
    tensors = [constant("zero", [0]), constant("dims", [depth, side])]
    assert {lint(model(nodes, [row], ["y"], tensors)).totals.memory_access_bytes for nodes in views} == {0}  # type: ignore[union-attr]
