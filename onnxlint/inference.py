"""The walk over the nodes in execution order that carries small values and infers what they make known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from onnxlint.attributes import mark_of
from onnxlint.binding import Bound, tensor_of
from onnxlint.contrib_shapes import DOMAINS, contrib_types
from onnxlint.control_flow import infer_control_flow
from onnxlint.evaluation import WITHOUT_VALUES, evaluate
from onnxlint.resolved import GraphDef, NodeDef
from onnxlint.tensor import TensorType
from onnxlint.text import printable
from onnxlint.validity import schema_of, shapes_problem, types_problem
from onnxlint.values import Array, tensor_value

_MAX_REMEMBERED = 100_000
_EXTENDED_OPSET = 17
_MAX_PROBLEMS = 8
_MAX_VALUE_BYTES = 64 << 20
_Input = tuple[TensorType | None, Array | None] | None


class Walk:
    """One inference over a graph: `run` fills types, values, branches, trips and problems.

    `native` allows onnx's inference of single nodes, which may only happen where a crash is caught: `before_native`
    is called with the number of each such call, and those in `deadly` are left out, for the reason given. Without
    `evaluates` only what the file declares is taken over. `check_all` asks of nodes of known shapes too, for errors.
    """

    def __init__(
        self,
        graph: GraphDef,
        bound: Bound,
        *,
        native: bool,
        evaluates: bool = True,
        deadly: Mapping[int, str] | None = None,
        before_native: Callable[[int], None] = lambda number: None,
    ) -> None:
        self.graph, self.bound, self.native, self.evaluates = graph, bound, native, evaluates
        self.deadly, self.before_native = deadly or {}, before_native
        self.check_all = False
        # asked now: onnx's inference of the whole model writes into what the file declares
        self._is_fixed = all(bound.types.get(name) == tensor_of(graph.declared[name]) for name in graph.inputs)
        self._calls = self._value_bytes = self._unsaid = 0
        self.types: dict[str, TensorType] = dict(bound.types)
        self.values: dict[str, Array] = {}
        self.branches: dict[str, str] = {}
        self.trips: dict[str, int] = {}
        self.problems: list[str] = []
        self.native_failure = ""
        self.invalid: set[str] = set()
        self._remembered: dict[tuple[object, ...], list[TensorType | None] | str] = {}

    def run(self) -> None:
        """Walk the main graph."""
        self.walk(self.graph)
        self.problems += self._wrong_outputs()
        if self._unsaid:
            self.problems.append(f"{self._unsaid} more nodes contradict what they are given")
        if self.problems and self.bound.assumed:
            self.problems.append(f"it may be what was assumed: {', '.join(self.bound.assumed[:4])} (bind them)")
        if self.native_failure and any(not self.is_known(n) for node in self.graph.nodes for n in node.outputs if n):
            self.problems.append(f"ONNX's shape inference failed ({self.native_failure})")

    def walk(self, graph: GraphDef) -> None:
        """Infer one graph or body whose inputs' types are set."""
        for name, tensor in graph.initializers.items():
            self.types[name] = TensorType(tensor.data_type, tuple(tensor.dims))
            value = tensor_value(tensor)
            if value is not None:
                self.values[name] = value
        for name, sparse in graph.sparse.items():
            self.types[name] = TensorType(sparse.values.data_type, tuple(sparse.dims))
        for node in graph.nodes:
            try:
                if not self.evaluates:
                    pass
                elif node.bodies:
                    infer_control_flow(self, node)
                else:
                    self._node(node)
            except Exception as error:  # whatever a stranger's attributes provoke: what it writes stays unknown
                self._problem(node, f"can't be inferred ({type(error).__name__})")
            for name in node.outputs:
                if name and not self.is_known(name):
                    self._take_declared(graph, name)

    def _wrong_outputs(self) -> list[str]:
        """Values declared as another type than is computed; outputs in dims too, where the file fixes them all."""
        wrong = []
        outputs = frozenset(self.graph.outputs)
        for name, kind in self.graph.declared.items():
            known = self.types.get(name)
            if known is None:
                continue
            is_output = name in outputs
            if not is_output and kind.tensor_type.elem_type in (known.dtype, 0):
                continue
            declared = tensor_of(kind)
            other_type = 0 != declared.dtype != known.dtype != 0
            if other_type or (is_output and self._is_fixed and _are_other_dims(declared.shape, known.shape)):
                what = "output" if is_output else "value"
                wrong.append(f"the {what} {printable(name)!r} is declared as {declared} and computed as {known}")
        if len(wrong) > _MAX_PROBLEMS:
            wrong[_MAX_PROBLEMS:] = [f"{len(wrong) - _MAX_PROBLEMS} more values are declared as what they are not"]
        return wrong

    def _problem(self, node: NodeDef, what: str) -> None:
        self.invalid.add(node.key)
        line = f"the node {printable(node.key)!r} ({printable(node.op_type)}) {what}"
        if line in self.problems:
            return
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(line)
        else:
            self._unsaid += 1

    def _take_declared(self, graph: GraphDef, name: str) -> None:
        kind = graph.declared.get(name)
        if kind is None:
            return
        declared = tensor_of(kind, self.bound.symbols)
        known = self.types.get(name)
        if known is None or (declared.is_known and declared.dtype):
            self.types[name] = TensorType((known and known.dtype) or declared.dtype, declared.shape)

    def is_known(self, name: str) -> bool:
        """The value's element type and every dim are known."""
        known = self.types.get(name)
        return known is not None and known.dtype != 0 and known.is_known

    def _node(self, node: NodeDef) -> None:
        inputs = [self.types.get(name) for name in node.inputs]
        is_standard = node.domain == ""
        starts = node.op_type in WITHOUT_VALUES or (bool(node.inputs) and node.inputs[0] in self.values)
        if is_standard and starts and node.outputs and node.outputs[0]:
            values = [self.values.get(name) for name in node.inputs]
            while values and not node.inputs[len(values) - 1]:
                values.pop()  # an input left out is none, not one of unknown value
            value = evaluate(node.op_type, node.version, node.attributes, values, inputs)
            if value is not None:
                self._set_value(node.outputs[0], value)
        problem = shapes_problem(node.op_type, node.attributes, inputs) if is_standard else None
        if problem is not None:
            self._problem(node, problem)
        if node.version:
            dtypes = tuple([kind.dtype if kind is not None else 0 for kind in inputs])
            problem = types_problem(node.op_type, node.domain, node.version, dtypes)
            if problem is not None:
                self._problem(node, problem)
                return
        if all(self.is_known(name) for name in node.outputs if name) and not self.check_all:
            return
        if node.op_type == "Constant" and "value" in node.attributes:
            tensor = node.attributes["value"].t
            self.types[node.outputs[0]] = TensorType(tensor.data_type, tuple(tensor.dims))
        elif node.domain in DOMAINS:
            self._merge(node.outputs, contrib_types(node, inputs, self._extended))
        elif self.native:
            given = [(self.types.get(name), self.values.get(name)) if name else None for name in node.inputs]
            found = self._standard(node, node.op_type, node.domain, node.version, given)
            # ONNX Runtime puts some operators of its own into the default domain
            self._merge(node.outputs, found or contrib_types(node, inputs, self._extended))

    def _set_value(self, name: str, value: Array) -> None:
        self._value_bytes += value.nbytes
        if self._value_bytes > _MAX_VALUE_BYTES:
            return
        dtype = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        self.values[name] = value
        self.types[name] = TensorType(dtype, value.shape)

    def _merge(self, names: Iterable[str], found: Iterable[TensorType | None]) -> None:
        for name, new in zip(names, found, strict=False):
            if name and new is not None and (new.shape is not None or name not in self.types):
                self.types[name] = new

    def _standard(
        self, node: NodeDef, op_type: str, domain: str, version: int, inputs: Sequence[_Input]
    ) -> list[TensorType | None]:
        """The outputs' types by onnx's own inference of one node, as `op_type` of `domain`; equal calls asked once."""
        schema = schema_of(op_type, domain, version)
        if schema is None or not self.native:
            return []
        call = (
            *(op_type, domain, version, len(node.outputs)),
            tuple((name, mark_of(proto)) for name, proto in node.attributes.items()),
            tuple(given and (given[0], _bytes(given[1])) for given in inputs),
        )
        found = self._remembered.get(call)
        if found is None:
            found = self._called(node, schema, op_type, domain, version, inputs)
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered[call] = found
        if isinstance(found, str):
            if op_type == node.op_type and all(given is None or (given[0] and given[0].dtype) for given in inputs):
                self._problem(node, found)
            return []
        return found

    def _called(
        self,
        node: NodeDef,
        schema: onnx.defs.OpSchema,
        op_type: str,
        domain: str,
        version: int,
        inputs: Sequence[_Input],
    ) -> list[TensorType | None] | str:
        self._calls += 1
        if self._calls in self.deadly:
            return f"is left out: ONNX's shape inference of it {self.deadly[self._calls]}"
        self.before_native(self._calls)
        return _asked(node, schema, op_type, domain, version, inputs)

    def _extended(self, node: NodeDef, op_type: str, types: Sequence[TensorType | None]) -> list[TensorType | None]:
        """As the standard operator on inputs of these types."""
        return self._standard(node, op_type, "", _EXTENDED_OPSET, [(kind, None) for kind in types])


