"""What a command says of a model that it can't read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice

from onnxlint.arguments import COMMANDS
from onnxlint.binding import BindingError
from onnxlint.load import NO_SUCH_FILE, LoadError
from onnxlint.text import printable
from onnxlint.timelimit import TimeUp, within

_ALIKE = 0.7
_MOST_BESIDE = 10_000


@contextmanager
def reading(path: str, seconds: float) -> Iterator[None]:
    """Bounds the time of what follows, whose errors become LoadErrors with the path in front."""
    try:
        with within(seconds):
            yield
    except (LoadError, BindingError) as error:
        raise LoadError(f"{printable(path)}: {error}{did_you_mean(path, str(error))}") from None
    except TimeUp as error:
        raise LoadError(f"{printable(path)}: {error} (raise --timeout)") from None


def did_you_mean(path: str, error: str) -> str:
    """The command, or the model beside it, that a file which is not there may have been meant for; else nothing."""
    if error != NO_SUCH_FILE:
        return ""
    command = get_close_matches(path, COMMANDS, n=1, cutoff=_ALIKE)
    if command:
        return f" (did you mean the command {command[0]!r}?)"
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            beside = [entry.name for entry in islice(entries, _MOST_BESIDE) if entry.name.lower().endswith(".onnx")]
    except (OSError, ValueError):
        return ""
    near = get_close_matches(name, beside, n=1, cutoff=_ALIKE)
    return f" (did you mean {printable(os.path.join(folder, near[0]))!r}?)" if near else ""
