"""Models that onnx's checker or ONNX Runtime refuses, each for one reason, and odd ones beside them that both take.

What neither runtime would load is never reported clean; what is merely odd is linted.
"""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from hostile.corpus import (
    ANY,
    ERROR,
    HUGE,
    IMAGE,
    INCOMPLETE,
    LINTED,
    body,
    field,
    function,
    function_model,
    model,
    node,
    one,
    varint,
)
from modelfiles import model_of, relu, weights
from onnx import AttributeProto, TensorProto, helper

INFO = helper.make_tensor_value_info
Change = Callable[[onnx.ModelProto], object]


def changed(made: onnx.ModelProto, *changes: Change) -> onnx.ModelProto:
    for change in changes:
        change(made)
    return made


def _softmax(**stated: object) -> onnx.ModelProto:
    made = one("Softmax")
    made.graph.node[0].attribute.append(AttributeProto(**stated))
    return made


def attributes() -> None:
    for op, inputs in {
        "Relu": "x",
        "Conv": "x x",
        "Softmax": "x",
        "Concat": "x x",
        "LSTM": "x x x",
        "If": "x",
        "MaxPool": "x",
    }.items():
        needed: dict[str, object] = {"Concat": {"axis": 0}, "MaxPool": {"kernel_shape": [1, 1]}}.get(op, {})  # type: ignore[assignment]
        for name in ("foo", "Axis", "_axis", "\x1b[31m", "::error::x", "a" * 5000, "\u202e"):
            model(
                f"contradiction: {op} with {name[:12]!a}",
                INCOMPLETE,
                lambda o=op, i=inputs, n=name, m=needed: one(o, i, **{**m, n: 1}),
            )
    model("contradiction: an attribute without a name", INCOMPLETE, lambda: _softmax(name="", type=2, i=1))
    model("contradiction: none, a tool's own attribute", LINTED, lambda: one("Relu", __mine=1))
    model("contradiction: none, one that LayerNormalization lets pass", LINTED, lambda: changed(
        one("LayerNormalization", "x s", foo=1), lambda m: m.graph.input[1].CopyFrom(INFO("s", 1, [8]))))  # fmt: skip
    model("contradiction: none, an attribute of a later version", LINTED, lambda: one("Relu", opset=9999, foo=1))
    model(
        "contradiction: none, an unknown attribute in another domain",
        ANY,
        lambda: one("Gelu", domain="com.microsoft", foo=1),
    )
    for what, stated in {
        "no type": {"i": 1}, "a float for an int": {"type": 2, "f": 1.0}, "two values": {"type": 2, "i": 1, "f": 1.0}, "an int and a graph": {"type": 2, "i": 1, "g": relu().graph},
        "type 99 by bytes": {"type": 2, "i": 1, "s": b"x"}, "a list for an int": {"type": 7, "ints": [1]}, "a text for an int": {"type": 3, "s": b"1"},
        "a reference and no function": {"type": 2, "ref_attr_name": "q"}, "a reference to \x1b": {"type": 2, "ref_attr_name": "\x1b[31m"},
    }.items():  # fmt: skip
        model(f"contradiction: axis of {what!a}", INCOMPLETE, lambda s=stated: _softmax(name="axis", **s))
    model("contradiction: none, an int that is not stated is 0", LINTED, lambda: _softmax(name="axis", type=2))
    for kind in range(1, 15):
        model(f"contradiction: Constant whose value is of type {kind} and not there", INCOMPLETE, lambda k=kind: changed(
            model_of([node("Constant", [], ["y"])], {}, {"y": [1]}), lambda m: m.graph.node[0].attribute.add(name="value", type=k)))  # fmt: skip
        model(f"contradiction: Relu with an attribute of type {kind}", INCOMPLETE, lambda k=kind: changed(
            relu(), lambda m: m.graph.node[0].attribute.add(name="foo", type=k)))  # fmt: skip
    for op, name in (
        ("Cast", "to"),
        ("EyeLike", "dtype"),
        ("RandomUniformLike", "dtype"),
        ("HannWindow", "output_datatype"),
    ):
        for dtype in (0, 27, 99, -1, HUGE):
            model(f"contradiction: {op} to {dtype}", INCOMPLETE, lambda o=op, n=name, d=dtype: one(o, **{n: d}))
    for op, inputs in {
        "Abs": "x x",
        "Add": "x",
        "Clip": "x x x x",
        "Relu": "",
        "Where": "x x",
        "Conv": "x",
        "Sum": "",
    }.items():
        model(f"contradiction: {op} of {len(inputs.split())}", INCOMPLETE, lambda o=op, i=inputs: changed(
            one(o, "x"), lambda m: m.graph.node[0].ClearField("input"), lambda m: m.graph.node[0].input.extend(i.split())))  # fmt: skip
    model(
        "contradiction: Abs of one and nothing",
        INCOMPLETE,
        lambda: changed(one("Abs"), lambda m: m.graph.node[0].input.append("")),
    )
    for overload in ("v2", "\x1b[31m", "a" * 10_000):
        model(f"contradiction: none, Relu in the overload {overload[:5]!a}", LINTED, lambda v=overload: changed(
            relu(), lambda m: setattr(m.graph.node[0], "overload", v)))  # fmt: skip
        model(f"contradiction: a call in the overload {overload[:5]!a} that there is not", INCOMPLETE, lambda v=overload: changed(
            _call(), lambda m: setattr(m.graph.node[0], "overload", v)))  # fmt: skip


