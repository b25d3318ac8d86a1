"""Reading model files, and everything that is none."""

from __future__ import annotations

import contextlib
import io
import os
import socket
from pathlib import Path

import modelfiles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from zoo.store import STORED

from onnxlint.api import lint_model
from onnxlint.load import MAX_OPSET, LoadError, load, load_stream
from onnxlint.wire import LENGTH_KEY, MAX_CHILDREN, OFFSET_KEY


def error_of(path: str | Path, **options: int) -> str:
    with pytest.raises(LoadError) as caught:
        load(path, **options)
    (line,) = str(caught.value).splitlines()
    return line


def test_weights_stay_in_the_file(tmp_path: Path) -> None:
    weight = modelfiles.weights("w", 64, 3, 3, 3)
    weight.raw_data = os.urandom(6912)
    path = modelfiles.saved(modelfiles.conv(weight), tmp_path)
    loaded = load(path)
    (found,) = loaded.proto.graph.initializer
    assert not found.raw_data
    places = {entry.key: int(entry.value) for entry in found.external_data}
    content = Path(path).read_bytes()
    assert content[places[OFFSET_KEY] :][: places[LENGTH_KEY]] == weight.raw_data
    assert loaded.size_bytes == len(content)
    assert loaded.notes == ()


def test_small_weights_come_along(tmp_path: Path) -> None:
    model = modelfiles.conv(modelfiles.weights("w", 2, 3, 3, 3))
    assert load(modelfiles.saved(model, tmp_path)).proto == model


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello world\n", "is a text file"),
        (b'{"graph": []}', "is a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is not an ONNX model"),
        (b"PK\x03\x04" + bytes(200), "is not an ONNX model"),
        (bytes(5000), "is not an ONNX model"),
        (b"\x08\x08", "holds no graph"),
        (b"\x08\x08\x3a\x00\x42\x02\x10\x11", "empty graph"),
        (b"\x08\x08\x3a\x7f", "truncated or damaged"),
    ],
)
def test_what_is_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert words in error_of(path)


