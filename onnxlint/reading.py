"""What a command says of a model that it can't read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxlint.binding import BindingError
from onnxlint.load import LoadError
from onnxlint.text import printable
from onnxlint.timelimit import TimeUp, within


@contextmanager
def reading(path: str, seconds: float) -> Iterator[None]:
    """Bounds the time of what follows, whose errors become LoadErrors with the path in front."""
    try:
        with within(seconds):
            yield
    except (LoadError, BindingError) as error:
        raise LoadError(f"{printable(path)}: {error}") from None
    except TimeUp as error:
        raise LoadError(f"{printable(path)}: {error} (raise --timeout)") from None
