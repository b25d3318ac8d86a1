"""Hostile operators, types and scopes: every operator with odd attributes, names twice, sparse and string tensors.

One case an operator: a node for each attribute and odd value, all of them reading the same inputs.
"""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from hostile.corpus import (
    ANY,
    HUGE,
    INCOMPLETE,
    LINTED,
    add,
    body,
    function,
    function_model,
    ints,
    model,
    node,
    written,
)
from modelfiles import conv, model_of, relu, weights
from onnx import AttributeProto, TensorProto, helper, numpy_helper

INFO = helper.make_tensor_value_info
KIND = AttributeProto.AttributeType
NAN, INF = float("nan"), float("inf")
ODD_VALUES: dict[int, tuple[object, ...]] = {
    KIND.INT: (0, -1, HUGE, -(2**63)),
    KIND.FLOAT: (NAN, INF, -1.0, 1e-45),
    KIND.STRING: (b"", b"\xff\x1b[31m", b"::error::x"),
    KIND.INTS: ([], [0], [-1] * 4, [HUGE] * 9),
    KIND.FLOATS: ([], [NAN, INF], [0.0] * 9),
    KIND.STRINGS: ([], [b"\xff"], [b"\x1b[31m"] * 9),
}
CONTRIB: dict[str, dict[str, object]] = {
    "Attention": {"num_heads": 4}, "MultiHeadAttention": {"num_heads": 4}, "GroupQueryAttention": {"num_heads": 4, "kv_num_heads": 2},
    "MatMulNBits": {"K": 64, "N": 64, "bits": 4, "block_size": 32}, "QAttention": {"num_heads": 4}, "FusedConv": {"group": 1}, "FusedMatMul": {"transA": 0},
    "MoE": {"k": 1}, "QMoE": {"k": 1, "expert_weight_bits": 4}, "RotaryEmbedding": {"num_heads": 4, "rotary_embedding_dim": 8}, "NhwcMaxPool": {"kernel_shape": [2, 2]},
    "QLinearConv": {"group": 1}, "EmbedLayerNormalization": {"epsilon": 1e-5}, "SkipLayerNormalization": {"epsilon": 1e-5}, "GatherBlockQuantized": {"block_size": 32},
    "DequantizeLinear": {"axis": 1}, "LongformerAttention": {"num_heads": 4, "window": 8}, "PackedAttention": {"num_heads": 4}, "SparseAttention": {"num_heads": 4, "kv_num_heads": 2},
    "DecoderMaskedMultiHeadAttention": {"num_heads": 4}, "GroupNorm": {"groups": 2, "channels_last": 1}, "NGramRepeatBlock": {"ngram_size": 2}, "Crop": {"border": [1, 1, 1, 1]},
}  # fmt: skip
"""Operators of com.microsoft with the attributes that they cost by."""


def _attribute(name: str, kind: int, value: object) -> AttributeProto:
    made = AttributeProto(name=name, type=kind)
    field = {KIND.INT: "i", KIND.FLOAT: "f", KIND.STRING: "s", KIND.INTS: "ints", KIND.FLOATS: "floats", KIND.STRINGS: "strings"}[kind]  # fmt: skip
    if isinstance(value, list):
        getattr(made, field).extend(value)
    else:
        setattr(made, field, value)
    return made


def odd_nodes(op: str, domain: str, inputs: int, outputs: int, kinds: dict[str, int], kept: dict[str, object]) -> Iterator[onnx.NodeProto]:  # fmt: skip
    """A node for each attribute and odd value, the others as `kept`; and one for each odd value in all of them."""
    names = [f"x{at}" for at in range(inputs)]
    number = 0
    for name, kind in kinds.items():
        for value in ODD_VALUES.get(kind, ()):
            made = helper.make_node(op, names, [f"y{number}.{at}" for at in range(outputs)], domain=domain)
            made.attribute.extend(helper.make_attribute(k, v) for k, v in kept.items() if k != name)
            made.attribute.append(_attribute(name, kind, value))
            number += 1
            yield made
    for at in range(4):
        made = helper.make_node(op, names, [f"y{number}.{place}" for place in range(outputs)], domain=domain)
        for name, kind in kinds.items():
            if values := ODD_VALUES.get(kind, ()):
                made.attribute.append(_attribute(name, kind, values[at % len(values)]))
        number += 1
        yield made


