"""Models that are wrong, hostile or merely odd, by name with the exit code that each must end in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from modelfiles import conv, model_of, parse, relu, weights
from onnx import TensorProto, helper, numpy_helper

CLEAN, INCOMPLETE, UNREADABLE = 0, 1, 2
node = helper.make_node
IMAGE = {"x": [1, 3, 8, 8]}


def one(op: str, inputs: str = "x", constant: list[int] | None = None, **attributes: object) -> onnx.ModelProto:
    """One node that reads an image and writes a value of unknown shape; `constant` is its second input."""
    initializers = [] if constant is None else [numpy_helper.from_array(np.array(constant, np.int64), "s")]
    names = inputs.split() + ["s"] * (constant is not None)
    return model_of([node(op, names, ["y"], **attributes)], IMAGE, {"y": None}, initializers)


def changed(model: onnx.ModelProto, change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    change(model)
    return model


def body(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)])


def nested(depth: int, *, doubled: bool = False) -> onnx.ModelProto:
    """Branches inside branches; `doubled` has both at each level."""
    inner = body(node("Relu", ["x"], ["r"]))
    for _ in range(depth):
        branches = {"then_branch": inner, "else_branch": inner if doubled else body(node("Relu", ["x"], ["r"]))}
        inner = body(node("If", ["c"], ["r"], **branches))
    model = model_of(list(inner.node), IMAGE, {"r": None})
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    return model


def too_deep(depth: int) -> bytes:
    """Bytes of branches deeper than protobuf lets its own messages nest."""

    def wrapped(tag: bytes, content: bytes) -> bytes:
        length, encoded = len(content), b""
        while length > 0x7F:
            encoded += bytes((length & 0x7F | 0x80,))
            length >>= 7
        return tag + encoded + bytes((length,)) + content

    graph = wrapped(b"\x0a", node("Relu", ["x"], ["r"]).SerializeToString())
    for _ in range(depth):
        attribute = wrapped(b"\x0a", b"then_branch") + b"\xa0\x01\x05" + wrapped(b"\x32", graph)
        call = wrapped(b"\x0a", b"c") + wrapped(b"\x12", b"r") + wrapped(b"\x22", b"If") + wrapped(b"\x2a", attribute)
        graph = wrapped(b"\x0a", call)
    return b"\x08\x08" + wrapped(b"\x3a", graph) + b"\x42\x02\x10\x11"


def loop(trips: int) -> onnx.ModelProto:
    text = """g (float[1,3] x) => (float[1,3] y) <int64 t = {TRIPS}> {
        y = Loop (t, "", x) <body = b (int64 i, bool c, float[1,3] v) => (bool d, float[1,3] w)
            { d = Identity(c) w = Relu(v) }>
    }"""
    return parse(text.replace("TRIPS", str(trips)).replace('""', ""))


def without_default_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].domain = "other"


def weight(dims: list[int], data_type: int = 1) -> onnx.ModelProto:
    return conv(TensorProto(name="w", data_type=data_type, dims=dims))


ODDITIES: dict[str, tuple[int, Callable[[], onnx.ModelProto | bytes]]] = {
    # dims
    "dims of 2^62": (CLEAN, lambda: relu(dims=[1, 3, 2**62, 2**62])),
    "six dims of 2^31-1": (CLEAN, lambda: relu(dims=[2**31 - 1] * 6)),
    "negative dims": (CLEAN, lambda: relu(dims=[-1, 3, -5, 8])),
    "a batch of 0": (CLEAN, lambda: relu(dims=[0, 3, 8, 8])),
    "a scalar": (CLEAN, lambda: relu(dims=[])),
    "an input of unknown rank": (INCOMPLETE, lambda: relu(dims=None)),
    "an input without type": (INCOMPLETE, lambda: changed(relu(), lambda m: m.graph.input[0].ClearField("type"))),
    "reshape to 2^62": (INCOMPLETE, lambda: one("Reshape", constant=[2**62] * 4)),
    "reshape to several -1": (INCOMPLETE, lambda: one("Reshape", constant=[-1] * 4)),
    "expand to 2^62": (INCOMPLETE, lambda: one("Expand", constant=[2**62] * 4)),
    "expand to -1": (INCOMPLETE, lambda: one("Expand", constant=[-1] * 4)),
    "tile by 2^62": (INCOMPLETE, lambda: one("Tile", constant=[2**62] * 4)),
    "weights out of 2^80": (
        INCOMPLETE,
        lambda: model_of(
            [node("ConstantOfShape", ["s"], ["w"]), node("Conv", ["x", "w"], ["y"])],
            IMAGE,
            {"y": None},
            [numpy_helper.from_array(np.array([2**40, 2**40, 3, 3]), "s")],
        ),
    ),
    "a loop of 2^62": (INCOMPLETE, lambda: loop(2**62)),
    "a loop of -5": (CLEAN, lambda: loop(-5)),
    # tensors
    "a tensor of 2^124": (UNREADABLE, lambda: weight([2**62, 2**62, 3, 3])),
    "a tensor of negative dims": (UNREADABLE, lambda: weight([-64, 3, 3, 3])),
    "external data elsewhere": (INCOMPLETE, lambda: conv(weights("w", 64, 3, 3, 3, external="/etc/passwd"))),
    "external data nowhere": (
        INCOMPLETE,
        lambda: conv(TensorProto(name="w", data_type=1, dims=[64, 3, 3, 3], data_location=1)),
    ),
    "an initializer twice": (
        CLEAN,
        lambda: changed(conv(), lambda m: m.graph.initializer.append(m.graph.initializer[0])),
    ),
    # the graph
    "no node, the input is the output": (CLEAN, lambda: model_of([], {"x": [1, 3]}, {"x": [1, 3]})),
    "no node, an output from nowhere": (INCOMPLETE, lambda: model_of([], {"x": [1, 3]}, {"z": [1, 3]})),
    "an output twice": (CLEAN, lambda: changed(relu(), lambda m: m.graph.output.append(m.graph.output[0]))),
    "an input twice": (INCOMPLETE, lambda: changed(relu(), lambda m: m.graph.input.append(m.graph.input[0]))),
    "a node without operator": (INCOMPLETE, lambda: one("")),
    "an unknown operator": (INCOMPLETE, lambda: one("Foo")),
    "no default operator set": (INCOMPLETE, lambda: changed(relu(), without_default_opset)),
    "ten thousand nodes in a row": (
        CLEAN,
        lambda: model_of([node("Relu", [f"v{n}"], [f"v{n + 1}"]) for n in range(10_000)], {"v0": [1]}, {"v10000": [1]}),
    ),
    "2^200 paths": (
        CLEAN,
        lambda: model_of([node("Add", [f"v{n}"] * 2, [f"v{n + 1}"]) for n in range(200)], {"v0": [1]}, {"v200": [1]}),
    ),
    # bodies
    "branches 29 deep": (CLEAN, lambda: nested(29)),
    "doubled branches 6 deep": (CLEAN, lambda: nested(6, doubled=True)),
    "branches 40 deep": (UNREADABLE, lambda: too_deep(40)),
    "branches 1000 deep": (UNREADABLE, lambda: too_deep(1000)),
    # what crashes onnx's shape inference
    "GatherND by indices of -1": (
        INCOMPLETE,
        lambda: model_of([node("GatherND", ["x", "i"], ["y"])], {**IMAGE, "i": [2, -1]}, {"y": None}),
    ),
    "Split into fewer than its outputs": (
        INCOMPLETE,
        lambda: model_of([node("Split", ["x"], ["a", "b", "c"], num_outputs=2)], IMAGE, {"a": None}, opset=18),
    ),
    "Einsum of no letters": (INCOMPLETE, lambda: one("Einsum", equation="é...->")),
    # attributes
    "Conv of impossible attributes": (
        INCOMPLETE,
        lambda: model_of(
            [node("Conv", ["x", "w"], ["y"], strides=[0, 0], kernel_shape=[-3, 2**40], group=0)],
            IMAGE,
            {"y": None},
            [weights("w", 64, 3, 3, 3)],
        ),
    ),
    "Concat on axis 99": (INCOMPLETE, lambda: one("Concat", "x x", axis=99)),
}
