"""Cutting tensor bodies out of the wire format, against the same done on parsed messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import modelfiles
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from onnxlint.wire import LENGTH_KEY, OFFSET_KEY, WireError, strip_tensors

LARGE = 96
QUICK = settings(max_examples=150, database=None)
BODIES = ("float_data", "int32_data", "string_data", "int64_data", "raw_data", "double_data", "uint64_data")
NAMES = st.text(max_size=6)


@st.composite
def tensors(draw: st.DrawFn) -> TensorProto:
    tensor = TensorProto(name=draw(NAMES), dims=draw(st.lists(st.integers(0, 9), max_size=3)), data_type=1)
    size = draw(st.integers(0, 150))
    kind = draw(st.sampled_from([*BODIES, "none", "external"]))
    if kind == "raw_data":
        tensor.raw_data = draw(st.binary(min_size=size, max_size=size))
    elif kind == "string_data":
        tensor.string_data.extend([b"s" * 5] * size)
    elif kind == "external":
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w" * size)
    elif kind != "none":
        getattr(tensor, kind).extend(range(size))
    if draw(st.booleans()):
        tensor.doc_string = "d" * draw(st.integers(0, 150))
    return tensor


@st.composite
def attributes(draw: st.DrawFn, depth: int) -> onnx.AttributeProto:
    attribute = onnx.AttributeProto(name=draw(NAMES))
    kinds = ["t", "tensors", "sparse_tensor", "sparse_tensors", "ints", "s"] + (["g", "graphs"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "t":
        attribute.t.CopyFrom(draw(tensors()))
    elif kind == "tensors":
        attribute.tensors.extend(draw(st.lists(tensors(), max_size=2)))
    elif kind == "sparse_tensor":
        attribute.sparse_tensor.CopyFrom(draw(sparse()))
    elif kind == "sparse_tensors":
        attribute.sparse_tensors.append(draw(sparse()))
    elif kind == "ints":
        attribute.ints.extend(range(draw(st.integers(0, 150))))
    elif kind == "s":
        attribute.s = b"x" * draw(st.integers(0, 150))
    elif kind == "g":
        attribute.g.CopyFrom(draw(graphs(depth - 1)))
    else:
        attribute.graphs.append(draw(graphs(depth - 1)))
    return attribute


@st.composite
def sparse(draw: st.DrawFn) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=draw(tensors()), indices=draw(tensors()), dims=[4, 4])


@st.composite
def nodes(draw: st.DrawFn, depth: int) -> onnx.NodeProto:
    node = onnx.NodeProto(op_type="Op", input=["a", ""], output=[draw(NAMES)])
    node.attribute.extend(draw(st.lists(attributes(depth), max_size=2)))
    return node


@st.composite
def graphs(draw: st.DrawFn, depth: int) -> onnx.GraphProto:
    graph = onnx.GraphProto(name=draw(NAMES))
    graph.node.extend(draw(st.lists(nodes(depth), max_size=2)))
    graph.initializer.extend(draw(st.lists(tensors(), max_size=3)))
    graph.sparse_initializer.extend(draw(st.lists(sparse(), max_size=1)))
    return graph


@st.composite
def protos(draw: st.DrawFn) -> onnx.ModelProto:
    model = onnx.ModelProto(ir_version=8, producer_name=draw(NAMES))
    model.opset_import.add(version=17)
    model.graph.CopyFrom(draw(graphs(2)))
    if draw(st.booleans()):
        function = model.functions.add(name="f", input=["a"], output=["b"])
        function.node.extend(draw(st.lists(nodes(1), max_size=2)))
        function.attribute_proto.extend(draw(st.lists(attributes(1), max_size=1)))
    if draw(st.booleans()):
        training = model.training_info.add()
        training.initialization.CopyFrom(draw(graphs(0)))
        training.algorithm.CopyFrom(draw(graphs(0)))
    return model


def tensors_of(message: object) -> Iterator[TensorProto]:
    """Every tensor below a message, in file order of their fields."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from tensors_of(inner)


