"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --refresh-golden` writes the stored outputs anew instead of comparing with them."""
    parser.addoption("--refresh-golden", action="store_true", help="write the stored outputs anew")
