"""The values of a model's stored tensors, read one at a time, when a rule asks for them and not before.

`never` reads none. `auto` reads what lies in the model file itself, where all weights together have at most
AUTO_MAX_MB. `always` reads whatever their size, and external data too: by `open_weights`, inside the model's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import onnx
from onnx import numpy_helper

from onnxlint.external import ExternalDataError, is_external, needed_bytes, open_weights, place_of
from onnxlint.filebytes import identity_of, open_regular, read_at
from onnxlint.graph import Graph, Node
from onnxlint.load import LoadedModel
from onnxlint.resolved import GraphDef
from onnxlint.rows import SLICED, Rows, is_finite
from onnxlint.stored import PLAIN, held_bytes, widened
from onnxlint.tensor import QUANTIZED, WIDE_FLOATS
from onnxlint.text import text
from onnxlint.values import Array
from onnxlint.wire import LENGTH_KEY, OFFSET_KEY

Mode = Literal["auto", "never", "always"]
AUTO_MAX_MB = 128
"""`auto` reads weights of at most so many megabytes: ResNet-50's in fp32 are 102."""
MAX_TENSOR_MB = 2048
"""A larger tensor is not read."""
WHOLE_MB = 256
"""One that takes more in memory is read in slices, by what can work on those."""
_DTYPES = WIDE_FLOATS | QUANTIZED
_MAX_STEPS = 8
_MISSING = "it is missing"
_T = TypeVar("_T")


class _Unreadable(Exception):
    """A tensor's values can't be had; `str()` says why."""


@dataclass(eq=False)
class WeightValues:
    """Values by name: `weights(name)` is an array that must not be written to, None where they can't be had.

    Narrow floats come as float32, integers of fewer than 8 bits as int8 or uint8. `why_not` says why none is read at
    all. `told` is called with the bytes read so far and all there are.
    """

    graph: Graph | None = None
    tensors: Mapping[str, onnx.TensorProto] = field(default_factory=dict)
    mode: Mode = "never"
    source: LoadedModel | None = None
    told: Callable[[int, int], None] | None = None
    unread: dict[str, str] = field(default_factory=dict)
    _measured: dict[tuple[Callable[[Any], Any], str], Any] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _done: int = 0
    _descriptor: int | None = None

    @cached_property
    def total_bytes(self) -> int:
        """Bytes of all weights as stored."""
        return sum(needed_bytes(tensor) or 0 for tensor in self.tensors.values())

    @cached_property
    def why_not(self) -> str:
        """Why no value is read, in words; empty where they are."""
        if self.mode == "never":
            return "--weights never"
        if not self.tensors or self.mode == "always":
            return ""
        if self.total_bytes > AUTO_MAX_MB * 1e6:
            return f"{self.total_bytes / 1e6:.0f} MB of weights, above {AUTO_MAX_MB}: --weights always reads them"
        if all(map(is_external, self.tensors.values())):
            return f"the weights are external data: {self._external}"
        return ""

    def __call__(self, name: str) -> Array | None:
        """The value of a weight, or of what Identity, Transpose, Cast or DequantizeLinear makes of one."""
        steps: list[Node] = []
        while name not in self.tensors and self.graph is not None:
            node = self.graph.producer(name)
            if node is None or node.role != "constant" or node.op_type not in _STEPS or len(steps) >= _MAX_STEPS:
                break
            steps.append(node)
            name = node.inputs[0]
        value = self._value(name)
        for node in reversed(steps):
            value = _STEPS[node.op_type](self, node, value) if value is not None else None
        return value

    def measured(self, measure: Callable[[Any], _T], name: str) -> _T | None:
        """What `measure` makes of a weight, computed once; None where the values can't be had or are not finite."""
        key = (measure, name)
        if key not in self._measured:
            rows = self._rows(name) if measure in SLICED else None
            value = self(name) if rows is None else rows
            try:
                usable = value is not None and value.size and is_finite(value)
                self._measured[key] = measure(value) if usable else None
            except (_Unreadable, ExternalDataError, OSError) as error:
                self.unread.setdefault(name, str(error))
                self._measured[key] = None
        found: _T | None = self._measured[key]
        return found

    def small(self, name: str) -> Array | None:
        """The value of a scale or zero point: a small constant of the graph, or a weight."""
        known = self.graph.values.get(name) if self.graph is not None else None
        return self._value(name) if known is None else known

    def note(self) -> str:
        """What must be said of values that were asked for and not had."""
        if not self.unread:
            return ""
        reasons = list(dict.fromkeys(self.unread.values()))
        if reasons == [f"external data: {_MISSING}"]:
            return ""  # that is said of the file already
        first = reasons[0]
        return f"the values of {len(self.unread)} of {len(self.tensors)} weights could not be read ({first})"

    def close(self) -> None:
        """Let go of the model file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def _external(self) -> str:
        lacks = self.source is not None and self.source.lacks_external
        return _MISSING if lacks else "--weights always opens it"

    def _value(self, name: str) -> Array | None:
        tensor = self.tensors.get(name)
        if tensor is None or self.why_not:
            return None
        try:
            value = self._decoded(tensor)
        except (_Unreadable, ExternalDataError, OSError) as error:
            self.unread.setdefault(name, str(error))
            return None
        except Exception as error:  # every malformed tensor raises something else
            self.unread.setdefault(name, type(error).__name__)
            return None
        if name not in self._read:
            self._read.add(name)
            self._done += needed_bytes(tensor) or 0
        if self.told is not None:
            self.told(self._done, self.total_bytes)
        return value

    def _decoded(self, tensor: onnx.TensorProto) -> Array:
        needed = needed_bytes(tensor)
        if needed is None or needed > MAX_TENSOR_MB << 20:
            raise _Unreadable(f"more than {MAX_TENSOR_MB} MiB")
        if held_bytes(tensor) > WHOLE_MB << 20:
            raise _Unreadable(f"more than {WHOLE_MB} MiB behind a cast, a transposition or scales")
        stored = self._stored(tensor, needed)
        if stored is None:
            value = numpy_helper.to_array(tensor)
        elif len(stored) != needed:
            raise _Unreadable("fewer bytes than the dims take")
        elif tensor.data_type in PLAIN:
            value = np.frombuffer(stored, PLAIN[tensor.data_type]).reshape(tuple(tensor.dims))
        else:
            whole = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=bytes(stored))
            value = numpy_helper.to_array(whole)
        return widened(value, tensor.data_type)

    def _rows(self, name: str) -> Rows | None:
        """A tensor that is not held whole, by rows; None for every other."""
        tensor = self.tensors.get(name)
        if tensor is None or self.why_not or held_bytes(tensor) <= WHOLE_MB << 20:
            return None
        needed = needed_bytes(tensor) or 0
        if tensor.data_type not in PLAIN or needed > MAX_TENSOR_MB << 20 or len(tensor.dims) < 1:
            return None

        def read(start: int, length: int) -> bytes | memoryview:
            stored = self._stored(tensor, needed, start, length)
            if stored is None or len(stored) != length:
                raise _Unreadable("fewer bytes than the dims take")
            return stored

        dtype = tensor.data_type
        return Rows(tuple(tensor.dims), PLAIN[dtype], read, lambda value: widened(value, dtype))

    def _stored(
        self, tensor: onnx.TensorProto, needed: int, start: int = 0, most: int | None = None
    ) -> bytes | memoryview | None:
        """The tensor's bytes, `most` of them from `start`; None where the message itself holds them."""
        if is_external(tensor):
            if self.mode != "always":
                raise _Unreadable(f"external data: {self._external}")
            if self.source is None or self.source.data is not None:
                raise _Unreadable("external data of a model without a folder")
            place = place_of(tensor)
            with open_weights(Path(self.source.path).parent, place.location, place.offset, needed) as opened:
                return opened.read(start, most)
        marks = {text(entry.key): text(entry.value) for entry in tensor.external_data}
        if OFFSET_KEY not in marks:
            return None
        offset, length = int(marks[OFFSET_KEY]), int(marks[LENGTH_KEY])
        if start or most is not None:
            offset, length = offset + start, min(length - start, length if most is None else most)
        if self.source is None:
            raise _Unreadable("the file is not at hand")
        if self.source.data is not None:
            return memoryview(self.source.data)[offset : offset + length]
        return read_at(self._file(self.source), offset, length)

    def _file(self, source: LoadedModel) -> int:
        """A descriptor of the model file, if it is still the one that was read."""
        if self._descriptor is None:
            descriptor = open_regular(source.path)
            if identity_of(os.fstat(descriptor)) != source.identity:
                os.close(descriptor)
                raise _Unreadable("the file has been changed since")
            self._descriptor = descriptor
        return self._descriptor


