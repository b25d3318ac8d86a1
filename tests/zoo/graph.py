"""Graph builder: names, shapes, weights and nodes of one ONNX model under construction.

Shapes are tracked here, by the caller's formulas, and never taken from ONNX shape inference; the test of the zoo
compares the two.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Dim = int | str
Shape = tuple[Dim, ...]
Weights = Literal["absent", "constant"]
Role = Literal["weight", "bias", "scale", "mean", "variance"]

#: weights of at most this many elements are stored by value
SMALL = 256
WEIGHTS_FILE = "weights.bin"


class Options(TypedDict, total=False):
    """Options that every builder of the zoo accepts."""

    weights: Weights
    fold_batchnorm: bool
    batch: Dim
    opset: int


def draw(rng: np.random.Generator, role: Role, shape: Sequence[int], fan_in: int) -> NDArray[np.float32]:
    """Seeded values for a parameter: He-scaled weights, scales and variances around one, the rest small."""
    if role == "weight":
        values = rng.standard_normal(shape) * math.sqrt(2.0 / max(fan_in, 1))
    elif role in ("scale", "variance"):
        values = rng.uniform(0.8, 1.2, shape)
    else:
        values = rng.standard_normal(shape) * 0.02
    return np.asarray(values, dtype=np.float32)


class GraphBuilder:
    """Collects nodes and initializers; values are named by strings and their shapes kept in `shapes`."""

    def __init__(
        self,
        name: str,
        *,
        weights: Weights = "absent",
        fold_batchnorm: bool = True,
        batch: Dim = 1,
        opset: int = 17,
    ) -> None:
        self.name = name
        self.weights: Weights = weights
        self.fold_batchnorm = fold_batchnorm
        self.batch: Dim = batch
        self.opset = opset
        self.shapes: dict[str, Shape] = {}
        self.scope = ""
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._counts: Counter[str] = Counter()
        self._rng = np.random.default_rng(0)
        self._offset = 0

    def at(self, scope: str) -> None:
        """Name the nodes and weights that follow after a module path such as `stage2.0`."""
        self.scope = scope

    def _unique(self, stem: str) -> str:
        base = f"{self.scope}/{stem}" if self.scope else stem
        number = self._counts[base]
        self._counts[base] += 1
        return f"{base}_{number}" if number else base

    def input(self, name: str, shape: Sequence[Dim], dtype: int = TensorProto.FLOAT) -> str:
        """Declare a graph input of batch size `self.batch` followed by `shape`."""
        full: Shape = (self.batch, *shape)
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(full)))
        self.shapes[name] = full
        return name

    def op(self, kind: str, inputs: Sequence[str], shape: Sequence[Dim], **attributes: Any) -> str:
        """Add a node of one output with the given shape."""
        return self.op_many(kind, inputs, [shape], **attributes)[0]

    def op_many(
        self, kind: str, inputs: Sequence[str], shapes: Sequence[Sequence[Dim]], **attributes: Any
    ) -> list[str]:
        """Add a node whose outputs have the given shapes."""
        name = self._unique(kind)
        outputs = [f"/{name}_output_{number}" for number in range(len(shapes))]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, name=f"/{name}", **attributes))
        for output, shape in zip(outputs, shapes, strict=True):
            self.shapes[output] = tuple(shape)
        return outputs

    def constant(self, values: Any, dtype: type[np.generic] = np.float32) -> str:
        """A Constant node; scalars and shapes are not counted as parameters."""
        array = np.asarray(values, dtype=dtype)
        return self.op("Constant", [], array.shape, value=numpy_helper.from_array(array))

    def integers(self, values: int | Sequence[int]) -> str:
        """A Constant node of int64 values."""
        return self.constant(values, np.int64)

    def parameter(self, stem: str, shape: Sequence[int], role: Role = "weight", fan_in: int = 1) -> str:
        """A learned tensor: stored by value when small, else absent or produced by a ConstantOfShape node."""
        name = self._unique(stem)
        size = math.prod(shape)
        self.shapes[name] = tuple(shape)
        if size <= SMALL:
            array = draw(self._rng, role, shape, fan_in)
            self._initializers.append(numpy_helper.from_array(array, name))
        elif self.weights == "constant":
            value = {"weight": 1.0 / max(fan_in, 1), "scale": 1.0, "variance": 1.0}.get(role, 0.0)
            fill = numpy_helper.from_array(np.array([value], dtype=np.float32))
            dims = numpy_helper.from_array(np.array(shape, dtype=np.int64), f"{name}.shape")
            self._initializers.append(dims)
            self._nodes.append(
                helper.make_node("ConstantOfShape", [dims.name], [name], name=f"/{name}/ConstantOfShape", value=fill)
            )
        else:
            self._initializers.append(self._absent(name, shape, size * 4))
        return name

    def _absent(self, name: str, shape: Sequence[int], length: int) -> onnx.TensorProto:
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        for key, text in (("location", WEIGHTS_FILE), ("offset", str(self._offset)), ("length", str(length))):
            tensor.external_data.add(key=key, value=text)
        self._offset += length
        return tensor

    def channels(self, x: str) -> int:
        """The size of axis 1."""
        return self.size(x, 1)

    def size(self, x: str, axis: int) -> int:
        """The size of an axis that must be static."""
        dim = self.shapes[x][axis]
        if not isinstance(dim, int):
            raise ValueError(f"axis {axis} of {x} is symbolic: {dim}")
        return dim

    def finish(self, *outputs: str) -> onnx.ModelProto:
        """The model with the given outputs, checked as far as weights that are not there allow."""
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(self.shapes[name])) for name in outputs]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, infos, self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="zoo")
        model.ir_version = 8
        onnx.checker.check_model(without_initializers(model) if self._offset else model)
        return model


def without_initializers(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its initializers turned into inputs, for the checker, which would open their absent file."""
    stripped = onnx.ModelProto()
    stripped.CopyFrom(model)
    del stripped.graph.initializer[:]
    for tensor in model.graph.initializer:
        stripped.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    return stripped
