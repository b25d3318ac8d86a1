"""What an attacker would try who has read the other cases: holes for weights, padding, colliding names, odd numbers."""

# ruff: noqa: E501
from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from hostile.corpus import (
    ANY,
    ERROR,
    INCOMPLETE,
    LINTED,
    add,
    body,
    field,
    function,
    function_model,
    model,
    node,
    varint,
    written,
)
from modelfiles import conv, model_of, relu, weights
from onnx import TensorProto, helper, numpy_helper


def holed(folder: Path, side: int) -> str:
    """A matrix of side² floats that the file has as a hole: gigabytes that a repository holds in kilobytes."""
    bare = model_of([node("MatMul", ["x", "w"], ["y"])], {"x": [1, side]}, {"y": [1, side]}).graph.SerializeToString()
    size = 4 * side * side
    tensor = 2 * (b"\x08" + varint(side)) + b"\x10\x01\x42\x01w\x4a" + varint(size)
    graph = bare + b"\x2a" + varint(len(tensor) + size) + tensor
    with open(folder / "model.onnx", "wb") as file:
        file.write(b"\x08\x08\x3a" + varint(len(graph) + size) + graph)
        file.seek(size, 1)
        file.write(b"\x42\x02\x10\x11")
    return "model.onnx"


def with_attribute(payload: bytes, op: str = "Relu") -> bytes:
    """A node whose attribute is given as bytes."""
    graph = relu().graph
    ends = field(1, graph.node[0].input[0].encode()) + field(2, graph.node[0].output[0].encode())
    del graph.node[:]
    inner = ends + field(4, op.encode()) + field(5, payload)
    return b"\x08\x08" + field(7, field(1, inner) + graph.SerializeToString()) + b"\x42\x02\x10\x11"


def swollen() -> None:
    for side, gigabytes in ((16_384, 1), (32_768, 4), (63_000, 16)):
        add(f"attack: a hole of {gigabytes} GB for weights", LINTED, lambda f, s=side: [holed(f, s)])
        if gigabytes <= 4:
            add(
                f"attack: a hole of {gigabytes} GB for weights, read",
                ANY,
                lambda f, s=side: [holed(f, s), "--weights", "always"],
            )
    lists: dict[str, tuple[int, int, Callable[[], bytes]]] = {
        "40 MB of floats": (7, 6, lambda: bytes(40_000_000)),
        "6 million long integers": (8, 7, lambda: b"\x80\x80\x80\x80\x80\x01" * 6_000_000),
        "a string of 60 MB": (4, 3, lambda: b"x" * 60_000_000),
    }
    for name, (number, kind, make) in lists.items():
        for attribute, op in (("f", "Relu"), ("pads", "Conv"), ("axes", "ReduceSum"), ("value_floats", "Constant")):

            def build(number: int = number, kind: int = kind, make: Callable[[], bytes] = make,
                      attribute: str = attribute, op: str = op) -> bytes:  # fmt: skip
                content = field(1, attribute.encode()) + field(number, make()) + varint(20 << 3) + varint(kind)
                return with_attribute(content, op)

            model(f"attack: {name} as {attribute} of {op}", ANY, build)
    long = "\u0301" * 50 + "n" * 2000
    model("attack: 3000 nodes of long names", LINTED, lambda: model_of(
        [node("Relu", ["x" if n == 0 else f"{long}{n - 1}"], [f"{long}{n}"], name=f"{long}:{n}") for n in range(3000)],
        {"x": [1, 3, 8, 8]}, {f"{long}2999": None}))  # fmt: skip
    model(
        "attack: padded with 60 MB of unknown fields",
        LINTED,
        lambda: relu().SerializeToString() + field(3000, bytes(60_000_000)),
    )
    for op in ("Concat", "Sum", "Max"):
        more = {"axis": 0} if op == "Concat" else {}
        model(f"attack: {op} of 20,000", LINTED, lambda o=op, m=more: model_of(
            [node("Relu", ["x"], [f"a{n}"]) for n in range(20_000)] + [node(o, [f"a{n}" for n in range(20_000)], ["y"], **m)],
            {"x": [1, 3]}, {"y": None}))  # fmt: skip
    model("attack: Split into 20,000 that are joined again", ANY, lambda: model_of(
        [node("Split", ["x"], [f"a{n}" for n in range(20_000)], axis=0, num_outputs=20_000), node("Concat", [f"a{n}" for n in range(20_000)], ["y"], axis=0)],
        {"x": [20_000, 3]}, {"y": None}, opset=18))  # fmt: skip
    model("attack: 2000 Ifs beside each other", LINTED, lambda: model_of(
        [node("If", ["c"], [f"y{n}"], then_branch=body(node("Relu", ["x"], ["r"])), else_branch=body(node("Neg", ["x"], ["r"]))) for n in range(2000)],
        {"x": [1, 3]}, {"y1999": None}, [numpy_helper.from_array(np.array(True), "c")]))  # fmt: skip
    for reach in (1, 300):
        model(f"attack: dense connections over {reach}", ANY, lambda r=reach: _dense(600, r))


