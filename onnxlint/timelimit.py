"""A limit on the wall time of what this process itself does; native code has its own, in children (see isolated)."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_AGAIN_S = 1.0


class TimeUp(BaseException):
    """The time is over; `str()` says so. No Exception, so that no handler for a stranger's faults takes it for one."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeUp in what is done here once it has taken so long; again a second later where that was swallowed.

    Works in the main thread of systems with timers, and does nothing elsewhere.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeUp(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
    try:
        yield
    finally:
        try:
            is_up()
        finally:  # the signal may come at the very end
            is_up()
            signal.signal(signal.SIGALRM, before)


def is_up() -> None:
    """TimeUp was heard: do not raise it again."""
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)
