"""What is shipped: every file of the three folders, in the wheel and in the source archive, and no others."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"onnxlint": "onnxlint", "rules": "onnxlint/rules", "device_profiles": "onnxlint/device_profiles"}
SUFFIXES = {".py", ".toml", ".md", ".typed"}
LOCAL = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")


def sources(folder: str) -> set[str]:
    """The paths of a folder's files, relative to it."""
    return {
        path.relative_to(ROOT / folder).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts
    }


def has_setuptools() -> bool:
    try:
        return int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, built from a clean copy."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, folder / "source", ignore=LOCAL)
    options = ["--no-isolation"] if has_setuptools() else []
    command = [sys.executable, "-m", "build", *options, "--outdir", str(folder / "dist"), str(folder / "source")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    if result.returncode and not options and "setuptools" in result.stdout + result.stderr:
        pytest.skip("the build needs setuptools 77 or newer: neither here nor to be had")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "dist"


def test_the_wheel_holds_every_source_and_no_other(archives: Path) -> None:
    (wheel,) = archives.glob("*.whl")
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == {f"{target}/{name}" for folder, target in FOLDERS.items() for name in sources(folder)}


def test_the_source_archive_holds_what_the_wheel_is_built_from(archives: Path) -> None:
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        found = {name.partition("/")[2] for name in opened.getnames()}
    assert {f"{folder}/{name}" for folder in FOLDERS for name in sources(folder)} <= found
    assert {"pyproject.toml", "README.md", "LICENSE"} <= found


def test_the_wheel_names_its_entry_points_and_licence(archives: Path) -> None:
    (wheel,) = archives.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        texts = {Path(name).name: opened.read(name).decode() for name in opened.namelist() if ".dist-info/" in name}
    assert "onnxlint = onnxlint.cli:main" in texts["entry_points.txt"]
    assert "[onnxlint.rules]\nonnxlint = onnxlint.rules" in texts["entry_points.txt"]
    assert "License-Expression: MIT" in texts["METADATA"]
    assert "LICENSE" in texts