def _dense(count: int, reach: int) -> onnx.ModelProto:
    """Each node reads a Concat of those before it."""
    nodes = []
    for n in range(count):
        before = ["x", *(f"v{k}" for k in range(max(0, n - reach), n))]
        nodes += [node("Concat", before, [f"c{n}"], axis=1), node("Conv", [f"c{n}", f"w{n}"], [f"v{n}"])]
    tensors = [weights(f"w{n}", 4, 3 + 4 * min(n, reach), 1, 1) for n in range(count)]
    return model_of(nodes, {"x": [1, 3, 8, 8]}, {f"v{count - 1}": None}, tensors)


NUMBERS: dict[str, float] = {
    "nan": math.nan,
    "inf": math.inf,
    "minus inf": -math.inf,
    "zero": 0.0,
    "denormal": 1e-45,
    "huge": 3e38,
    "negative": -1.0,
}


def odd_numbers() -> None:
    """Weights and scales of NaN, infinity and the like, above and below the size that is kept in memory."""
    for what, value in NUMBERS.items():
        for channels in (4, 64):
            filled = np.full((channels, channels, 3, 3), value, np.float32)
            scale, zero = np.full(channels, value, np.float32), np.zeros(channels, np.int8)
            made = [numpy_helper.from_array(a, n) for a, n in ((filled, "w"), (scale, "s"), (zero, "z"))]
            quantized = [*made[1:], numpy_helper.from_array(np.zeros((channels, channels, 3, 3), np.int8), "q")]
            model(f"attack: {channels} channels of weights {what}", LINTED, lambda t=made, c=channels: model_of(
                [node("Conv", ["x", "w"], ["c"]), node("BatchNormalization", ["c", "s", "s", "s", "s"], ["y"])], {"x": [1, c, 8, 8]}, {"y": None}, t[:2]),
                "--weights", "always")  # fmt: skip
            model(f"attack: {channels} scales {what}", ANY, lambda t=quantized, c=channels: model_of(
                [node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0), node("QuantizeLinear", ["x", "one"], ["xq"]), node("DequantizeLinear", ["xq", "one"], ["xd"]),
                 node("Conv", ["xd", "w"], ["y"])], {"x": [1, c, 8, 8]}, {"y": None}, [*t, numpy_helper.from_array(np.array(1, np.float32), "one")]),
                "--weights", "always")  # fmt: skip
        for op, attribute in (
            ("LeakyRelu", "alpha"),
            ("BatchNormalization", "epsilon"),
            ("LayerNormalization", "epsilon"),
            ("Gemm", "alpha"),
            ("Clip", "min"),
        ):
            inputs = {
                "BatchNormalization": ["x", "s", "s", "s", "s"],
                "LayerNormalization": ["x", "s"],
                "Gemm": ["x", "m"],
            }.get(op, ["x"])
            tensors = [
                numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in (("s", 4), ("m", (4, 4)))
            ]
            model(f"attack: {op} by {attribute} {what}", ANY, lambda o=op, i=inputs, a=attribute, v=value, t=tensors: model_of(
                [node(o, i, ["y"], **{a: v})], {"x": [4, 4]}, {"y": None}, t, opset=9 if o == "Clip" else 17))  # fmt: skip
    for axis in (-(2**63), -5, 4, 99, 2**63 - 1):
        model(f"attack: scales along {axis}", INCOMPLETE, lambda a=axis: model_of(
            [node("DequantizeLinear", ["q", "s"], ["y"], axis=a)], {}, {"y": [4, 4]},
            [numpy_helper.from_array(np.zeros((4, 4), np.int8), "q"), numpy_helper.from_array(np.ones(4, np.float32), "s")]))  # fmt: skip


# names as they are made where functions are inlined and rewrites are tried
MADE = (
    "x.apart",
    "y.moved",
    "y.in.linear",
    "y.0.joined",
    "y/r",
    "y.16:a",
    "a~G1",
    "a~STR003",
    "fused",
    "",
    "y.shuffled",
    "r",
    "f/b",
    "y/b",
    "b",
)


