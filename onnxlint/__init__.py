"""A static analyzer for ONNX graphs that prices each fault on the device you ship to."""

import sys

if not sys.flags.safe_path and sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].endswith("onnxlint"):
    # `python -m onnxlint` puts the working directory first, where a stranger's `typing.py` may lie: before any import
    del sys.path[0]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from onnxlint.api import lint, lint_model

__all__ = ["__version__", "lint", "lint_model"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # The API imports onnx, which `--version` and `--help` do without.
    if name in ("lint", "lint_model"):
        from onnxlint import api

        return getattr(api, name)
    raise AttributeError(f"module 'onnxlint' has no attribute {name!r}")