def _call(formal: tuple[str, ...] = ("a",)) -> onnx.ModelProto:
    made = function_model([function("r", [node("Relu", ["a"], ["b"])])], "r")
    made.functions[0].ClearField("input")
    made.functions[0].input.extend(formal)
    return made


def functions() -> None:
    def first(m: onnx.ModelProto) -> onnx.NodeProto:
        return m.graph.node[0]

    for what, change in {
        "more inputs": lambda m: first(m).input.append("x"), "more outputs": lambda m: first(m).output.append("z"), "5000 more inputs": lambda m: first(m).input.extend(["x"] * 5000),
        "a domain that is not imported": lambda m: m.opset_import.pop(), "a function that is there twice": lambda m: m.functions.append(m.functions[0]),
        "an input twice": lambda m: m.functions[0].input.append("a"), "an output twice": lambda m: m.functions[0].output.append("b"),
        "no operator set of its own": lambda m: m.functions[0].ClearField("opset_import"), "a value that it lacks": lambda m: m.functions[0].node[0].input.__setitem__(0, "x"),
        "no nodes": lambda m: m.functions[0].ClearField("node"), "a name that is none": lambda m: setattr(m.functions[0], "name", "other"),
    }.items():  # fmt: skip
        model(f"contradiction: a call with {what}", INCOMPLETE, lambda c=change: changed(_call(), c))
    model(
        "contradiction: a function that writes a value twice",
        ERROR,
        lambda: changed(_call(), lambda m: m.functions[0].node.append(m.functions[0].node[0])),
    )
    for what, change in {"fewer inputs": lambda m: m.functions[0].input.append("left_out"), "an attribute that it does not have": lambda m: first(m).attribute.add(name="foo", type=2, i=1),
                         "another operator set": lambda m: setattr(m.functions[0].opset_import[0], "version", 9)}.items():  # fmt: skip
        model(f"contradiction: none, a call with {what}", LINTED, lambda c=change: changed(_call(), c))