def _odd(op: str, domain: str, inputs: int, outputs: int, kinds: dict[str, int], kept: dict[str, object], dims: list[int]) -> onnx.ModelProto:  # fmt: skip
    nodes = list(odd_nodes(op, domain, inputs, outputs, kinds, kept))
    shapes = {f"x{at}": dims for at in range(inputs)}
    opsets = [helper.make_opsetid("", 25), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return model_of(nodes, shapes, {node.output[0]: None for node in nodes[:3] if node.output}, opset_imports=opsets)


def operators() -> None:
    """Every operator of ONNX in its newest form, and those of com.microsoft that attributes make dear."""
    newest: dict[str, onnx.defs.OpSchema] = {}
    for schema in onnx.defs.get_all_schemas():
        if not schema.domain and not schema.deprecated:
            newest[schema.name] = schema
    for op, schema in sorted(newest.items()):
        kinds = {name: int(one.type.value) for name, one in schema.attributes.items()}
        ends = max(1, min(schema.max_input, 4)), max(1, min(schema.max_output, 3))
        model(f"operator: {op}", ANY, lambda o=op, e=ends, k=kinds: _odd(o, "", *e, k, {}, [2, 4, 8, 8]))
    for op, kept in CONTRIB.items():
        kinds = {name: KIND.INTS if isinstance(value, list) else KIND.FLOAT if isinstance(value, float) else KIND.INT for name, value in kept.items()}  # fmt: skip
        for dims in ([2, 16, 64], [2, 4, 8, 8], [0], []):
            model(f"operator: com.microsoft {op} of {dims}", ANY, lambda o=op, k=kinds, d=dims, s=kept: _odd(o, "com.microsoft", 5, 2, k, s, d))  # fmt: skip


# --- types and tensors ------------------------------------------------------------------------------------------------


def types() -> None:
    for depth in (1, 10, 30, 45, 60, 200):
        for kind in ("sequence_type", "optional_type", "map_type"):
            model(f"type: {kind} {depth} deep", ANY, lambda d=depth, k=kind: _deep_type(d, k))
    for name, dims in {"negative": [-1, -3], "least": [-(2**63)], "a product of 2^124": [2**62, 2**62], "400 dims": [2] * 400, "zeros": [0, 0]}.items():  # fmt: skip
        model(f"type: value_info of {name}", ANY, lambda d=dims: _declared(INFO("a", 1, d)))
        model(
            f"type: output of {name}",
            ANY,
            lambda d=dims: model_of([node("Relu", ["x"], ["y"])], {"x": ["N", "M"]}, {"y": d}),
        )
    for element in (0, 8, 99, -1, 2**31 - 1):
        model(
            f"type: value_info of element type {element}", ANY, lambda e=element: _declared(INFO("a", e, [1, 3, 8, 8]))
        )
    model("type: value_info twice, otherwise", ANY, lambda: _declared(INFO("a", 1, [1, 3, 8, 8]), INFO("a", 7, [9])))
    model("type: value_info of an input, otherwise", ANY, lambda: _declared(INFO("x", 7, [9])))
    model("type: value_info of no type", ANY, lambda: _declared(onnx.ValueInfoProto(name="a")))
    for key, data in {
        "strings": TensorProto(name="s", data_type=8, dims=[2], string_data=[b"\xff", b"\x1b[31m::error::x"]),
        "strings in raw_data": TensorProto(name="s", data_type=8, dims=[2], raw_data=b"12345678"),
        "fewer strings than dims": TensorProto(name="s", data_type=8, dims=[2**40], string_data=[b"a"]),
        "shorter raw_data": TensorProto(name="s", data_type=7, dims=[4], raw_data=b"1234"),
        "longer raw_data": TensorProto(name="s", data_type=7, dims=[4], raw_data=bytes(3200)),
        "int32_data for int64": TensorProto(name="s", data_type=7, dims=[4], int32_data=[1, 3, 8, 8]),
        "two kinds of data": TensorProto(name="s", data_type=7, dims=[4], int64_data=[1, 3, 8, 8], raw_data=bytes(32)),
        "a segment": TensorProto(name="s", data_type=7, dims=[4], int64_data=[1, 3, 8, 8], segment=TensorProto.Segment(begin=-5, end=HUGE)),
        "float8": TensorProto(name="s", data_type=17, dims=[4], raw_data=b"\x7f\xff\x80\x00"),
        "int4, odd count": TensorProto(name="s", data_type=22, dims=[3], raw_data=b"\xff\x0f"),
    }.items():  # fmt: skip
        for op in ("Reshape", "Expand", "Tile", "Add", "Gather"):
            model(
                f"tensor: {op} by {key}",
                ANY,
                lambda o=op, d=data: model_of([node(o, ["x", "s"], ["y"])], {"x": [1, 3, 8, 8]}, {"y": None}, [d]),
            )
    for name, (indices, dims) in {
        "indices outside": ([HUGE, -5], [64, 3, 3, 3]), "unsorted": ([5, 1], [64, 3, 3, 3]), "dims of 2^186": ([0, 1], [HUGE, HUGE, HUGE]),
        "negative dims": ([0, 1], [-1, 3, 3, 3]), "no dims": ([0, 1], []), "more indices than values": (list(range(9)), [64, 3, 3, 3]),
    }.items():  # fmt: skip
        model(f"tensor: sparse weights, {name}", ANY, lambda i=indices, d=dims: _sparse(i, d))
    model("tensor: sparse and dense of one name", ANY, lambda: _sparse([0, 1], [64, 3, 3, 3], dense=True))
    for value in (NAN, INF, -INF, 1e38, 0.0):
        array = np.full((64, 3, 3, 3), value, np.float32)
        model(
            f"tensor: weights of {value}",
            LINTED,
            lambda a=array: conv(numpy_helper.from_array(a, "w")),
            "--weights",
            "always",
        )
        model(f"attribute: constants of {value}", ANY, lambda v=value: model_of(
            [node("Constant", [], ["c"], value_float=v), node("Mul", ["x", "c"], ["a"]), node("LeakyRelu", ["a"], ["b"], alpha=v),
             node("Clip", ["b", "c", "c"], ["y"])], {"x": [1, 3, 8, 8]}, {"y": None}))  # fmt: skip


def _deep_type(depth: int, kind: str) -> onnx.ModelProto:
    made = relu()
    inner = made.graph.value_info.add(name="a").type
    for _ in range(depth):
        if kind == "map_type":
            inner.map_type.key_type = 7
            inner = inner.map_type.value_type
        else:
            inner = getattr(inner, kind).elem_type
    inner.tensor_type.elem_type = 1
    return made


def _declared(*infos: onnx.ValueInfoProto) -> onnx.ModelProto:
    made = model_of([node("Relu", ["x"], ["a"]), node("Relu", ["a"], ["y"])], {"x": [1, 3, 8, 8]}, {"y": None})
    made.graph.value_info.extend(infos)
    return made


def _sparse(indices: list[int], dims: list[int], dense: bool = False) -> onnx.ModelProto:
    made = conv()
    if not dense:
        del made.graph.initializer[:]
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    made.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=ints(*indices), dims=dims))
    return made


