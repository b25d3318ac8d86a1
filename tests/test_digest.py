"""The SHA-256 beside the lint."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import modelfiles
import pytest

from onnxlint import digest
from onnxlint.digest import Digest
from onnxlint.engine import unreadable
from onnxlint.load import load

REPORT = unreadable("model.onnx", "")


def test_it_is_that_of_the_file(tmp_path: Path) -> None:
    path = modelfiles.saved(modelfiles.conv(), tmp_path)
    found = Digest(load(path), 60).added_to(REPORT).model
    assert found.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert found.notes == ()


def test_another_file_has_none(tmp_path: Path) -> None:
    path = modelfiles.saved(modelfiles.conv(), tmp_path)
    loaded = load(path)
    modelfiles.saved(modelfiles.relu(), tmp_path)
    assert Digest(loaded, 60).added_to(REPORT).model.sha256 is None


def test_a_disk_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(modelfiles.saved(modelfiles.conv(), tmp_path))
    goes_on = threading.Event()

    def hang(path: str) -> int:
        goes_on.wait(30)
        raise OSError

    monkeypatch.setattr(digest, "open_regular", hang)
    model = Digest(loaded, 0.05).added_to(REPORT).model
    goes_on.set()
    assert model.sha256 is None
    assert model.notes == ("its SHA-256 took longer than 0.05 s (raise --timeout)",)