def bodies() -> None:
    def branch(outputs: int, inputs: int = 0) -> onnx.GraphProto:
        made = body(node("Relu", ["x"], ["r"]))
        made.output.extend([made.output[0]] * (outputs - 1))
        if not outputs:
            made.ClearField("output")
        made.input.extend(INFO(f"i{n}", 1, [1]) for n in range(inputs))
        return made

    for then, other, outputs, inputs in (
        (1, 2, 1, 0),
        (2, 2, 1, 0),
        (0, 0, 1, 0),
        (1, 0, 1, 0),
        (1, 1, 2, 0),
        (1, 1, 1, 1),
    ):
        model(f"contradiction: If of {then} and {other} for {outputs}, {inputs} given", INCOMPLETE, lambda t=then, o=other, n=outputs, i=inputs: changed(
            model_of([node("If", ["c"], [f"y{k}" for k in range(n)], then_branch=branch(t, i), else_branch=branch(o))], IMAGE, {"y0": None}),
            lambda m: m.graph.input.append(INFO("c", 9, []))))  # fmt: skip
    for carried in (0, 1, 3):
        for outputs in (0, 1, 3):
            if carried == outputs == 1:
                continue

            def loop(carried: int = carried, outputs: int = outputs) -> onnx.ModelProto:
                inner = helper.make_graph([node("Identity", ["c"], ["d"]), node("Relu", ["x"], ["w"])], "b",
                                          [INFO("i", 7, []), INFO("c", 9, []), *(INFO(f"v{n}", 1, None) for n in range(carried))],
                                          [INFO("d", 9, []), *(INFO("w", 1, None) for n in range(outputs))])  # fmt: skip
                made = model_of([node("Loop", ["t", "k", "x"], ["y"], body=inner)], IMAGE, {"y": None})
                made.graph.input.extend([INFO("t", 7, []), INFO("k", 9, [])])
                return made

            model(f"contradiction: Loop of one whose body has {carried} and {outputs}", INCOMPLETE, loop)
    for inputs in (0, 2):
        model(
            f"contradiction: Scan of one whose body has {inputs}",
            INCOMPLETE,
            lambda i=inputs: one("Scan", num_scan_inputs=1, body=branch(1, i)),
        )
    for count in (0, -1, 2, HUGE):
        model(
            f"contradiction: Scan that scans {count} of one",
            INCOMPLETE,
            lambda c=count: one("Scan", num_scan_inputs=c, body=branch(1, 1)),
        )


def declarations() -> None:
    def tensor(**more: Any) -> TensorProto:
        return TensorProto(**{"name": "w", "data_type": 1, "dims": [1, 3, 8, 8], "raw_data": bytes(768), **more})

    for what, (expected, tensors) in {
        "twice": (LINTED, [tensor(), tensor()]), "twice, of other dims": (INCOMPLETE, [tensor(), tensor(dims=[1], raw_data=bytes(4))]),
        "twice, of another type": (INCOMPLETE, [tensor(), tensor(data_type=6)]), "of no type": (INCOMPLETE, [tensor(data_type=0)]), "of type 99": (INCOMPLETE, [tensor(data_type=99)]),
        "of type -1": (INCOMPLETE, [tensor(data_type=-1)]), "of a negative dim": (ERROR, [tensor(dims=[-1, 3, 8, 8])]), "of no bytes": (ANY, [tensor(raw_data=b"")]),
        "of too few floats": (ANY, [tensor(raw_data=b"", float_data=[1.0])]), "of two bodies": (ANY, [tensor(float_data=[1.0] * 192)]), "of the wrong field": (ANY, [tensor(raw_data=b"", int64_data=[1] * 192)]),
        "in segments": (ANY, [tensor(segment=TensorProto.Segment(begin=0, end=1 << 40))]), "of texts in raw bytes": (INCOMPLETE, [tensor(data_type=8)]),
        "without a name": (INCOMPLETE, [tensor(name="")]), "of 10^6 dims": (ANY, [tensor(dims=[1] * 1_000_000, raw_data=bytes(4))]),
    }.items():  # fmt: skip
        model(
            f"contradiction: an initializer {what}",
            expected,
            lambda t=tensors: model_of([node("Add", ["x", "w"], ["y"])], IMAGE, {"y": [1, 3, 8, 8]}, t),
        )
    for what, change in {
        "twice": lambda m: m.graph.input.append(m.graph.input[0]), "of no element type": lambda m: m.graph.input[0].type.tensor_type.ClearField("elem_type"),
        "of element type 99": lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 99), "of no type": lambda m: m.graph.input[0].ClearField("type"),
        "of a sequence": lambda m: m.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1]))),
        "of an optional": lambda m: m.graph.input[0].type.CopyFrom(helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1]))),
        "of a map": lambda m: m.graph.input[0].type.CopyFrom(helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, [1]))),
        "of an opaque type": lambda m: m.graph.input[0].type.opaque_type.SetInParent() if hasattr(m.graph.input[0].type, "opaque_type") else m.graph.input[0].ClearField("type"),
    }.items():  # fmt: skip
        model(f"contradiction: an input {what}", INCOMPLETE, lambda c=change: changed(relu(), c))
    model(
        "contradiction: an output that nothing writes",
        INCOMPLETE,
        lambda: changed(relu(), lambda m: setattr(m.graph.output[0], "name", "zz")),
    )
    for dtype in (6, 7, 9, 10):
        model(f"contradiction: a value declared as type {dtype}", INCOMPLETE, lambda d=dtype: changed(
            model_of([node("Relu", ["x"], ["a"]), node("Relu", ["a"], ["y"])], IMAGE, {"y": [1, 3, 8, 8]}), lambda m: m.graph.value_info.append(INFO("a", d, [1, 3, 8, 8]))))  # fmt: skip
    for what, change in {
        "no graph name": lambda m: setattr(m.graph, "name", ""), "metadata twice": lambda m: [m.metadata_props.add(key="a", value=str(n)) for n in range(2)], "ir version 0": lambda m: setattr(m, "ir_version", 0),
        "nodes that do not stand in order": lambda m: m.graph.node.reverse(), "the domain spelled out": lambda m: setattr(m.graph.node[0], "domain", "ai.onnx"), "an output twice": lambda m: m.graph.output.append(m.graph.output[0]),
        "value_info twice": lambda m: m.graph.value_info.extend([INFO("q", 1, [1]), INFO("q", 7, [2])]), "a node of nothing": lambda m: m.graph.node.add(op_type="Identity") and None,
    }.items():  # fmt: skip
        expected = ANY if what == "a node of nothing" else LINTED
        model(f"contradiction: none, {what}", expected, lambda c=change: changed(
            model_of([node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["y"])], IMAGE, {"y": [1, 3, 8, 8]}), c))  # fmt: skip