NO_WEIGHTS = WeightValues()


def weight_values(definition: GraphDef, graph: Graph, mode: Mode, source: LoadedModel | None) -> WeightValues:
    """The values of the main graph's initializers and Constant nodes; `source` is where cut tensors lie."""
    tensors = {name: tensor for name, tensor in definition.initializers.items() if tensor.data_type in _DTYPES}
    for node in definition.nodes:
        if node.op_type == "Constant" and not node.domain and "value" in node.attributes and node.outputs:
            tensor = node.attributes["value"].t
            if tensor.data_type in _DTYPES:
                tensors[node.outputs[0]] = tensor
    return WeightValues(graph, tensors, mode, source)


def _dequantized(weights: WeightValues, node: Node, value: Array) -> Array | None:
    """The floats behind integer weights; None for blocks and unknown scales."""
    if node.attr("block_size", 0) or len(node.inputs) < 2 or 4 * value.size > WHOLE_MB << 20:
        return None
    scale, zero = (weights.small(name) if name else None for name in (*node.inputs[1:], "")[:2])
    if scale is None or (zero is None and len(node.inputs) > 2 and node.inputs[2]):
        return None
    axis = int(node.attr("axis", 1)) % max(1, value.ndim)
    shape = [-1 if dim == axis else 1 for dim in range(value.ndim)] if scale.size > 1 else []
    if scale.size > 1 and scale.size != value.shape[axis]:
        return None
    moved: Array = value.astype(np.float32)
    if zero is not None:
        moved -= zero.astype(np.float32).reshape(shape)
    moved *= scale.astype(np.float32).reshape(shape)
    return moved


def _transposed(_: WeightValues, node: Node, value: Array) -> Array | None:
    perm = node.attr("perm")
    return value.transpose(perm) if perm is None or sorted(perm) == list(range(value.ndim)) else None


def _cast(_: WeightValues, node: Node, value: Array) -> Array | None:
    return value if node.attr("to", 0) in WIDE_FLOATS and value.dtype.kind == "f" else None


_STEPS: dict[str, Callable[[WeightValues, Node, Array], Array | None]] = {
    "Identity": lambda _, __, value: value,
    "Transpose": _transposed,
    "Cast": _cast,
    "DequantizeLinear": _dequantized,
}
"""Operators between a stored tensor and what a layer reads."""