def without_bodies(model: onnx.ModelProto, large: int) -> onnx.ModelProto:
    """The same by parsed messages; the cut tensors carry empty offset and length entries."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in tensors_of(copy):
        bare = TensorProto()
        bare.CopyFrom(tensor)
        for field in BODIES:
            bare.ClearField(field)
        if tensor.ByteSize() - bare.ByteSize() > large:
            if tensor.HasField("raw_data") or bool(tensor.float_data) != bool(tensor.double_data):
                entries = list(tensor.external_data)
                del tensor.external_data[:]
                for key in (OFFSET_KEY, LENGTH_KEY):
                    tensor.external_data.add(key=key)
                tensor.external_data.extend(entries)
            for field in BODIES:
                tensor.ClearField(field)
    return copy


@QUICK
@given(protos())
def test_is_the_model_without_large_bodies(model: onnx.ModelProto) -> None:
    data = model.SerializeToString()
    found = onnx.ModelProto.FromString(strip_tensors(data, LARGE))
    for before, after in zip(tensors_of(model), tensors_of(found), strict=True):
        places = {entry.key: entry for entry in after.external_data if entry.key in (OFFSET_KEY, LENGTH_KEY)}
        if places:
            offset, length = (int(places[key].value) for key in (OFFSET_KEY, LENGTH_KEY))
            packed = struct.pack(f"<{len(before.float_data)}f", *before.float_data) or struct.pack(
                f"<{len(before.double_data)}d", *before.double_data
            )
            assert data[offset : offset + length] == (before.raw_data if before.HasField("raw_data") else packed)
            for entry in places.values():
                entry.ClearField("value")
    assert found == without_bodies(model, LARGE)
    assert strip_tensors(data, len(data)) == data


@QUICK
@given(protos(), st.data())
def test_damage_is_an_error_or_a_model(model: onnx.ModelProto, data: st.DataObject) -> None:
    damaged = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        match data.draw(st.sampled_from(["cut", "set", "insert", "remove"])):
            case "cut":
                del damaged[at:]
            case "set":
                damaged[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "remove":
                del damaged[at : at + data.draw(st.integers(1, 9))]
    try:
        stripped = strip_tensors(bytes(damaged), LARGE)
    except WireError:
        return
    assert len(stripped) < 4 * len(damaged) + 100


@QUICK
@given(st.binary(max_size=400))
def test_noise_is_an_error_or_a_model(noise: bytes) -> None:
    try:
        strip_tensors(b"\x08\x08\x3a" + noise, 8)
    except WireError:
        return


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field of less than 16 KiB."""
    return bytes(((number << 3 | 2) & 0x7F,)) + bytes((len(body) & 0x7F | 0x80, len(body) >> 7)) + body


def test_unpacked_numbers_and_scattered_bodies_are_cut() -> None:
    unpacked = b"".join(b"\x25" + struct.pack("<f", value) for value in range(50))  # float_data, one field each
    tensor = b"\x08\x32\x10\x01" + unpacked + field(8, b"w") + unpacked + field(9, b"r" * 10)
    data = b"\x08\x08" + field(7, field(5, tensor) + field(2, b"g"))
    (found,) = onnx.ModelProto.FromString(strip_tensors(data, 64)).graph.initializer
    assert (list(found.dims), found.data_type, found.name) == ([50], 1, "w")
    assert not found.float_data
    assert not found.raw_data
    assert {entry.key: entry.value for entry in found.external_data} == {
        OFFSET_KEY: str(data.index(b"rrrr")),
        LENGTH_KEY: "10",
    }


def test_of_two_bodies_the_last_counts() -> None:
    tensor = field(9, b"a" * 100) + field(8, b"w") + field(9, b"b" * 90)
    data = b"\x08\x08" + field(7, field(5, tensor))
    (found,) = onnx.ModelProto.FromString(strip_tensors(data, 64)).graph.initializer
    assert [entry.value for entry in found.external_data] == [str(data.index(b"bbb")), "90"]


def test_a_model_of_gigabytes_costs_what_its_graph_costs() -> None:
    model = modelfiles.conv(modelfiles.weights("w", 64, 3, 3, 3))
    data = model.SerializeToString()
    assert len(strip_tensors(data)) < 400 < 6912 < len(data)


def test_a_small_body_in_a_large_tensor_stays() -> None:
    # its two entries would be longer than it, and the lengths around it must not grow
    model = modelfiles.conv(modelfiles.weights("w", 2))
    model.graph.initializer[0].doc_string = "d" * 16_300
    data = model.SerializeToString()
    assert strip_tensors(data) == data
    assert strip_tensors(data, 1) == data


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x3a", b"\x3a\x05", b"\x0b", b"\x3a" + b"\xff" * 11, b"\x09\x00", b"\x3d\x00", b"\x08" + b"\x80" * 12],
)
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        strip_tensors(data, 1)
