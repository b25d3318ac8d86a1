"""A static analyzer for ONNX graphs that prices each fault on the device you ship to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxlint.api import lint, lint_model

__all__ = ["__version__", "lint", "lint_model"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # The API imports onnx, which `--version` and `--help` do without.
    if name in ("lint", "lint_model"):
        from onnxlint import api

        return getattr(api, name)
    raise AttributeError(f"module 'onnxlint' has no attribute {name!r}")