def test_places_without_a_model(tmp_path: Path) -> None:
    assert error_of(tmp_path / "no.onnx") == "no such file"
    assert "folder" in error_of(tmp_path)
    assert "not a path" in error_of("a\0b")
    assert "can't be opened" in error_of("x" * 5000)
    assert "no regular file" in error_of("/dev/null")
    fifo = tmp_path / "fifo.onnx"
    os.mkfifo(fifo)
    assert "no regular file" in error_of(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert "can't be opened" in error_of(tmp_path / "s")
    (tmp_path / "loop").symlink_to("loop")
    assert "can't be opened" in error_of(tmp_path / "loop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = Path(modelfiles.saved(modelfiles.relu(), tmp_path))
    path.chmod(0)
    assert error_of(path) == "permission denied"


def test_a_link_named_as_the_model_is_followed(tmp_path: Path) -> None:
    modelfiles.saved(modelfiles.relu(), tmp_path, "real.bin")
    (tmp_path / "link.onnx").symlink_to("real.bin")
    assert load(tmp_path / "link.onnx").proto == modelfiles.relu()


def test_size_is_bounded(tmp_path: Path) -> None:
    path = modelfiles.saved(modelfiles.conv(modelfiles.weights("w", 1 << 19)), tmp_path)
    assert "--max-file-mb" in error_of(path, max_file_mb=1)


def test_a_file_of_three_gigabytes_is_read_in_no_time(tmp_path: Path) -> None:
    size = 3 << 30
    tensor = TensorProto(name="w", data_type=1, dims=[size // 4])
    model = modelfiles.conv()
    del model.graph.initializer[:]
    varint = b"\x80\x80\x80\x80\x0c"
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(varint)) == size

    def wrapped(tag: bytes, body: bytes, hole: int) -> bytes:
        length, encoded = len(body) + hole, b""
        while length > 0x7F:
            encoded += bytes((length & 0x7F | 0x80,))
            length >>= 7
        return tag + encoded + bytes((length,)) + body

    raw = tensor.SerializeToString() + b"\x4a" + varint
    graph = model.graph.SerializeToString() + wrapped(b"\x2a", raw, size)
    path = tmp_path / "large.onnx"
    opset = b"\x42\x02\x10\x11"
    try:
        path.write_bytes(b"\x08\x08" + opset + wrapped(b"\x3a", graph, size))
        os.truncate(path, path.stat().st_size + size)
    except OSError:
        pytest.skip("no room for a sparse file here")
    (found,) = load(path).proto.graph.initializer
    assert found.dims == [size // 4]
    assert {entry.key: entry.value for entry in found.external_data}[LENGTH_KEY] == str(size)


def test_of_every_truncation_none_is_clean() -> None:
    model = modelfiles.parse(
        """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        g (float[1,8] x) => (float[1,8] y) <float[8,8] w = {%s}> {
            a = MatMul(x, w)
            b = local.twice(a)
            y = Relu(b)
        }
        <domain: "local", opset_import: ["" : 17]>
        twice (a) => (b) { b = Add(a, a) }""".replace("%s", ", ".join(["1"] * 64))
    )
    whole = model.SerializeToString()
    assert lint_model(model).exit_code == 0
    for cut in range(len(whole)):
        try:
            proto = load_stream(io.BytesIO(whole[:cut])).proto
        except LoadError:
            continue
        try:
            assert lint_model(proto).exit_code == 1, cut
        except LoadError:
            continue


def test_of_a_real_models_truncations_none_is_read() -> None:
    whole = STORED.read_bytes()
    for cut in [*range(0, len(whole), 997), *range(len(whole) - 40, len(whole))]:
        with pytest.raises(LoadError):
            load_stream(io.BytesIO(whole[:cut]))


@settings(max_examples=150, database=None)
@given(st.data())
def test_damage_is_a_load_error_or_a_model(data: st.DataObject) -> None:
    damaged = bytearray(modelfiles.conv().SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 120))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(LoadError):
        load_stream(io.BytesIO(bytes(damaged)))


@pytest.mark.parametrize("version", [-1, 0, MAX_OPSET + 1, 2**62])
def test_operator_sets_that_can_not_be(tmp_path: Path, version: int) -> None:
    model = modelfiles.relu()
    model.opset_import[0].version = version
    assert "version" in error_of(modelfiles.saved(model, tmp_path))


def test_a_newer_operator_set_is_noted(tmp_path: Path) -> None:
    model = modelfiles.relu()
    model.opset_import[0].version = 99
    (note,) = load(modelfiles.saved(model, tmp_path)).notes
    assert "opset 99 is newer" in note


def test_no_operator_set_is_an_error_since_ir_3(tmp_path: Path) -> None:
    model = modelfiles.relu()
    del model.opset_import[:]
    assert "names no operator set" in error_of(modelfiles.saved(model, tmp_path))
    model.ir_version = 1
    assert lint_model(load(modelfiles.saved(model, tmp_path)).proto).exit_code == 0


@pytest.mark.parametrize("dims", [[-64, 3, 3, 3], [2**62, 2], [2**40, 2**40]])
def test_tensors_that_can_not_be(tmp_path: Path, dims: list[int]) -> None:
    model = modelfiles.conv(TensorProto(name="w", data_type=1, dims=dims))
    assert "the tensor 'w' has the dims" in error_of(modelfiles.saved(model, tmp_path))


@pytest.mark.parametrize("dims", [(2, 3, 3, 3), (64, 3, 3, 3)])
def test_tensors_that_hold_too_little(tmp_path: Path, dims: tuple[int, ...]) -> None:
    weight = modelfiles.weights("w", *dims)
    weight.raw_data = weight.raw_data[:-1]
    assert "is damaged: the tensor 'w' holds" in error_of(modelfiles.saved(modelfiles.conv(weight), tmp_path))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("weights.bin", "is missing (1 tensors)"),
        ("../weights.bin", "no path inside"),
        ("/etc/passwd", "no path inside"),
        ("a/../../b", "no path inside"),
        ("link/passwd", "by a link"),
        ("a\0b", "no path inside"),
        ("..\\weights.bin", "no path inside"),
    ],
)
def test_external_data_is_noted_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, words: str
) -> None:
    (tmp_path / "link").symlink_to("/etc")
    path = modelfiles.saved(modelfiles.conv(modelfiles.weights("w", 64, 3, 3, 3, external=location)), tmp_path)
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **options: opened.append(path) or real(path, *rest, **options))
    loaded = load(path)
    (said,) = (*loaded.notes, *loaded.problems)
    assert words in said
    assert {os.fspath(name) for name in opened} <= {path, str(tmp_path), "link"}