# --- scopes and functions ---------------------------------------------------------------------------------------------


def scopes() -> None:
    for name, inner in {
        "the outer input": body(node("Relu", ["x"], ["x"]), outputs="x"), "the outer output": body(node("Relu", ["x"], ["y"]), outputs="y"),
        "a value twice": body(node("Relu", ["x"], ["r"]), node("Abs", ["x"], ["r"])), "an output never": body(node("Relu", ["x"], ["q"])),
        "itself": body(node("Relu", ["r"], ["r"])), "a later outer value": body(node("Relu", ["z"], ["r"])),
        "nothing": helper.make_graph([], "g", [], []), "an input as output": helper.make_graph([], "g", [INFO("i", 1, [1])], [INFO("i", 1, [1])]),
        "a weight of an outer name": helper.make_graph([node("Relu", ["x"], ["r"])], "g", [], [INFO("r", 1, None)], [weights("x", 7)]),
    }.items():  # fmt: skip
        made = model_of([node("If", ["c"], ["y"], then_branch=inner, else_branch=inner), node("Relu", ["y"], ["z"])], {"x": [1, 3, 8, 8]}, {"z": None})  # fmt: skip
        made.graph.input.append(INFO("c", TensorProto.BOOL, []))
        model(f"scope: a body that writes {name}", ANY, lambda m=made: m)
    model("scope: a weight twice", ANY, lambda: _also(weights("w", 64, 3, 3, 3), weights("w", 2, 2)))
    model("scope: a weight that a node writes", ANY, lambda: _also(weights("w", 64, 3, 3, 3), weights("y", 1)))
    model("scope: an input twice", ANY, lambda: _twice("input"))
    model("scope: an output twice", ANY, lambda: _twice("output"))
    model("scope: an attribute twice", INCOMPLETE, lambda: _attribute_twice())
    recursive = helper.make_graph([node("r", ["a"], ["q"], domain="f")], "g", [], [INFO("q", 1, None)])
    model("function: recursive in a branch", ANY, lambda: function_model(
        [function("r", [node("If", ["a"], ["b"], then_branch=recursive, else_branch=recursive)])], "r"))  # fmt: skip
    for count in (0, 1, 100):
        inputs = [f"a{at}" for at in range(count)]
        made = function_model([helper.make_function("f", "r", inputs, ["b"], [node("Sum", inputs, ["b"])], [helper.make_opsetid("", 17)])], "r")  # fmt: skip
        model(f"function: of {count} inputs, called with one", ANY, lambda m=made: m)
    odd = function("r", [node("Softmax", ["a"], ["b"])])
    odd.node[0].attribute.append(AttributeProto(name="axis", ref_attr_name="nowhere", type=2))
    odd.attribute.extend(["axis", "axis", "\x1b[31m"])
    odd.attribute_proto.append(helper.make_attribute("axis", 99))
    model("function: attributes twice and nowhere", ANY, lambda: function_model([odd], "r"))
    model("function: an overload", ANY, lambda: _overloaded())
    same = helper.make_function(
        "f", "r", ["a", "a"], ["b", "b"], [node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    model("function: an input and an output twice", ANY, lambda: function_model([same], "r"))
    model("function: of another opset", ANY, lambda: function_model(
        [helper.make_function("f", "r", ["a"], ["b"], [node("Relu", ["a"], ["b"])], [helper.make_opsetid("", -5), helper.make_opsetid("q", HUGE)])], "r"))  # fmt: skip
    training = relu()
    for _ in range(3):
        one = training.training_info.add()
        one.algorithm.CopyFrom(conv(weights("w", 64, 3, 3, 3, external="../../etc/passwd")).graph)
        one.update_binding.add(key="\x1b[31m", value="::error::x")
    model("scope: training_info with graphs", INCOMPLETE, lambda: training)
    spelled = relu()
    spelled.opset_import[0].domain = "ai.onnx"
    model("version: the domain as ai.onnx", LINTED, lambda: spelled)
    for version in (2**31, 2**63 - 1, -(2**63)):
        far = relu()
        far.ir_version = version
        model(f"version: ir of {version}", ANY, lambda m=far: m)


def _also(*tensors: TensorProto) -> onnx.ModelProto:
    made = conv()
    del made.graph.initializer[:]
    made.graph.initializer.extend(tensors)
    return made


def _twice(what: str) -> onnx.ModelProto:
    made = relu()
    getattr(made.graph, what).append(INFO(getattr(made.graph, what)[0].name, 7, [99]))
    return made


def _attribute_twice() -> onnx.ModelProto:
    made = model_of([node("Softmax", ["x"], ["y"], axis=1)], {"x": [1, 3, 8, 8]}, {"y": None})
    made.graph.node[0].attribute.append(helper.make_attribute("axis", 2))
    return made


def _overloaded() -> onnx.ModelProto:
    one, other = function("r", [node("Relu", ["a"], ["b"])]), function("r", [node("Conv", ["a", "a"], ["b"])])
    one.overload, other.overload = "first", "\x1b[31m"
    made = function_model([one, other], "r")
    made.graph.node[0].overload = "first"
    made.ir_version = 10
    return made


# --- external data and names --------------------------------------------------------------------------------------------


def entries() -> None:
    for at, found in enumerate((
        [("location", "w.bin"), ("location", "/etc/passwd")], [("location", "/etc/passwd"), ("location", "w.bin")], [("LOCATION", "w.bin")],
        [("location", "w.bin"), ("offset", "+1")], [("location", "w.bin"), ("offset", "1_000")], [("location", "w.bin"), ("offset", " 4 ")],
        [("location", "w.bin"), ("offset", "0x10")], [("location", "w.bin"), ("length", "1e3")], [("location", "w.bin"), ("length", "\u0661")],
        [("location", "w.bin"), ("length", "0")], [("location", "w.bin"), ("offset", str(2**64))], [("location", "./w.bin")], [("location", "w.bin/")],
        [("location", "w.bin\0/etc/passwd")], [("location", "w.bin"), ("checksum", "\x1b[31m::error::x")], [("location", "w.bin")] * 10_000,
        [("location", "w\u200b.bin")], [("location", "\u0430.bin")], [("location", "link")], [("location", "folder/../w.bin")], [("offset", "0")], [],
    )):  # fmt: skip

        def make(folder: Path, found: list[tuple[str, str]] = found) -> list[str]:
            (folder / "w.bin").write_bytes(bytes(64 * 27 * 4))
            (folder / "link").symlink_to("/etc/passwd")
            (folder / "folder").symlink_to("/etc")
            tensor = TensorProto(name="w", data_type=1, dims=[64, 3, 3, 3], data_location=1)
            for key, value in found:
                tensor.external_data.add(key=key, value=value)
            return [written(folder, data=conv(tensor).SerializeToString()), "--weights", "always"]

        add(f"external: entries {at}", ANY, make)
    for what, name in {
        "look-alikes": "\u0441\u043en\u1d20/\uff1a\uff1aerror\uff1a\uff1ax", "fillers": "\u3164\u115f\u2800\u00a0", "variation": "a\ufe0f\u20e3\U000e0100",
        "emoji code": ":boom: :warning:", "command in pieces": "::error\u200b::x", "command cut": "a" * 131 + "::error::" + "b" * 300,
        "osc 8": "\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\", "dcs": "\x1bPq\x1b\\", "c1 osc": "\x9d0;t\x9c", "csv": '";=cmd()\r\n"', "tab formula": "\t=cmd()",
        "full-width formula": "\uff1dcmd()", "style": "[bold red on white]x", "3000 levels": "/".join("a" * 3000), "backslashes": "\\" * 199 + "[red]",
    }.items():  # fmt: skip

        def named(name: str = name) -> onnx.ModelProto:
            return model_of(
                [node("Conv", [name + "x", name + "w"], [name + "c"], name=name), node("Foo", [name + "c"], [name + "y"], name=name, domain=name)],
                {name + "x": [name, 3, 8, 8]}, {name + "y": None}, [weights(name + "w", 64, 3, 3, 3)],
            )  # fmt: skip

        for words in ((), ("PROFILE",)):
            model(f"name: {what}{', profile' if words else ''}", INCOMPLETE, named, *words)


for _fill in (operators, types, scopes, entries):
    _fill()