def encodings() -> None:
    """The same model in other bytes, and bytes that are nearly one."""
    graph, opset = relu().graph.SerializeToString(), b"\x42\x02\x10\x11"
    whole = b"\x08\x08" + field(7, graph) + opset
    softmax = one("Softmax").graph

    def with_axis(content: bytes) -> bytes:
        inner = softmax.node[0].SerializeToString() + field(5, b"\x0a\x04axis" + content)
        rest = onnx.GraphProto.FromString(softmax.SerializeToString())
        del rest.node[:]
        return b"\x08\x08" + field(7, field(1, inner) + rest.SerializeToString()) + opset

    kind = varint(20 << 3)
    for what, (expected, content) in {
        "twice, the last counts": (LINTED, b"\x18\x63\x18\x01" + kind + b"\x02"), "as a packed list": (INCOMPLETE, field(8, b"\x01") + kind + b"\x02"), "in ten bytes": (LINTED, b"\x18" + varint(1, 10) + kind + b"\x02"),
        "in eleven bytes": (ERROR, b"\x18" + varint(1, 11) + kind + b"\x02"), "as fixed64": (ANY, b"\x19" + bytes(8) + kind + b"\x02"), "of type 2^31": (ANY, b"\x18\x01" + kind + varint(2**31)),
        "of type 99": (INCOMPLETE, b"\x18\x01" + kind + b"\x63"), "its type twice": (INCOMPLETE, b"\x18\x01" + kind + b"\x02" + kind + b"\x01"), "beside a group": (ANY, b"\x18\x01" + kind + b"\x02\xf3\x01\xf4\x01"),
        "beside an end of no group": (ERROR, b"\x18\x01" + kind + b"\x02\xf4\x01"), "beside an unknown field": (LINTED, b"\x18\x01" + kind + b"\x02" + field(999, b"x" * 5000)),
    }.items():  # fmt: skip
        model(f"encoding: an attribute {what}", expected, lambda c=content: with_axis(c))
    for what, (expected, data) in {
        "fields in reverse": (LINTED, opset + field(7, graph) + b"\x08\x08"), "opset twice": (LINTED, whole + opset), "an opset of -1": (ERROR, b"\x08\x08" + field(7, graph) + field(8, b"\x10" + varint(2**64 - 1))),
        "an opset of 2^40": (ERROR, b"\x08\x08" + field(7, graph) + field(8, b"\x10" + varint(2**40))), "an empty opset": (ERROR, b"\x08\x08" + field(7, graph) + b"\x42\x00"), "ir in ten bytes": (LINTED, b"\x08" + varint(8, 10) + whole[2:]),
        "ir as fixed32": (ANY, b"\x0d\x08\x00\x00\x00" + whole[2:]), "the graph as a number": (ERROR, b"\x08\x08\x38\x01" + opset), "the graph in two halves": (ANY, b"\x08\x08" + field(7, graph) + field(7, b"") + opset),
        "a trailing zero": (ERROR, whole + b"\x00"), "a trailing tag": (ERROR, whole + b"\x08"), "a million empty unknown fields": (LINTED, whole + b"\xfa\x3e\x00" * 1_000_000),
        "packed ir versions": (ANY, whole + b"\x0a\x02\x08\x09"), "a group around the graph": (ERROR, b"\x08\x08\x3b" + graph + b"\x3c" + opset), "a byte order mark": (ERROR, b"\xef\xbb\xbf" + whole), "its length in front": (ERROR, varint(len(whole)) + whole),
        "twice in a row": (ANY, whole + whole), "negative enum": (ANY, whole + field(7, field(5, b"\x10" + varint(2**64 - 1)))),
    }.items():  # fmt: skip
        model(f"encoding: {what}", expected, lambda d=data: d)
    for dims in (
        b"\x0a\x02\x08\x01" * 2000,
        b"\x0a\x04\x12\x02\xff\xfe",
        b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01",
        b"\x0a\x00",
        b"\x0a\x06\x08\x01\x12\x02ab",
    ):
        model(
            f"encoding: dims {dims[:8].hex()}",
            ANY,
            lambda d=dims: (
                b"\x08\x08"
                + field(7, graph + field(13, field(1, b"y") + field(2, field(1, b"\x08\x01" + field(2, d)))))
                + opset
            ),
        )


