"""GRF001: what it calls foldable folds, with weights computed here by probing the operators behind."""

from __future__ import annotations

import numpy as np
from edited import same_outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from models import model, value
from onnx import helper, numpy_helper

from onnxlint.engine import read_model
from onnxlint.patterns.affine import affine_behind, folded
from onnxlint.settings import Settings

NODE = helper.make_node
CHANNELS, EPSILON = 4, 1e-5


def tensor(name: str, dims: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers between 0.5 and 1.5: no scale of 0, no negative variance."""
    return (np.random.default_rng([seed, *name.encode()]).random(dims) + 0.5).astype(np.float32)


SHAPES = {"map": [(), (1,), (CHANNELS, 1, 1), (1, CHANNELS, 1, 1)], "row": [(), (1,), (CHANNELS,), (1, CHANNELS)]}


@st.composite
def chains(draw: st.DrawFn):
    """A convolution, transposed convolution, Gemm or MatMul with scales and offsets behind it."""
    op = draw(st.sampled_from(["Conv", "ConvTranspose", "Gemm", "MatMul"]))
    kind = "row" if op in ("Gemm", "MatMul") else "map"
    tensors: dict[str, tuple[int, ...]] = {"w": (6, CHANNELS) if kind == "row" else (CHANNELS, CHANNELS, 3, 3)}
    inputs = ["x", "w"]
    if op != "MatMul" and draw(st.booleans()):
        tensors["b"] = (CHANNELS,)
        inputs.append("b")
    nodes = [NODE(op, inputs, ["v0"])]
    for index in range(1, 1 + draw(st.integers(1, 4))):
        step = draw(st.sampled_from(["Mul", "Div", "Add", "Sub", *["BatchNormalization"] * (op != "MatMul")]))
        last, now = f"v{index - 1}", f"v{index}"
        if step == "BatchNormalization":
            names = [f"{letter}{index}" for letter in "somq"]
            tensors |= dict.fromkeys(names, (CHANNELS,))
            nodes.append(NODE(step, [last, *names], [now], epsilon=EPSILON))
            continue
        tensors[f"k{index}"] = draw(st.sampled_from(SHAPES[kind]))
        operands = [last, f"k{index}"]
        if step in ("Mul", "Add") and draw(st.booleans()):
            operands.reverse()
        nodes.append(NODE(step, operands, [now]))
    nodes.append(NODE("Neg", [nodes[-1].output[0]], ["y"]))
    dims = {"Gemm": [2, 6], "MatMul": [2, 3, 6]}.get(op, [2, CHANNELS, 5, 5])
    return nodes, tensors, dims


def computed(nodes, values: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
    """What the steps behind the linear operator make of a value of one number a channel."""
    channel = (1, CHANNELS, 1, 1) if values["w"].ndim == 4 else (1, CHANNELS)
    for node in nodes:
        operands = [values.get(name) for name in node.inputs]
        if node.op_type == "BatchNormalization":
            scale, offset, mean, variance = (operand.reshape(channel) for operand in operands[1:])
            start = (start - mean) / np.sqrt(variance + EPSILON) * scale + offset
        else:
            other = next(operand for operand in operands if operand is not None)
            start = {"Mul": np.multiply, "Div": np.divide, "Add": np.add, "Sub": np.subtract}[node.op_type](
                start, other
            )
    return start.reshape(-1)


@settings(max_examples=60)
@given(chains(), st.integers(0, 1000))
def test_what_folds_computes_the_same(made, seed: int) -> None:
    nodes, tensors, dims = made
    values = {name: tensor(name, shape, seed) for name, shape in tensors.items()}
    stored = [numpy_helper.from_array(array, name) for name, array in values.items()]
    proto = model(nodes, [value("x", dims)], ["y"], stored)
    graph = read_model(proto, Settings()).graph
    linear = graph.nodes[0]
    behind = affine_behind(graph, linear)
    scales = {"BatchNormalization", "Mul", "Div"}
    assert len(behind) == (len(nodes) - 2 if any(node.op_type in scales for node in nodes[1:-1]) else 0)
    if not behind:
        return
    ones = np.ones((1, CHANNELS, 1, 1) if len(dims) == 4 else (1, CHANNELS), np.float32)
    offset = computed(behind, values, 0 * ones)
    scale = computed(behind, values, ones) - offset
    out = behind[-1].outputs[0]
    by_output = {"Conv": (-1, 1, 1, 1), "ConvTranspose": (1, -1, 1, 1), "Gemm": (1, -1), "MatMul": (1, -1)}[
        linear.op_type
    ]
    new = {
        f"{out}/folded_weight": values["w"] * scale.reshape(by_output),
        f"{out}/folded_bias": values.get("b", np.zeros(CHANNELS, np.float32)) * scale + offset,
    }

    def after(name: str, shape: tuple[int, ...], dtype: int) -> np.ndarray:
        return new[name].astype(np.float32)

    assert same_outputs(graph, folded(graph, linear, behind), lambda name, shape, dtype: values[name], after)
