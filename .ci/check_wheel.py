"""Fails unless the wheel holds every source file of the three packages and nothing that the checkout lacks."""

import sys
import zipfile
from pathlib import Path

PACKAGES = {"onnxlint": "onnxlint", "rules": "onnxlint/rules", "device_profiles": "onnxlint/device_profiles"}
SUFFIXES = {".py", ".toml", ".md", ".typed"}

root = Path(__file__).resolve().parent.parent
(wheel,) = (root / "dist").glob("*.whl")
expected = {
    f"{target}/{path.relative_to(root / folder).as_posix()}"
    for folder, target in PACKAGES.items()
    for path in (root / folder).rglob("*")
    if path.suffix in SUFFIXES and "__pycache__" not in path.parts
}
found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
if found != expected:
    sys.exit(f"{wheel.name}: missing {sorted(expected - found)}, not in the checkout {sorted(found - expected)}")
print(f"{wheel.name}: {len(found)} files, all of them and no others")
