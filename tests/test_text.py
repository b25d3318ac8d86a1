"""Strangers' strings on one line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlint.text import printable, shortened, text


@given(st.text(max_size=80))
def test_nothing_that_a_terminal_obeys_is_left(name: str) -> None:
    shown = printable(name, 1000)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=40))
def test_plain_text_stays(name: str) -> None:
    if "::" not in name and "##" not in name:
        assert printable(name) == name


def test_the_middle_of_a_long_name_is_cut() -> None:
    shown = printable("a" * 500 + "b", 40)
    assert len(shown) == 40
    assert (shown[0], shown[-1], shown.count("…")) == ("a", "b", 1)


@pytest.mark.parametrize(
    "name",
    [
        "::error file=a::no",
        "::warning::x",
        "a ::stop-commands::b",
        "##vso[task.setvariable]x",
        "##[error]",
        "##teamcity[a]",
    ],
)
def test_no_log_reader_takes_a_name_for_a_command(name: str) -> None:
    assert printable(name) != name
    assert "\\x" in printable(name)


@pytest.mark.parametrize(
    "name", ["torch::nn::Conv2d", "a::b", "# heading", "## heading", "/stage2.0/conv/Conv_output_0"]
)
def test_ordinary_names_stay(name: str) -> None:
    assert printable(name) == name


def test_bytes_that_are_no_utf8_stay_distinct() -> None:
    assert text(b"\xff") != text(b"\xfe")
    assert printable(text(b"\xff")) == "\\udcff"
    assert text("é".encode()) == "é"


@given(st.text("ab/.", max_size=200), st.integers(8, 80))
def test_a_shortened_path_fits_and_keeps_its_end(name: str, limit: int) -> None:
    shown = shortened(name, limit)
    assert len(shown) <= limit
    assert shown == name if len(name) <= limit else "…" in shown


def test_a_long_path_keeps_its_first_part_and_the_last_ones() -> None:
    path = "/stages/stages.2/stages.2.1/transformer/transformer.0/norm1/LayerNormalization_output_0"
    assert shortened(path, 60) == "/stages/…/transformer.0/norm1/LayerNormalization_output_0"
    assert shortened(path, 30).endswith("Normalization_output_0"[-9:])
    assert shortened("stages/b/c/d/e", 12) == "stages/…/d/e"
