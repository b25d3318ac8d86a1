"""Linting a network of the zoo, or ONNX text, with one rule, for the tests of the rules."""

from __future__ import annotations

from functools import cache

import onnx
from zoo import build

from onnxlint.device import load_device
from onnxlint.engine import ReadModel, lint_graph, read_model
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import Report, ReportedFinding
from onnxlint.rule import example_model
from onnxlint.settings import Settings


@cache
def network(name: str) -> ReadModel:
    return read_model(build(name), Settings(), name)


def lint(model: ReadModel, code: str, device: str) -> Report:
    report = lint_graph(model, load_device(device), [find_rule(installed_rules(), code)], Settings())
    assert not report.incomplete
    return report


def found(name: str, code: str, device: str) -> list[ReportedFinding]:
    return list(lint(network(name), code, device).findings)


def found_in(model: str | onnx.ModelProto, code: str, device: str) -> list[ReportedFinding]:
    proto = example_model(model) if isinstance(model, str) else model
    return list(lint(read_model(proto, Settings()), code, device).findings)
