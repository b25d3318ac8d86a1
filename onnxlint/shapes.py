"""Dims and dtypes for every value: ONNX's own inference in a child process, then small constants carried through.

The child first infers the whole model natively, then walks the nodes in order: it carries the values of small
constants (Shape → Gather → Concat → Reshape), takes the branch of an If whose condition they decide, and asks ONNX's
inference again, node by node, for what became known. What stays unknown is listed, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import onnx

from onnxlint import isolated
from onnxlint.binding import Bound, tensor_of
from onnxlint.inference import Walk
from onnxlint.scope import GraphDef
from onnxlint.tensor import TensorType
from onnxlint.values import Array


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is known of every value, by its resolved name.

    `branches` names the branch taken by each If whose condition is constant (node key → attribute); `trips` the
    constant trip count of each Loop or Scan; `incomplete` says what of the analysis failed and why.
    """

    types: dict[str, TensorType]
    values: dict[str, Array]
    branches: dict[str, str]
    trips: dict[str, int]
    incomplete: tuple[str, ...] = ()


class _Answer(msgspec.Struct):
    types: dict[str, tuple[int, tuple[int | None, ...] | None]]
    values: dict[str, tuple[str, tuple[int, ...], bytes]]
    branches: dict[str, str]
    trips: dict[str, int]
    problems: list[str]


def infer(proto: onnx.ModelProto, graph: GraphDef, bound: Bound, limits: isolated.Limits | None = None) -> Shapes:
    """Infer the type of every value of `graph` with the inputs bound; native code runs in a child, within `limits`."""
    onnx.defs.has("Identity")  # fills onnx's tables, which every child would else do again
    try:
        raw = isolated.call(lambda: _encode(_walk(proto, graph, bound, native=True)), limits or isolated.Limits())
        answer = msgspec.msgpack.decode(raw, type=_Answer)
    except isolated.ChildDied as died:
        answer = msgspec.msgpack.decode(_encode(_walk(proto, graph, bound, native=False)), type=_Answer)
        answer.problems.append(f"ONNX's shape inference {died}: shapes are those that the file declares")
    return Shapes(
        {_name(name): TensorType(dtype, shape) for name, (dtype, shape) in answer.types.items()},
        {
            _name(name): np.frombuffer(data, dtype=dtype).reshape(shape)
            for name, (dtype, shape, data) in answer.values.items()
        },
        {_name(key): _name(branch) for key, branch in answer.branches.items()},
        {_name(key): trips for key, trips in answer.trips.items()},
        tuple(answer.problems),
    )


def _walk(proto: onnx.ModelProto, graph: GraphDef, bound: Bound, *, native: bool) -> Walk:
    walk = Walk(graph, bound, native=native)
    if native:
        _infer_natively(proto, graph, bound, walk)
    walk.run()
    return walk


def _infer_natively(model: onnx.ModelProto, graph: GraphDef, bound: Bound, walk: Walk) -> None:
    """Whole-model inference by onnx, on a model whose inputs are bound and whose own claims are left out.

    It changes `model`, which in the child is a copy already.
    """
    del model.graph.value_info[:]
    for info in model.graph.input:
        name = info.name if isinstance(info.name, str) else ""
        if name in bound.types and info.type.WhichOneof("value") == "tensor_type":
            _write_shape(info.type.tensor_type, bound.types[name])
    outputs = [(info, info.type.tensor_type.elem_type) for info in model.graph.output]
    del model.graph.output[:]  # not changed in place: `graph` knows them as declared
    for info, element in outputs:
        if not isinstance(info.name, str):  # bytes that are no UTF-8, which protobuf reads but does not write
            continue
        added = model.graph.output.add(name=info.name)
        if info.type.WhichOneof("value") == "tensor_type":
            added.type.tensor_type.elem_type = element
        else:
            added.type.CopyFrom(info.type)
    for tensor in model.graph.initializer:
        tensor.ClearField("data_location")
        del tensor.external_data[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # the walk goes on node by node, and reports what stays unknown
        said = str(error).strip().splitlines() or [""]
        walk.native_failure = f"{type(error).__name__}: {said[0][:200]}"
        return
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
    for info in (*proto.value_info, *proto.output):
        name = info.name if isinstance(info.name, str) else info.name.decode("utf-8", "surrogateescape")
        known = tensor_of(info.type)
        if known.dtype or known.shape is not None:
            types.setdefault(graph.path + name, known)
    with_bodies = {node.key: node for node in graph.nodes if node.bodies}
    if with_bodies:
        for node in proto.node:
            found = with_bodies.get(graph.path + node.output[0]) if node.output else None
            for attribute in node.attribute if found else ():
                if found and attribute.name in found.bodies:
                    _collect(attribute.g, found.bodies[attribute.name], types)


def _encode(walk: Walk) -> bytes:
    return msgspec.msgpack.encode(
        {
            "types": {_plain(n): (t.dtype, t.shape) for n, t in walk.types.items()},
            "values": {
                _plain(n): (v.dtype.str, v.shape, np.ascontiguousarray(v).tobytes())
                for n, v in walk.values.items()
                if v.dtype.kind in "biuf"
            },
            "branches": {_plain(k): _plain(v) for k, v in walk.branches.items()},
            "trips": {_plain(k): v for k, v in walk.trips.items()},
            "problems": walk.problems,
        }
    )


def _plain(name: str) -> str:
    """A name that MessagePack can carry: lone surrogates moved into a private range and back."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("latin-1")


def _name(plain: str) -> str:
    return plain if plain.isascii() else plain.encode("latin-1").decode("utf-8", "surrogateescape")
