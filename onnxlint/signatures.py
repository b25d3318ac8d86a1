"""What a model declares and calls: names given twice, element types that there are not, calls that do not fit.

Each function says what is wrong, in words; runtimes refuse such a model, or take it each in its own way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx

from onnxlint.attributes import Attributes, attribute
from onnxlint.resolved import GraphDef
from onnxlint.tensor import is_element_type
from onnxlint.text import printable, text

_FIRST_SCAN_OF_AXES = 9


def function_problems(functions: Iterable[onnx.FunctionProto]) -> Iterator[str]:
    """What is wrong with the model's functions themselves."""
    seen: set[tuple[str, str, str]] = set()
    for function in functions:
        key = (text(function.domain), text(function.name), text(function.overload))
        name = printable(key[1], 60)
        if key in seen:
            yield f"the function {name!r} is there twice"
        seen.add(key)
        for what, names in (("input", function.input), ("output", function.output)):
            twice = _twice(map(text, names))
            if twice is not None:
                yield f"the function {name!r} has its {what} {printable(twice, 60)!r} twice"


def graph_problems(graph: onnx.GraphProto) -> Iterator[str]:
    """What is wrong with what a graph or body declares."""
    twice = _twice(text(info.name) for info in graph.input)
    if twice is not None:
        yield f"the input {printable(twice, 60)!r} is there twice"
    tensors = [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]
    # runtimes take the last of two alike
    twice = _twice(name for name, _, _ in {(text(t.name), t.data_type, tuple(t.dims)) for t in tensors})
    if twice is not None:
        yield f"the initializer {printable(twice, 60)!r} is there twice, and differently"
    for tensor in tensors:
        if not is_element_type(tensor.data_type):
            yield f"the initializer {printable(text(tensor.name), 60)!r} {_of_no_type(tensor.data_type)}"


def input_problems(graph: onnx.GraphProto) -> Iterator[str]:
    """The main graph's inputs whose elements are of no type that ONNX has; a body's take those that it is given."""
    for info in graph.input:
        if info.type.WhichOneof("value") == "tensor_type" and not is_element_type(info.type.tensor_type.elem_type):
            yield f"the input {printable(text(info.name), 60)!r} {_of_no_type(info.type.tensor_type.elem_type)}"


def call_problem(function: onnx.FunctionProto, inputs: Sequence[str], outputs: Sequence[str]) -> str | None:
    """How a call does not fit the function; both may leave out the last."""
    for what, actual, formal in (("inputs", inputs, function.input), ("outputs", outputs, function.output)):
        if len(actual) > len(formal):
            return f"has {len(actual)} {what}, the function of its name {len(formal)}"
    return None


def bodies_problem(
    op_type: str,
    version: int,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Attributes,
    bodies: Mapping[str, GraphDef],
) -> str | None:
    """How a node of the default domain does not fit its bodies."""
    given, made = _ends_of_bodies(op_type, version, len(inputs), len(outputs))
    if given is None:
        return None
    for name, body in bodies.items():
        for what, count, needed in (("inputs", len(body.inputs), given), ("outputs", len(body.outputs), made)):
            if count != needed:
                return f"needs {needed} {what} of its {printable(name, 60)}, which has {count}"
    if op_type == "Scan" and not 1 <= attribute(attributes, "num_scan_inputs", 1) <= len(inputs):
        return f"scans {attribute(attributes, 'num_scan_inputs', 1)} of {len(inputs)} inputs"
    return None


def _ends_of_bodies(op_type: str, version: int, inputs: int, outputs: int) -> tuple[int | None, int]:
    if op_type == "If":
        return 0, outputs
    if op_type == "Loop":
        return max(2, inputs), outputs + 1
    if op_type == "SequenceMap" or (op_type == "Scan" and version >= _FIRST_SCAN_OF_AXES):
        return inputs, outputs
    return None, 0


def _twice(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1 and name), None)


def _of_no_type(dtype: int) -> str:
    return f"has the element type {dtype}, which ONNX does not have" if dtype else "has no element type"
