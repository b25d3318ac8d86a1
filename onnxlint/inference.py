"""The walk over the nodes in execution order that carries small values and infers what they make known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from onnxlint.binding import Bound, tensor_of
from onnxlint.contrib_shapes import contrib_types
from onnxlint.scope import GraphDef, NodeDef
from onnxlint.tensor import INT64, TensorType
from onnxlint.values import Array, attribute, evaluate, tensor_value

_BOOL = 9


class Walk:
    """One inference over a graph: `run` fills types, values, branches, trips and problems.

    `native` allows onnx's inference of single nodes, which may only happen where a crash is caught.
    """

    def __init__(self, graph: GraphDef, bound: Bound, *, native: bool) -> None:
        self.graph, self.bound, self.native = graph, bound, native
        self.types: dict[str, TensorType] = dict(bound.types)
        self.values: dict[str, Array] = {}
        self.branches: dict[str, str] = {}
        self.trips: dict[str, int] = {}
        self.problems: list[str] = []
        self.native_failure = ""
        self._schemas: dict[tuple[str, str, int], onnx.defs.OpSchema | None] = {}

    def run(self) -> None:
        """Walk the main graph."""
        self._graph(self.graph)
        if self.native_failure and any(not self._is_known(n) for node in self.graph.nodes for n in node.outputs if n):
            self.problems.append(f"ONNX's shape inference failed ({self.native_failure})")

    def _graph(self, graph: GraphDef) -> None:
        for name, tensor in graph.initializers.items():
            self.types[name] = TensorType(tensor.data_type, tuple(tensor.dims))
            value = tensor_value(tensor)
            if value is not None:
                self.values[name] = value
        for name, sparse in graph.sparse.items():
            self.types[name] = TensorType(sparse.values.data_type, tuple(sparse.dims))
        for node in graph.nodes:
            if node.bodies:
                self._control_flow(node)
            else:
                self._node(node)
            for name in node.outputs:
                if name and not self._is_known(name):
                    self._take_declared(graph, name)

    def _take_declared(self, graph: GraphDef, name: str) -> None:
        kind = graph.declared.get(name)
        if kind is None:
            return
        declared = tensor_of(kind, self.bound.symbols)
        known = self.types.get(name)
        if known is None or (declared.is_known and declared.dtype):
            self.types[name] = declared

    def _is_known(self, name: str) -> bool:
        known = self.types.get(name)
        return known is not None and known.dtype != 0 and known.is_known

    def _node(self, node: NodeDef) -> None:
        inputs = [self.types.get(name) for name in node.inputs]
        if node.domain == "" and node.outputs and node.outputs[0]:
            values = [self.values.get(name) for name in node.inputs]
            value = evaluate(node.op_type, node.version, node.attributes, values, inputs)
            if value is not None:
                self._set_value(node.outputs[0], value)
        if all(self._is_known(name) for name in node.outputs if name):
            return
        if node.op_type == "Constant" and "value" in node.attributes:
            tensor = node.attributes["value"].t
            self.types[node.outputs[0]] = TensorType(tensor.data_type, tuple(tensor.dims))
        elif node.domain in ("com.microsoft", "com.microsoft.nchwc"):
            self._merge(node.outputs, contrib_types(node, inputs, self._standard))
        elif self.native:
            self._merge(node.outputs, self._standard(node, node.op_type, node.domain, node.version, node.inputs))

    def _set_value(self, name: str, value: Array) -> None:
        dtype = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        self.values[name] = value
        self.types[name] = TensorType(dtype, value.shape)

    def _merge(self, names: Iterable[str], found: Iterable[TensorType | None]) -> None:
        for name, new in zip(names, found, strict=False):
            if name and new is not None and (new.shape is not None or name not in self.types):
                self.types[name] = new

    def _standard(
        self, node: NodeDef, op_type: str, domain: str, version: int, inputs: tuple[str, ...]
    ) -> list[TensorType | None]:
        """The outputs' types by onnx's own inference of one node, as `op_type` of `domain`."""
        schema = self._schema(op_type, domain, version)
        if schema is None or not self.native:
            return []
        proto = onnx.NodeProto(op_type=op_type, domain=domain)
        proto.input.extend(f"i{n}" if name else "" for n, name in enumerate(inputs))
        proto.output.extend(f"o{n}" if name else "" for n, name in enumerate(node.outputs))
        for name, attribute_proto in node.attributes.items():
            if name in schema.attributes:
                copy = proto.attribute.add()
                copy.CopyFrom(attribute_proto)
                copy.name = name
        types, data = {}, {}
        for n, name in enumerate(inputs):
            if name:
                types[f"i{n}"] = _type_proto(self.types.get(name))
                if name in self.values:
                    data[f"i{n}"] = numpy_helper.from_array(np.ascontiguousarray(self.values[name]))
        try:
            imports = [onnx.helper.make_opsetid(domain, version)]
            found = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=imports)
        except Exception:  # what onnx refuses to infer stays unknown, and is listed as such
            return []
        return [tensor_of(found[f"o{n}"]) if f"o{n}" in found else None for n in range(len(node.outputs))]

    def _schema(self, op_type: str, domain: str, version: int) -> onnx.defs.OpSchema | None:
        key = (op_type, domain, version)
        if key not in self._schemas:
            try:
                self._schemas[key] = onnx.defs.get_schema(op_type, version or 1, domain)
            except onnx.defs.SchemaError:
                self._schemas[key] = None
        return self._schemas[key]

    def _control_flow(self, node: NodeDef) -> None:
        if node.op_type == "If":
            self._if(node)
        elif node.op_type == "Loop" and "body" in node.bodies:
            self._loop(node, node.bodies["body"])
        elif node.op_type == "Scan" and "body" in node.bodies:
            self._scan(node, node.bodies["body"])
        else:
            for body in node.bodies.values():
                self._graph(body)

    def _if(self, node: NodeDef) -> None:
        condition = self.values.get(node.inputs[0]) if node.inputs else None
        if condition is not None and condition.size == 1:
            taken = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
            if taken in node.bodies:
                self.branches[node.key] = taken
                body = node.bodies[taken]
                self._graph(body)
                for name, inner in zip(node.outputs, body.outputs, strict=False):
                    if name and inner in self.types:
                        self.types[name] = self.types[inner]
                    if name and inner in self.values:
                        self.values[name] = self.values[inner]
                return
        results = []
        for body in node.bodies.values():
            self._graph(body)
            results.append([self.types.get(name) for name in body.outputs])
        for name, kinds in zip(node.outputs, zip(*results, strict=False), strict=False):
            if name and not self._is_known(name) and all(kinds):
                self.types[name] = _common([kind for kind in kinds if kind])

    def _loop(self, node: NodeDef, body: GraphDef) -> None:
        """Inputs: trip count, condition, carried…; body: iteration, condition, carried… → condition, carried…, scans…."""
        trips = self.values.get(node.inputs[0]) if node.inputs and node.inputs[0] else None
        condition = self.values.get(node.inputs[1]) if len(node.inputs) > 1 else None
        runs_on = condition is None or bool(condition.reshape(-1)[0])
        if trips is not None and trips.size == 1 and runs_on:
            self.trips[node.key] = max(0, int(trips.reshape(-1)[0]))
        carried = node.inputs[2:]
        for name, kind in zip(body.inputs, (TensorType(INT64, ()), TensorType(_BOOL, ())), strict=False):
            self.types[name] = kind
        for name, outer in zip(body.inputs[2:], carried, strict=False):
            if outer in self.types:
                self.types[name] = self.types[outer]
        self._graph(body)
        count = self.trips.get(node.key)
        for index, name in enumerate(node.outputs):
            inner = self.types.get(body.outputs[index + 1]) if index + 1 < len(body.outputs) else None
            if name and inner and not self._is_known(name):
                is_scan = index >= len(carried)
                shape = inner.shape if not is_scan or inner.shape is None else (count, *inner.shape)
                self.types[name] = TensorType(inner.dtype, shape)

    def _scan(self, node: NodeDef, body: GraphDef) -> None:
        """Inputs: states…, scanned…; body: states…, elements… → states…, scans…; axes as opset 9 and later."""
        scanned = int(attribute(node.attributes, "num_scan_inputs", 1))
        states = len(node.inputs) - scanned
        axes = list(attribute(node.attributes, "scan_input_axes", None) or [0] * scanned)
        count: int | None = None
        for index, (name, outer) in enumerate(zip(body.inputs, node.inputs, strict=False)):
            kind = self.types.get(outer)
            if kind is None:
                continue
            if index < states or kind.shape is None:
                self.types[name] = kind
                continue
            axis = axes[index - states] % len(kind.shape) if kind.shape and index - states < len(axes) else 0
            count = kind.shape[axis] if kind.shape else None
            self.types[name] = TensorType(kind.dtype, kind.shape[:axis] + kind.shape[axis + 1 :])
        if count is not None:
            self.trips[node.key] = count
        self._graph(body)
        for index, name in enumerate(node.outputs):
            inner = self.types.get(body.outputs[index]) if index < len(body.outputs) else None
            if name and inner and not self._is_known(name):
                shape = inner.shape if index < states or inner.shape is None else (count, *inner.shape)
                self.types[name] = TensorType(inner.dtype, shape)


def _type_proto(known: TensorType | None) -> onnx.TypeProto:
    if known is None or not known.dtype:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(known.dtype, known.shape)


def _common(kinds: list[TensorType]) -> TensorType:
    first = kinds[0]
    if any(kind.shape is None or first.shape is None or len(kind.shape) != len(first.shape) for kind in kinds):
        return TensorType(first.dtype, None)
    columns = zip(*(kind.shape for kind in kinds if kind.shape is not None), strict=True)
    return TensorType(first.dtype, tuple(column[0] if len(set(column)) == 1 else None for column in columns))