def colliding() -> None:
    for name in MADE:
        inner = function("r", [node("Relu", ["a"], [name or "t"]), node("Neg", [name or "t"], ["b"])])
        made = function_model([inner], "r")
        made.graph.node.append(node("Exp", ["x"], [name]))
        made.graph.node.append(node("Sqrt", [name], ["z"]))
        made.graph.output.append(helper.make_tensor_value_info("z", 1, None))
        model(f"attack: a value named {name!r}", ANY, lambda m=made: m)
    for op, attributes in (("Conv", {}), ("MatMul", {}), ("Softmax", {"axis": 1}), ("Identity", {})):
        heavy = [node("Relu", ["a"], ["t"]), node("Neg", ["t"], ["b"])]
        shadow = helper.make_function("", op, ["a", "w"], ["b"], heavy, [helper.make_opsetid("", 17)])
        for domain in ("", "ai.onnx"):
            renamed = onnx.FunctionProto.FromString(shadow.SerializeToString())
            renamed.domain = domain
            model(
                f"attack: a function named {op} of {domain or 'no domain'}",
                ANY,
                lambda f=renamed, o=op, a=attributes: _with_function(f, o, a),
            )


def _with_function(shadow: onnx.FunctionProto, op: str, attributes: dict[str, int]) -> onnx.ModelProto:
    made = model_of([node(op, ["x", "w"], ["y"], **attributes)], {"x": [1, 4]}, {"y": None}, [weights("w", 4, 4)])
    made.functions.append(shadow)
    return made


def surroundings() -> None:
    """What a supervisor, a shell or a checkout may have set up."""

    def ignoring() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    for name, make in {
        "a model": relu,
        "invalid": lambda: model_of(
            [node("GatherND", ["x", "i"], ["y"])], {"x": [1, 3, 8, 8], "i": [2, -1]}, {"y": None}
        ),
    }.items():
        build: Callable[[], onnx.ModelProto] = make
        for way in ("json", "terminal"):
            add(f"attack: {name} where children's ends are ignored, {way}", ANY, lambda f, b=build, w=way: [
                written(f, data=b().SerializeToString()), "--output-format", w], raw=True, before=ignoring, spawns=False)  # fmt: skip
    add("attack: a tree of 600 folders", ERROR, lambda f: _tree(f, 600, "."), raw=True)
    add("attack: a tree of 600 folders, as a glob", ERROR, lambda f: _tree(f, 600, "**/*.onnx"), raw=True)
    add(
        "attack: a tree of 600 folders, of rules",
        ERROR,
        lambda f: [written(f), "--rules", *_tree(f, 600, ".")],
        raw=True,
    )
    for name in ("\x1b[31m", "::error::x", "\u202ea", "a\nb"):
        add(
            f"attack: a linked folder named {name!a}",
            LINTED,
            lambda f, n=name: (written(f), (f / n).symlink_to("/etc"), ["."])[2],
        )
        add(
            f"attack: a folder named {name!a} that can't be entered",
            ANY,
            lambda f, n=name: (written(f), (f / n).mkdir(mode=0), ["."])[2],
        )
    add(
        "attack: hard link to what is outside",
        LINTED,
        lambda f: [written(f, data=conv(weights("w", 64, 3, 3, 3, external="model.onnx")).SerializeToString())],
    )
    for key, value in (
        ("length", "0"),
        ("offset", "4294967296"),
        ("length", "-0"),
        ("offset", "0x10"),
        ("offset", "1e3"),
        ("length", "9" * 5000),
        ("location", "w.bin\0x"),
    ):
        tensor = weights("w", 64, 3, 3, 3, external="w.bin")
        tensor.external_data.add(key=key, value=value)
        add(f"attack: external {key} of {value[:12]!a}, read", ANY, lambda f, t=tensor: (
            (f / "w.bin").write_bytes(bytes(6912)), [written(f, data=conv(t).SerializeToString()), "--weights", "always"])[1])  # fmt: skip
    sparse = onnx.SparseTensorProto(
        values=TensorProto(name="w", data_type=1, dims=[1], float_data=[1]),
        indices=TensorProto(data_type=7, dims=[1], int64_data=[0]),
        dims=[2**24, 2**24],
    )
    made = model_of([node("MatMul", ["x", "w"], ["y"])], {"x": [1, 2**24]}, {"y": None})
    made.graph.sparse_initializer.append(sparse)
    model("attack: a sparse matrix of 2^48", ANY, lambda: made)
    model("attack: a sparse matrix of 2^48, read", ANY, lambda: made, "--weights", "always")


def _tree(folder: Path, depth: int, word: str) -> list[str]:
    """Folders within each other, made in steps: no path may be so long."""
    import os

    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        written(Path("."))
    finally:
        os.chdir(here)
    return [word]


for _fill in (swollen, odd_numbers, colliding, surroundings):
    _fill()