def test_present_external_data_needs_no_note(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(6912))
    path = modelfiles.saved(modelfiles.conv(modelfiles.weights("w", 64, 3, 3, 3, external="weights.bin")), tmp_path)
    assert load(path).notes == ()


def test_many_external_files_are_not_all_named(tmp_path: Path) -> None:
    model = modelfiles.relu()
    model.graph.initializer.extend(modelfiles.weights(f"w{n}", 2, external=f"{n}.bin") for n in range(100))
    assert len(load(modelfiles.saved(model, tmp_path)).notes) == 6


def test_streams() -> None:
    data = modelfiles.relu().SerializeToString()
    loaded = load_stream(io.BytesIO(data))
    assert (loaded.proto, loaded.path, loaded.size_bytes) == (modelfiles.relu(), "-", len(data))
    assert loaded.sha256
    with pytest.raises(LoadError, match="is empty"):
        load_stream(io.BytesIO())
    with pytest.raises(LoadError, match="--max-file-mb"):
        load_stream(io.BytesIO(bytes(1 << 21)), 1)


@pytest.mark.parametrize("piece", [bytes(1 << 20), b"y\n" * (1 << 19), b"\xff" * (1 << 20)])
def test_streams_without_an_end_that_are_no_models(piece: bytes) -> None:
    class Endless(io.RawIOBase):
        read_mb = 0

        def read(self, size: int = -1) -> bytes:
            self.read_mb += 1
            return piece[:size]

    endless = Endless()
    with pytest.raises(LoadError, match=r"not an ONNX model"):
        load_stream(endless)  # type: ignore[arg-type]
    assert endless.read_mb <= 64


def test_a_stream_without_an_end_that_begins_like_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = io.BytesIO(b"\x08\x08\x3a\xff\xff\xff\xff\x0f" + bytes(4 << 20))
    monkeypatch.setattr("onnxlint.load.MAX_STREAM_MB", 3)
    with pytest.raises(LoadError, match=r"more than 3 MiB \(no model in one piece"):
        load_stream(begun)
    assert begun.tell() <= (3 << 20) + 1


def test_a_stream_larger_than_the_memory() -> None:
    class Full(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise MemoryError

    with pytest.raises(LoadError, match="larger than the memory"):
        load_stream(Full())  # type: ignore[arg-type]


def test_no_weights_at_all_is_a_model(tmp_path: Path) -> None:
    model = modelfiles.conv(TensorProto(name="w", data_type=1, dims=[64, 3, 3, 3]))
    assert lint_model(load(modelfiles.saved(model, tmp_path)).proto).totals.macs == 64 * 3 * 9 * 64


def test_a_file_cut_short_while_it_is_read(tmp_path: Path) -> None:
    from onnxlint.filebytes import ChangedError, FileBytes

    path = tmp_path / "large.onnx"
    path.write_bytes(bytes(6 << 20))
    with path.open("rb") as file:
        data = FileBytes(file.fileno(), 6 << 20)
        assert (len(data), data[0], data[5 << 20], data[3:7]) == (6 << 20, 0, 0, bytes(4))
        with pytest.raises(IndexError):
            data[6 << 20]
        os.truncate(path, 1 << 20)
        with pytest.raises(ChangedError):
            data[4 << 20]
        with pytest.raises(ChangedError):
            data[0 : 2 << 20]


def test_a_file_cut_short_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = modelfiles.saved(modelfiles.conv(), tmp_path)
    status = os.stat(path)
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((*status[:6], 100_000, *status[7:])))
    assert "was changed while it was read" in error_of(path)


def test_messages_that_take_much_memory_are_refused(tmp_path: Path) -> None:
    nodes = b"\x0a\x00" * (MAX_CHILDREN + 1)
    length = bytearray()
    size = len(nodes)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x42\x02\x10\x11\x3a" + bytes(length) + nodes)
    assert f"more than {MAX_CHILDREN:,} messages" in error_of(str(tmp_path / "model.onnx"))