def types() -> None:
    """Every element type, as an input, a weight and a result."""
    for dtype in (*range(1, 27), 27, 100):
        known = dtype <= 26
        model(f"type: {dtype} passed on", LINTED if known else INCOMPLETE, lambda d=dtype: changed(
            model_of([node("Identity", ["x"], ["y"])], IMAGE, {"y": None}, opset=25), lambda m: m.graph.input[0].CopyFrom(INFO("x", d, [1, 8])), lambda m: m.graph.output[0].type.tensor_type.ClearField("elem_type")))  # fmt: skip
        model(f"type: {dtype} for weights", ANY, lambda d=dtype: model_of(
            [node("Cast", ["w"], ["f"], to=1), node("MatMul", ["x", "f"], ["y"])], {"x": [1, 8]}, {"y": None}, [TensorProto(name="w", data_type=d, dims=[8, 8], int32_data=[1] * 64)], opset=25), "--weights", "always")  # fmt: skip
        model(f"type: cast to {dtype}", ANY if known else INCOMPLETE, lambda d=dtype: one("Cast", opset=25, to=d))
    for what, op, inputs, more in (("a sequence that grows", "SequenceInsert", ("s", "x"), {}), ("a sequence at", "SequenceAt", ("s", "i"), {}), ("its length", "SequenceLength", ("s",), {}),
                                   ("joined", "ConcatFromSequence", ("s",), {"axis": 0})):  # fmt: skip
        for length in (0, 1, 50):
            model(f"type: {what} of {length}", ANY, lambda o=op, i=inputs, n=length, m=more: model_of(
                [node("SequenceConstruct", ["x"] * n, ["s"]) if n else node("SequenceEmpty", [], ["s"]), node(o, list(i), ["y"], **m)], IMAGE, {"y": None}, [helper.make_tensor("i", 7, [], [n])]))  # fmt: skip
    model(
        "type: training",
        LINTED,
        lambda: changed(relu(), lambda m: [m.training_info.add().algorithm.CopyFrom(m.graph) for _ in range(1000)]),
    )
    model(
        "type: ml operators",
        ANY,
        lambda: changed(
            one("TreeEnsembleClassifier", domain="ai.onnx.ml", nodes_treeids=[0] * 50_000, foo=1),
            lambda m: m.opset_import.add(domain="ai.onnx.ml", version=3),
        ),
    )
    model(
        "type: weights of 2^62 by a sparse tensor",
        ANY,
        lambda: changed(
            relu(),
            lambda m: m.graph.sparse_initializer.add(
                dims=[HUGE, HUGE], values=weights("w", 4), indices=weights("i", 4)
            ),
        ),
    )


for _fill in (attributes, functions, bodies, declarations, encodings, types):
    _fill()
