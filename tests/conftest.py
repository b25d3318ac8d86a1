"""Options of the test run, and the folder that command lines are run in."""

from __future__ import annotations

from pathlib import Path

import modelfiles
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("shared machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --refresh-golden` writes the stored outputs anew instead of comparing with them."""
    parser.addoption("--refresh-golden", action="store_true", help="write the stored outputs anew")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with `model.onnx`, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    modelfiles.saved(modelfiles.relu(), tmp_path)
    return tmp_path