def _asked(
    node: NodeDef, schema: onnx.defs.OpSchema, op_type: str, domain: str, version: int, inputs: Sequence[_Input]
) -> list[TensorType | None] | str:
    """The outputs' types, or why onnx refuses the node."""
    proto = onnx.NodeProto(op_type=op_type, domain=domain)
    proto.input.extend(f"i{n}" if given else "" for n, given in enumerate(inputs))
    proto.output.extend(f"o{n}" if name else "" for n, name in enumerate(node.outputs))
    for name, attribute in node.attributes.items():
        if name in schema.attributes:
            copy = proto.attribute.add()
            copy.CopyFrom(attribute)
            copy.name = name
    types, data = {}, {}
    for n, given in enumerate(inputs):
        if given:
            types[f"i{n}"] = _type_proto(given[0])
            if given[1] is not None:
                data[f"i{n}"] = numpy_helper.from_array(np.ascontiguousarray(given[1]))
    try:
        imports = [onnx.helper.make_opsetid(domain, version)]
        found = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=imports)
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return f"contradicts what it is given: {printable(said, 160)}"
    return [tensor_of(found[f"o{n}"]) if f"o{n}" in found else None for n in range(len(node.outputs))]


def _are_other_dims(declared: tuple[int | None, ...] | None, known: tuple[int | None, ...] | None) -> bool:
    if declared is None or known is None:
        return False
    pairs = zip(declared, known, strict=False)
    return len(declared) != len(known) or any(a != b for a, b in pairs if a is not None and b is not None)


def _bytes(value: Array | None) -> object:
    return None if value is None else (value.dtype.str, value.shape, value.tobytes())


def _type_proto(known: TensorType | None) -> onnx.TypeProto:
    if known is None or not known.dtype:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(known.dtype, known.shape)
