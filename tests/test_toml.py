"""A stranger's TOML: bounded, and printable."""

from __future__ import annotations

import time

import pytest

from onnxlint import toml


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 100_000) + " = 1",
        "[" + ".".join("a" * 100_000) + "]",
        " . ".join(['"a b"'] * 50_000) + " = 1",
        "x = {" + ".".join("a" * 100_000) + " = 1}",
        "[[" + ".".join("a" * 100_000) + "]]",
    ],
    ids=["key", "table", "quoted", "inline", "array"],
)
def test_long_keys_are_refused_at_once(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError, match="more than 16 parts"):
        toml.loads(text.encode())
    assert time.perf_counter() - began < 2


def test_what_people_write_is_read() -> None:
    text = '''source = "https://a.b.c.d.e.f.example.com/1.2.3.4.5.6/7.8.9.10.11.12.13.14.15.16.17.18.19.html"
[a.b."c.d"]
x = [1.5, 2.5]
note = """
One. Two. Three. Four words here. Five. Six. Seven or so. Eight. Nine. Ten. Eleven. Twelve of these. 13. 14. 15.
16. Seventeen. 18."""
'''
    table = toml.loads(text.encode())
    assert table["a"]["b"]["c.d"]["x"] == [1.5, 2.5]
    assert table["a"]["b"]["c.d"]["note"].count("\n") == 1
    assert table["source"].endswith("19.html")


def test_strings_and_keys_are_printable() -> None:
    table = toml.loads('"\\u001b" = ["\\u202ex", "::error::y::", "µs –"]'.encode())
    assert table == {"\\x1b": ["\\u202ex", "\\x3a:error::y::", "µs –"]}
