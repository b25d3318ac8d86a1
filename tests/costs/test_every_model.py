"""Every node test model of onnx and every light model lints without a crash.

All 1,900 node test models take half a minute; a seeded fifth of them runs here, all of them with ONNXLINT_ALL_MODELS=1.
"""

from __future__ import annotations

import os
import random
import warnings

import numpy as np
import onnx
import pytest
from models import lint

SHARE = 1.0 if os.environ.get("ONNXLINT_ALL_MODELS") else 0.2
DATA_DEPENDENT = {"Compress", "NonZero", "Unique", "NonMaxSuppression", "StringSplit", "RegexFullMatch"}


@pytest.fixture(scope="module")
def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = [case for case in collect_testcases(None) if case.model is not None]
    return random.Random(7).sample(found, int(len(found) * SHARE))


def test_node_test_models_lint(cases) -> None:
    assert len(cases) >= 300
    for case in cases:
        report = lint(case.model)
        assert report.error is None, case.name
        assert report.totals is not None
        # what is not in the totals is said
        if report.model.unknown_operators or report.model.unresolved:
            assert report.incomplete, case.name


def test_standard_operators_of_fixed_shapes_are_known(cases) -> None:
    """Where shapes are no matter of data, single nodes have all shapes and a cost."""
    unknown = []
    for case in cases:
        nodes = case.model.graph.node
        constants = {name for node in nodes for name in node.input} - {info.name for info in case.model.graph.input}
        if len(nodes) != 1 or nodes[0].op_type in DATA_DEPENDENT or len(nodes[0].input) != 1 or constants - {""}:
            continue
        report = lint(case.model)
        kinds = {info.type.WhichOneof("value") for info in (*case.model.graph.input, *case.model.graph.output)}
        if kinds == {"tensor_type"} and report.model.unresolved:
            unknown.append(case.name)
    assert unknown == []


@pytest.mark.parametrize("kind", ["light"])
def test_light_models_lint_on_several_devices(kind: str) -> None:
    from importlib.resources import files

    paths = [path for path in (files("onnx.backend.test") / "data" / kind).iterdir() if path.name.endswith(".onnx")]
    assert len(paths) == 9
    for path in paths:
        proto = onnx.load_from_string(path.read_bytes())
        for device in ("generic", "hi3519", "t4"):
            report = lint(proto, device)
            assert not report.incomplete
            assert not report.model.unresolved
