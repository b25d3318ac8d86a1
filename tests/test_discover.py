"""MODEL arguments turned into files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxlint.discover import Found, discover


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "b.bin", "m/c.onnx", "m/deep/d.ONNX", "m/note.txt", "m/.hidden/e.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_file_of_any_name() -> None:
    assert discover(["b.bin"]) == Found(["b.bin"], [], False)
    assert discover(["absent.onnx"]).files == ["absent.onnx"]


def test_a_folder_is_walked() -> None:
    assert discover(["m"]) == Found(["m/c.onnx", "m/deep/d.ONNX"], [], True)
    assert discover(["m/.hidden"]).files == ["m/.hidden/e.onnx"]
    assert discover(["m/deep"]).many


def test_a_folder_without_models() -> None:
    assert discover(["empty"]).missing == [("empty", "is a folder without models (*.onnx)")]


def test_packages_are_not_walked_into(place: Path) -> None:
    for folder in ("node_modules", "site-packages", ".venv"):
        (place / "m" / folder).mkdir()
        (place / "m" / folder / "x.onnx").touch()
    assert discover(["m"]).files == ["m/c.onnx", "m/deep/d.ONNX"]


def test_a_glob() -> None:
    assert discover(["m/*.onnx"]) == Found(["m/c.onnx"], [], True)
    assert discover(["**/*.onnx"]).files == ["a.onnx", "m/c.onnx"]
    assert discover(["*.pb"]).missing == [("*.pb", "matches no file")]


def test_an_existing_path_wins_over_a_glob(place: Path) -> None:
    (place / "[ab].onnx").touch()
    assert discover(["[ab].onnx"]) == Found(["[ab].onnx"], [], False)
    (place / "[m]").mkdir()
    assert discover(["[m]"]).missing == [("[m]", "is a folder without models (*.onnx)")]


def test_several_keep_their_order_and_come_once() -> None:
    assert discover(["b.bin", "a.onnx", "b.bin"]) == Found(["b.bin", "a.onnx"], [], True)
    assert discover(["a.onnx", "empty"]).many


def test_stdin() -> None:
    assert discover(["-"]) == Found(["-"], [], False)


def test_no_path() -> None:
    assert discover(["a\0b"]).files == ["a\0b"]


def test_what_bears_the_name_but_is_no_file_is_not_passed_over(place: Path) -> None:
    os.mkfifo(place / "m" / "pipe.onnx")
    (place / "m" / "dead.onnx").symlink_to("nowhere")
    assert {"m/pipe.onnx", "m/dead.onnx"} <= set(discover(["m"]).files)


def test_two_stars_follow_no_links(place: Path) -> None:
    for name, target in (("one", "."), ("two", "."), ("m/up", ".."), ("root", "/")):
        (place / name).symlink_to(target)
    assert discover(["**/*.onnx"]).files == ["a.onnx", "m/c.onnx"]
    assert discover(["*/**/*.ONNX"]).files == ["m/deep/d.ONNX"]
    assert discover(["m/**/[cd].*"]).files == ["m/c.onnx", "m/deep/d.ONNX"]
    assert discover(["**/.hidden/*"]).files == ["m/.hidden/e.onnx"]


def test_circles_of_links_end(place: Path) -> None:
    (place / "m" / "again").symlink_to(place / "m")
    assert discover(["m"]).files == ["m/c.onnx", "m/deep/d.ONNX"]


def test_links_to_folders_that_are_not_searched_are_named(place: Path) -> None:
    for name, target in (("again", "."), ("outside", "../empty"), ("hidden", ".hidden"), (".unseen", "../empty")):
        (place / "m" / name).symlink_to(target)
    (place / "m" / "nowhere").symlink_to("nothing")
    assert discover(["m"]).linked == ["m/hidden", "m/outside"]
    assert discover(["m", "m/"]).linked.count("m/outside") == 1
    assert discover(["m/**/*.onnx"]).linked == ["m/hidden", "m/outside"]
    assert discover(["m/*.onnx", "m/hidden"]).linked == []
    assert discover(["m/out*/**/deep/*.onnx"]).linked == ["m/outside"]
    assert discover(["m/d*/**/*"]).linked == []
    assert discover(["m"]).passed_by == (
        "2 linked folders not followed: m/hidden, m/outside (name it to lint what is in it)"
    )


def test_one_line_tells_of_many_links(place: Path) -> None:
    for number in range(50):
        (place / "m" / f"{number:02}\x1b").symlink_to("/")
    assert discover(["m"]).passed_by == (
        "50 linked folders not followed: m/00\\x1b, m/01\\x1b, m/02\\x1b, … (name it to lint what is in it)"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root lists everything")
def test_a_folder_that_can_not_be_listed_is_not_passed_over(place: Path) -> None:
    (place / "m" / "deep").chmod(0)
    ((path, reason),) = discover(["m"]).missing
    assert (path, reason) == ("m/deep", "can't be listed: Permission denied")
    (place / "m" / "deep").chmod(0o755)


def test_a_tree_too_deep_is_no_empty_one(place: Path) -> None:
    deepest = place
    for _ in range(520):
        deepest /= "d"
    deepest.mkdir(parents=True)
    (deepest / "x.onnx").write_bytes(b"x")
    for argument in (".", "**/*.onnx"):
        (missing,) = discover([argument]).missing
        assert "lies more than 512 folders deep" in missing[1]
