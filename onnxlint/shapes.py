"""Dims and dtypes for every value: ONNX's own inference in a child process, then small constants carried through.

The child first infers the whole model natively, then walks the nodes in order: it carries the values of small
constants (Shape → Gather → Concat → Reshape), takes the branch of an If whose condition they decide, and asks ONNX's
inference again, node by node, for what became known. What stays unknown is listed, never guessed.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import replace

import msgspec
import numpy as np
import onnx

from onnxlint import isolated
from onnxlint.binding import Bound, tensor_of
from onnxlint.inference import Walk
from onnxlint.resolved import GraphDef
from onnxlint.tensor import TensorType
from onnxlint.text import printable, text
from onnxlint.validity import schema_of
from onnxlint.values import Array

_COUNTER = struct.Struct("<q")
_MAX_DEATHS = 8
_SHARE_OF_TIME, _LEAST_SECONDS = 0.8, 0.5


class Shapes(msgspec.Struct, frozen=True):
    """What is known of every value, by its resolved name.

    `branches` names the branch taken by each If whose condition is constant (node key → attribute); `trips` the
    constant trip count of each Loop or Scan; `incomplete` says what of the analysis failed and why,
    `invalid` the keys of the nodes that contradict what they are given.
    """

    types: dict[str, TensorType]
    values: dict[str, Array]
    branches: dict[str, str]
    trips: dict[str, int]
    incomplete: tuple[str, ...] = ()
    invalid: frozenset[str] = frozenset()


class _Answer(msgspec.Struct):
    """`types`: each element type and shape, with the names of all values that have it."""

    types: list[tuple[int, tuple[int | None, ...] | None, list[str]]]
    values: dict[str, tuple[str, tuple[int, ...], bytes]]
    branches: dict[str, str]
    trips: dict[str, int]
    problems: list[str]
    invalid: list[str]


def infer(proto: onnx.ModelProto, graph: GraphDef, bound: Bound, limits: isolated.Limits | None = None) -> Shapes:
    """Infer the type of every value of `graph` with the inputs bound; native code runs in a child, within `limits`."""
    onnx.defs.has("Identity")  # fills onnx's tables, which every child would else do again
    limits = (limits or isolated.Limits()).sized(proto.ByteSize(), len(graph.nodes))
    answer = _answer(proto, graph, bound, limits)
    return Shapes(
        _types_by_name(answer),
        {
            _name(name): np.frombuffer(data, dtype=dtype).reshape(shape)
            for name, (dtype, shape, data) in answer.values.items()
        },
        {_name(key): _name(branch) for key, branch in answer.branches.items()},
        {_name(key): trips for key, trips in answer.trips.items()},
        tuple(answer.problems),
        frozenset(map(_name, answer.invalid)),
    )


def _types_by_name(answer: _Answer) -> dict[str, TensorType]:
    """Values of one type share it."""
    types: dict[str, TensorType] = {}
    for dtype, shape, names in answer.types:
        types |= dict.fromkeys(map(_name, names), TensorType(dtype, shape))
    return types


def _answer(proto: onnx.ModelProto, graph: GraphDef, bound: Bound, limits: isolated.Limits) -> _Answer:
    """Ask onnx of the whole model; where that dies, of the nodes one by one but for those it dies of; else nothing.

    A child tells the number of the native call that it is at through shared memory. Each way says what went wrong.
    What comes after a child that used up its time has half as much.
    """
    deadline = time.monotonic() + _SHARE_OF_TIME * limits.timeout_s
    problems: list[str] = []
    deadly: dict[int, str] = {}
    is_whole, native, evaluates = not graph.has_invalid, True, True
    with mmap.mmap(-1, _COUNTER.size) as counter:

        def run() -> bytes:
            walk = Walk(graph, bound, native=native, evaluates=evaluates, deadly=deadly, before_native=tell)
            if is_whole:
                _infer_natively(proto, graph, bound, walk)
            walk.check_all |= not is_whole
            walk.run()
            return _encode(walk)

        def tell(number: int) -> None:
            counter[:] = _COUNTER.pack(number)

        while evaluates:
            counter[:] = _COUNTER.pack(0)
            try:
                left_s = max(_LEAST_SECONDS, deadline - time.monotonic())
                own = replace(limits, timeout_s=min(limits.timeout_s, left_s))
                answer = msgspec.msgpack.decode(isolated.call(run, own), type=_Answer)
                answer.problems[:0] = problems
                return answer
            except isolated.ChildDied as died:
                if not died.is_quick and limits.processor_s is not None:
                    limits = replace(limits, processor_s=max(_LEAST_SECONDS, limits.processor_s / 2))
                (reached,) = _COUNTER.unpack(counter[:])
                if is_whole:
                    is_whole = False
                    problems.append(f"ONNX's shape inference {died}: the nodes are inferred one by one")
                elif native and reached and len(deadly) < _MAX_DEATHS and (died.is_quick or not deadly):
                    deadly[reached] = str(died)
                elif native:
                    native = False
                    problems.append(f"ONNX's shape inference {died}: shapes are those that the file declares")
                else:
                    evaluates = False
                    problems.append(f"shape inference {died}: nothing is carried through the nodes")
    walk = Walk(graph, bound, native=False, evaluates=False)
    walk.run()
    answer = msgspec.msgpack.decode(_encode(walk), type=_Answer)
    answer.problems[:0] = problems
    return answer


def _infer_natively(model: onnx.ModelProto, graph: GraphDef, bound: Bound, walk: Walk) -> None:
    """Whole-model inference by onnx, on a model whose inputs are bound and whose own claims are left out.

    It changes `model`, which in the child is a copy already.
    """
    del model.graph.value_info[:]
    for info in model.graph.input:
        name = info.name if isinstance(info.name, str) else ""
        if name in bound.types and info.type.WhichOneof("value") == "tensor_type":
            _write_shape(info.type.tensor_type, bound.types[name])
    outputs = list(model.graph.output)
    del model.graph.output[:]  # not changed in place: `graph` knows them as declared
    for info in outputs:
        if not isinstance(info.name, str):  # bytes that are no UTF-8, which protobuf reads but does not write
            continue
        added = model.graph.output.add(name=info.name)
        if info.type.WhichOneof("value") != "tensor_type":
            added.type.CopyFrom(info.type)
    for tensor in model.graph.initializer:
        tensor.ClearField("data_location")
        del tensor.external_data[:]
    serialized = b""
    try:
        serialized = model.SerializeToString()
        inferred = onnx.shape_inference.infer_shapes(serialized, strict_mode=True, data_prop=True)
    except Exception as error:  # the walk asks of every node which it is, and says so
        walk.native_failure = printable(" ".join(str(error).split()), 200)
        walk.check_all = True
        try:
            inferred = onnx.shape_inference.infer_shapes(serialized, data_prop=True)
        except Exception:
            return
    # errors are not told of models with operators that onnx does not know
    walk.check_all |= any(schema_of(node.op_type, node.domain, node.version) is None for node in graph.nodes)
    _collect(inferred.graph, graph, walk.types)


def _write_shape(tensor: onnx.TypeProto.Tensor, known: TensorType) -> None:
    if known.shape is None:
        return
    tensor.ClearField("shape")
    tensor.shape.SetInParent()
    for size in known.shape:
        dim = tensor.shape.dim.add()
        if size is not None:
            dim.dim_value = size


def _collect(proto: onnx.GraphProto, graph: GraphDef, types: dict[str, TensorType]) -> None:
    """Copy the types that inference wrote into `proto` and its bodies; depth is bounded by protobuf's own limit."""
    read: dict[bytes, TensorType] = {}
    for info in (*proto.value_info, *proto.output):
        mark = info.type.SerializeToString()
        known = read.get(mark)
        if known is None:
            known = read[mark] = tensor_of(info.type)
        if known.dtype or known.shape is not None:
            types.setdefault(graph.path + text(info.name), known)
    with_bodies = {node.key: node for node in graph.nodes if node.bodies}
    if with_bodies:
        for node in proto.node:
            found = with_bodies.get(graph.path + node.output[0]) if node.output else None
            for attribute in node.attribute if found else ():
                if found and attribute.name in found.bodies:
                    _collect(attribute.g, found.bodies[attribute.name], types)


def _encode(walk: Walk) -> bytes:
    types: dict[tuple[object, ...], list[str]] = {}
    for name, known in walk.types.items():
        types.setdefault((known.dtype, known.shape), []).append(_plain(name))
    return msgspec.msgpack.encode(
        {
            "types": [(*known, names) for known, names in types.items()],
            "values": {
                _plain(n): (v.dtype.str, v.shape, np.ascontiguousarray(v).tobytes())
                for n, v in walk.values.items()
                if v.dtype.kind in "biuf" and v.dtype.isbuiltin == 1  # not those of ml_dtypes
            },
            "branches": {_plain(k): _plain(v) for k, v in walk.branches.items()},
            "trips": {_plain(k): v for k, v in walk.trips.items()},
            "problems": walk.problems,
            "invalid": [_plain(key) for key in walk.invalid],
        }
    )


def _plain(name: str) -> str:
    """A name that MessagePack can carry: lone surrogates moved into a private range and back."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("latin-1")


def _name(plain: str) -> str:
    return plain if plain.isascii() else plain.encode("latin-1").decode("utf-8", "surrogateescape")
