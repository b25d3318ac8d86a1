"""The part of a device's page that says which operators run."""

from __future__ import annotations

import io

import pytest

from onnxlint.device import load_device, profile_names
from onnxlint.output.devices import write_page


def page(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    stream = io.StringIO()
    write_page(load_device(name), stream)
    return " ".join(stream.getvalue().split())


def test_a_condition_stands_with_its_limits_and_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page("x3", monkeypatch)
    assert "up to 4 dims; every size known when compiled" in text
    assert "max_kernel 7, max_kernel_elements 32768" in text
    assert "D-Robotics/rdk_doc supported_op_list.md@0e03fc39 (X3, Conv)" in text


def test_a_runtime_lists_its_kernels_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page("cortex-a76", monkeypatch)
    assert "kernels of onnxruntime-cpu" in text
    assert "Conv (float16, float32)" in text


def test_one_partition_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page("edgetpu", monkeypatch)
    assert "at most 3 dims above 1" in text
    assert "one partition" in text


@pytest.mark.parametrize("name", profile_names())
def test_every_page_names_what_the_lists_leave_open(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "what no list names is" in page(name, monkeypatch)
