"""External data: what a model may say of it, and the one way in which it is opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import modelfiles
import onnx
import pytest
from onnx import TensorProto, helper

from onnxlint import lint
from onnxlint.external import ExternalDataError, external_data, open_weights, place_of
from onnxlint.filebytes import ChangedError
from onnxlint.tensors import all_tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with weights in it, and secrets beside it that links of every kind lead to."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 100)
    inside = tmp_path / "model"
    (inside / "deep" / "er").mkdir(parents=True)
    (inside / "w.bin").write_bytes(bytes(range(100)))
    (inside / "deep" / "er" / "w.bin").write_bytes(b"deeper")
    (inside / "link").symlink_to(secret)
    (inside / "inner").symlink_to("w.bin")
    (inside / "up").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    (inside / "dead").symlink_to("nothing")
    os.link(secret, inside / "hard")
    os.mkfifo(inside / "fifo")
    return inside


def opened(folder: Path, location: str, offset: int = 0, length: int | None = None) -> bytes:
    with open_weights(folder, location, offset, length) as weights:
        return weights.read()


def test_a_file_inside_is_read(folder: Path) -> None:
    assert opened(folder, "w.bin") == bytes(range(100))
    assert opened(folder, "w.bin", 10, 5) == bytes(range(10, 15))
    assert opened(folder, "w.bin", 100) == b""
    assert opened(folder, "./deep/er/w.bin") == opened(folder, "deep\\er\\w.bin") == b"deeper"
    with open_weights(folder, "w.bin", 10, 20) as weights:
        assert weights.read(5, 3) == bytes(range(15, 18))
        assert weights.read(15, 99) == bytes(range(25, 30))
        assert weights.read(-5, 2) == bytes((10, 11))
        assert weights.read(99) == b""


def test_the_folder_of_a_bare_name_is_the_working_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert opened(Path("w.onnx").parent, "w.bin", 0, 1) == b"\0"
    assert opened("", "w.bin", 0, 1) == b"\0"


@pytest.mark.parametrize(
    "location",
    [
        *("link", "inner", "up/secret", "up/model/w.bin", "loop", "dead", "hard", "fifo", "socket", "deep", ".", ""),
        *("..", "../secret", "../model/w.bin", "deep/../../secret", "deep/../w.bin", "/etc/passwd", "//etc/passwd"),
        *("a\0b", "C:\\secret", "c:/x", "\\\\host\\x", "..\\secret", "file:///etc/passwd", "missing", "missing/x"),
        *("w.bin/x", "w.bin/", "/", "a" * 5000, "a/" * 3000 + "b", "/proc/self/environ", "/dev/zero", "\ud800"),
    ],
)
def test_nothing_else_is_opened(folder: Path, location: str) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        with pytest.raises(ExternalDataError) as caught:
            open_weights(folder, location)
    assert "\n" not in str(caught.value)
    assert caught.value.is_missing == (location in ("missing", "missing/x", "a/" * 3000 + "b"))
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before


@pytest.mark.parametrize(
    ("offset", "length"), [(-1, 1), (0, -1), (101, 0), (0, 101), (1, 100), (1 << 63, 1), (101, None)]
)
def test_a_stretch_that_the_file_does_not_hold(folder: Path, offset: int, length: int | None) -> None:
    with pytest.raises(ExternalDataError):
        open_weights(folder, "w.bin", offset, length)


def test_what_was_checked_is_what_is_read(folder: Path) -> None:
    with open_weights(folder, "w.bin") as weights:
        os.replace(folder / "link", folder / "w.bin")
        assert weights.read(0, 3) == b"\0\1\2"
    (folder / "w.bin").unlink()
    (folder / "w.bin").write_bytes(bytes(50))
    with open_weights(folder, "w.bin") as weights:
        os.truncate(folder / "w.bin", 10)
        with pytest.raises(ChangedError):
            weights.read()


def test_a_link_swapped_in_is_never_followed(folder: Path) -> None:
    """Two names trade places as fast as a process can; what is read is always the file of the folder."""
    (folder / "real").write_bytes(b"inside")
    os.symlink("../secret", folder / "other")
    (folder / "at").write_bytes(b"inside")
    child = os.fork()
    if child == 0:
        try:
            for number in range(100_000):
                os.symlink("../secret", folder / "new") if number % 2 else os.link(folder / "real", folder / "new")
                os.replace(folder / "new", folder / "at")
        finally:
            os._exit(0)
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(opened(folder, "at"))
            except ExternalDataError:
                seen.add(b"refused")
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert seen <= {b"inside", b"refused"}


def tensor(*entries: tuple[str, str], dims: tuple[int, ...] = (5,)) -> TensorProto:
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries:
        made.external_data.add(key=key, value=value)
    return made


def test_where_a_tensor_says_that_it_lies() -> None:
    place = place_of(tensor(("location", "w.bin"), ("offset", "40"), ("length", "20"), ("checksum", "00")))
    assert (place.location, place.offset, place.length) == ("w.bin", 40, 20)
    assert place_of(tensor(("location", "w.bin"))).length is None


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (("offset", "0"),),
        (("location", "w.bin"), ("location", "w.bin")),
        (("location", "w.bin"), ("basepath", "/etc")),
        (("location", "w.bin"), ("onnxlint.offset", "0")),
        *((("location", "w.bin"), ("offset", bad)) for bad in ("-1", "", " 1", "0x1", "1e3", "\u0661", "9" * 20, "+1")),
        *((("location", "w.bin"), ("length", bad)) for bad in ("-1", "19", "21", "4611686018427387904")),
    ],
)  # fmt: skip
def test_what_no_reader_should_follow(entries: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ExternalDataError):
        place_of(tensor(*entries))


def everywhere(bad: TensorProto) -> dict[str, onnx.ModelProto]:
    """One model for each place where a tensor can hide."""
    sparse = onnx.SparseTensorProto(values=bad, indices=bad, dims=[9])
    relu = helper.make_node("Relu", ["x"], ["r"])
    nodes = {
        "attribute": helper.make_node("Constant", [], ["c"], value=bad),
        "attributes": helper.make_node("Foo", [], ["c"], domain="d", tensors=[bad]),
        "sparse attribute": helper.make_node("Constant", [], ["c"], sparse_value=sparse),
    }
    made = {}
    for name, node in nodes.items():
        made[name] = modelfiles.relu()
        made[name].graph.node.append(node)
    inner = helper.make_graph([relu], "g", [], [helper.make_tensor_value_info("r", 1, None)], [bad])
    for name, graphs in (("body", inner), ("bodies", [inner])):
        made[name] = modelfiles.relu()
        made[name].graph.node.append(helper.make_node("Foo", [], ["c"], domain="d", g=graphs))
    made["initializer"] = modelfiles.relu()
    made["initializer"].graph.initializer.append(bad)
    made["sparse initializer"] = modelfiles.relu()
    made["sparse initializer"].graph.sparse_initializer.append(sparse)
    made["function"] = modelfiles.relu()
    made["function"].functions.append(
        helper.make_function("d", "f", [], ["c"], [nodes["attribute"]], [helper.make_opsetid("", 17)])
    )
    made["function's default"] = modelfiles.relu()
    made["function's default"].functions.append(
        helper.make_function("d", "f", [], ["r"], [relu], [helper.make_opsetid("", 17)],
                             attribute_protos=[helper.make_attribute("v", bad)])
    )  # fmt: skip
    for name in ("algorithm", "initialization"):
        made[name] = modelfiles.relu()
        getattr(made[name].training_info.add(), name).initializer.append(bad)
    return made


@pytest.mark.parametrize("where", sorted(everywhere(tensor())))
def test_every_tensor_is_looked_at(where: str, tmp_path: Path) -> None:
    assert len(list(all_tensors(everywhere(tensor())[where]))) in (1, 2)
    for bad in (
        tensor(("location", "/etc/passwd")),
        tensor(("location", "model.onnx"), ("offset", "99999999"), ("length", "20")),
        tensor(("location", "model.onnx"), ("odd", "1")),
    ):
        path = modelfiles.saved(everywhere(bad)[where], tmp_path)
        report = lint(path)
        assert report.exit_code == 1
        assert any("external data" in line for line in report.incomplete)


def test_links_and_missing_files_are_notes(folder: Path) -> None:
    for location, words in (("link", "reached by a link"), ("hard", "reached by a link"), ("gone", "is missing")):
        said = external_data(everywhere(tensor(("location", location)))["initializer"], folder)
        assert said.problems == []
        assert words in said.notes[0]


def test_what_is_said_is_bounded(tmp_path: Path) -> None:
    model = modelfiles.relu()
    for number in range(3000):
        one = tensor(("location", f"f{number}"), ("odd", "1")) if number % 2 else tensor(("location", f"f{number}"))
        model.graph.initializer.append(one)
    said = external_data(model, tmp_path)
    assert len(said.problems) == len(said.notes) == 6
