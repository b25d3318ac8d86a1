"""Profiles that take what they do not state from a kin of their class."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxlint.device import DeviceError, load_device

DATASHEET = """
name = "mycard"
chip = "a T4 of twice the size"
inherits = "t4"

[peak_gops.fp32]
value = 16280.0
trust = "datasheet"
source = "twice a T4"

[peak_gops.fp16]
value = 130260.0
trust = "datasheet"
source = "twice a T4"

[bandwidth_gb_per_s]
value = 640.0
trust = "datasheet"
source = "twice a T4"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mycard.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_datasheet_and_a_kin_make_a_profile(tmp_path: Path) -> None:
    own, kin = load_device(written(tmp_path, DATASHEET)), load_device("t4")
    assert own.trust == "datasheet"
    assert (own.fusion, own.operators, own.alignment) == (kin.fusion, kin.operators, kin.alignment)
    assert own.precisions == ["fp32", "fp16"]
    assert own.attainable.spread > kin.attainable.spread
    for mine, theirs in zip(own.attainable.sets, kin.attainable.sets, strict=True):
        assert mine.bandwidth_gb_per_s == pytest.approx(2 * theirs.bandwidth_gb_per_s)
        assert mine.vector_gops == pytest.approx(2 * theirs.vector_gops)
        assert (mine.conv, mine.overhead_us, mine.shapes) == (theirs.conv, theirs.overhead_us, theirs.shapes)


def test_what_is_stated_is_not_taken(tmp_path: Path) -> None:
    fusion = '\n[fusion]\nepilogue = ["Relu"]\nsource = "my own compiler"\n'
    own = load_device(written(tmp_path, DATASHEET + fusion))
    assert own.fusion.epilogue == ["Relu"]
    assert not own.fusion.chains


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (DATASHEET.replace('"t4"', '"t5"'), "no built-in profile"),
        (DATASHEET.replace('"t4"', "4"), "no built-in profile"),
        (DATASHEET.replace("640.0", '"fast"'), "float"),
        (DATASHEET.replace('inherits = "t4"', ""), "kind"),
    ],
)
def test_a_wrong_one_is_an_error_of_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DeviceError, match=complaint) as caught:
        load_device(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_kin_of_unknown_bandwidth_lends_its_own(tmp_path: Path) -> None:
    text = DATASHEET.replace('inherits = "t4"', 'inherits = "hi3519"\nnative_precision = "fp16"')
    own, kin = load_device(written(tmp_path, text)), load_device("hi3519")
    assert kin.bandwidth_gb_per_s.value is None
    assert own.attainable.sets[0].bandwidth_gb_per_s == kin.attainable.sets[0].bandwidth_gb_per_s
