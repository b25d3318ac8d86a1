"""What is made from the rules and profiles is fresh; `--refresh-golden` writes it anew."""

from pathlib import Path

import pytest
from generated import GENERATED, ROOT


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_generated_files_are_fresh(path: Path, request: pytest.FixtureRequest) -> None:
    content = GENERATED[path]()
    if request.config.getoption("--refresh-golden", default=False):
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert path.read_text() == content, "stale: pytest tests/test_generated.py --refresh-golden"
