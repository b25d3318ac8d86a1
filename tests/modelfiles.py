"""Small models for tests: built from ONNX text or with onnx.helper, written to files, linted through the API."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'


def parse(text: str, header: str = HEADER) -> onnx.ModelProto:
    """A model from ONNX text; the header is added where the text has none."""
    return onnx.parser.parse_model(text if text.lstrip().startswith("<") else header + text)


def relu(name: str = "x", output: str = "y", dims: Sequence[Any] = (1, 3, 8, 8)) -> onnx.ModelProto:
    """One Relu from `name` to `output`."""
    return model_of([helper.make_node("Relu", [name], [output])], {name: dims}, {output: dims})


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[Any] | None],
    outputs: dict[str, Sequence[Any] | None],
    initializers: Sequence[onnx.TensorProto] = (),
    opset: int = 17,
    ir_version: int = 8,
    **options: Any,
) -> onnx.ModelProto:
    """A model of float tensors, unchecked; dims may be symbols, None, or any number."""
    graph = helper.make_graph(
        list(nodes), "g", [_info(n, d) for n, d in inputs.items()], [_info(n, d) for n, d in outputs.items()],
        list(initializers),
    )  # fmt: skip
    opsets = options.pop("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, **options)


def _info(name: str, dims: Sequence[Any] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def weights(name: str, *dims: int, external: str = "") -> onnx.TensorProto:
    """A float tensor of zeros, or one whose body lies in the file `external`."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
    if external:
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", external
    else:
        size = 4
        for dim in dims:
            size *= dim
        tensor.raw_data = bytes(size)
    return tensor


def conv(weight: onnx.TensorProto | None = None, **options: Any) -> onnx.ModelProto:
    """One convolution of 8×8 images, 3 to 64 channels, 3×3."""
    weight = weight if weight is not None else weights("w", 64, 3, 3, 3)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    return model_of([node], {"x": [1, 3, 8, 8]}, {"y": [1, 64, 8, 8]}, [weight], **options)


def saved(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> str:
    """The model's file."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return str(path)


@dataclass(frozen=True)
class Run:
    """What a command line gave."""

    code: int
    out: str
    err: str


def run(*words: str, stdin: bytes = b"") -> Run:
    """Run the command line in this process."""
    from onnxlint.cli import run_main

    out, err = _Captured(), _Captured()
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_main(list(words))
    finally:
        sys.stdin = before
    return Run(code, out.text(), err.text())


def usage_error(*words: str) -> str:
    """The one line of a command line that can't be carried out."""
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("onnxlint: ")
    return line.removeprefix("onnxlint: ")


def report(*words: str) -> dict[str, Any]:
    """The JSON of one lint."""
    result = run(*words, "--output-format", "json")
    found = json.loads(result.out)
    assert found["exit_code"] == result.code
    return dict(found)


class _Captured(io.TextIOWrapper):
    """A text stream in memory that has bytes underneath, as the standard ones have."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)

    def text(self) -> str:
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


def script(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a new interpreter."""
    options = {"capture_output": True, "timeout": 60, "env": {**os.environ, "COLUMNS": "80"}} | options
    return subprocess.run([sys.executable, "-m", "onnxlint", *words], check=False, **options)
