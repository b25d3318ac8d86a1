"""What the rules on hygiene take out changes no output: each model is run before and after, bit for bit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from applied import applied
from hypothesis import given, settings
from hypothesis import strategies as st
from models import constant, model, value, weight
from onnx import helper

from onnxlint.analysis import Analysis
from onnxlint.device import load_device
from onnxlint.engine import read_model
from onnxlint.registry import find_rule, installed_rules
from onnxlint.rule import Context
from onnxlint.settings import Settings
from onnxlint.target import target_for

NODE = helper.make_node
CODES = ["GRF002", "GRF004", "GRF005", "GRF006"]


def edits_of(proto: onnx.ModelProto, code: str):
    read = read_model(proto, Settings())
    analysis = Analysis(read.graph, target_for(load_device("rk3588")))
    context = Context(analysis, read.bound.assumed, read.unused)
    found = list(find_rule(installed_rules(), code).check(context))
    assert all(fix.safety == "exact" for finding in found for fix in finding.fixes)
    return [edit for finding in found for fix in finding.fixes for edit in fix.edits]


def run(proto: onnx.ModelProto) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    return session.run(None, {i.name: rng.standard_normal(i.shape, np.float32) for i in session.get_inputs()})


def steps() -> dict[str, tuple[str, list[str], dict[str, object]]]:
    """Operators on a [2,4,6,6] value that keep its shape, by a name: op, constants behind the value, attributes."""
    return {
        "identity": ("Identity", [], {}),
        "relu": ("Relu", [], {}),
        "sigmoid": ("Sigmoid", [], {}),
        "dropout": ("Dropout", [], {}),
        "times one": ("Mul", ["one"], {}),
        "times two": ("Mul", ["two"], {}),
        "plus zero": ("Add", ["zero"], {}),
        "untrained bias": ("Add", ["zeros"], {}),
        "untrained scale": ("Mul", ["ones_"], {}),
        "over one": ("Div", ["one"], {}),
        "same shape": ("Reshape", ["shape"], {}),
        "pad nothing": ("Pad", ["no_pads"], {}),
        "whole slice": ("Slice", ["starts", "ends", "axes"], {}),
        "reversed": ("Slice", ["last", "before_first", "axes", "minus_one"], {}),
        "transposed": ("Transpose", [], {"perm": [0, 1, 3, 2]}),
        "swapped": ("Transpose", [], {"perm": [0, 1, 2, 3]}),
        "window of one": ("MaxPool", [], {"kernel_shape": [1, 1]}),
        "window of three": ("MaxPool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        "one part": ("Concat", [], {"axis": 1}),
        "float32": ("Cast", [], {"to": 1}),
        "expand": ("Expand", ["ones"], {}),
    }


CONSTANTS = [
    constant("one", 1.0, np.float32),
    constant("two", 2.0, np.float32),
    constant("zero", 0.0, np.float32),
    constant("zeros", np.zeros((1, 4, 1, 1)), np.float32),
    constant("ones_", [1.0], np.float32),
    constant("shape", [2, 4, 6, 6]),
    constant("flat", [2, 4, 36]),
    constant("no_pads", [0] * 8),
    constant("starts", [0, 0]),
    constant("ends", [2**63 - 1, 6]),
    constant("axes", [2, 3]),
    constant("last", [-1, -1]),
    constant("before_first", [-(2**62), -(2**62)]),
    constant("minus_one", [-1, -1]),
    constant("ones", [1, 1, 1, 1]),
    weight("forgotten", 3, 3),
]


@st.composite
def messy(draw: st.DrawFn) -> onnx.ModelProto:
    """Rows of operators that do nothing, undo each other, are doubled, or are read by nobody."""
    names, nodes = ["x"], []

    def add(op: str, inputs: list[str], **attributes: object) -> str:
        nodes.append(NODE(op, inputs, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    for _ in range(draw(st.integers(1, 12))):
        source = draw(st.sampled_from(names))
        what = draw(st.sampled_from([*steps(), "there and back", "flat and back", "double", "sum", "float16"]))
        if what == "there and back":
            names.append(add("Transpose", [add("Transpose", [source], perm=[0, 2, 3, 1])], perm=[0, 3, 1, 2]))
        elif what == "flat and back":
            names.append(add("Reshape", [add("Reshape", [source, "flat"]), "shape"]))
        elif what == "double":
            names.append(add("Cast", [add("Cast", [source], to=11)], to=1))
        elif what == "float16":
            names.append(add("Cast", [add("Cast", [source], to=10)], to=1))
        elif what == "sum":
            names.append(add("Add", [source, draw(st.sampled_from(names))]))
        else:
            op, behind, attributes = steps()[what]
            names.append(add(op, [source, *behind], **attributes))
    outputs = draw(st.lists(st.sampled_from(names[1:]), min_size=1, max_size=3, unique=True))
    return model(nodes, [value("x", [2, 4, 6, 6])], outputs, CONSTANTS)


@settings(max_examples=60)
@given(messy(), st.sampled_from(CODES))
def test_outputs_stay_bit_for_bit(proto: onnx.ModelProto, code: str) -> None:
    after = applied(proto, edits_of(proto, code))
    for before, now in zip(run(proto), run(after), strict=True):
        np.testing.assert_array_equal(before, now)


@settings(max_examples=30)
@given(messy())
def test_what_was_taken_out_is_not_found_again(proto: onnx.ModelProto) -> None:
    for code in CODES:
        for _ in range(12):
            edits = edits_of(proto, code)
            if not edits:
                break
            proto = applied(proto, edits)
        assert not edits_of(proto, code)


@pytest.mark.parametrize("name", sorted(steps()))
def test_what_does_nothing_is_found_and_what_does_something_is_not(name: str) -> None:
    op, behind, attributes = steps()[name]
    nodes = [NODE(op, ["x", *behind], ["v"], **attributes), NODE("Neg", ["v"], ["y"])]
    proto = model(nodes, [value("x", [2, 4, 6, 6])], ["y"], CONSTANTS)
    works = {
        "untrained bias",
        "untrained scale",
        "relu",
        "sigmoid",
        "times two",
        "reversed",
        "transposed",
        "window of three",
    }
    assert bool(edits_of(proto, "GRF004")) == (name not in works)
    feeds_same = run(proto)
    after = applied(proto, edits_of(proto, "GRF004"))
    np.testing.assert_array_equal(feeds_same[0], run(after)[0])
