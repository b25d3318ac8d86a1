"""Functions whose death is caught."""

from __future__ import annotations

import ctypes
import os
import signal
import time

import pytest

from onnxlint.isolated import ChildDied, Limits, call

LIMITS = Limits(timeout_s=10, memory_mb=256)


def test_the_result_comes_back() -> None:
    large = os.urandom(3 << 20)
    assert call(lambda: large, LIMITS) == large
    assert call(lambda: b"", LIMITS) == b""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_named(number: signal.Signals) -> None:
    def crash() -> bytes:
        os.kill(os.getpid(), number)
        return b""

    with pytest.raises(ChildDied, match=f"crashed .*{number.name}"):
        call(crash, LIMITS)


def test_a_null_pointer_is_survived() -> None:
    with pytest.raises(ChildDied, match=r"SIGSEGV|SIGBUS"):
        call(lambda: ctypes.string_at(0), LIMITS)


def test_an_exception_is_named() -> None:
    with pytest.raises(ChildDied, match="ValueError: no"):
        call(_raise, LIMITS)


def _raise() -> bytes:
    raise ValueError("no")


def test_memory_is_bounded() -> None:
    with pytest.raises(ChildDied, match="more than 256 MiB"):
        call(lambda: bytes(1 << 30), LIMITS)


def test_time_is_bounded() -> None:
    start = time.monotonic()
    with pytest.raises(ChildDied, match=r"longer than 0\.2 s"):
        call(lambda: time.sleep(60) or b"", Limits(timeout_s=0.2))
    assert time.monotonic() - start < 5


def test_what_it_prints_is_not_seen(capfd: pytest.CaptureFixture[str]) -> None:
    def loud() -> bytes:
        os.write(1, b"out")
        os.write(2, b"err")
        return b"ok"

    assert call(loud, LIMITS) == b"ok"
    assert capfd.readouterr() == ("", "")


def test_no_children_or_descriptors_are_left() -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        call(lambda: b"x", LIMITS)
        with pytest.raises(ChildDied):
            call(_raise, LIMITS)
    assert len(os.listdir("/dev/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_process_of_many_open_files_can_wait_too() -> None:
    resource = pytest.importorskip("resource")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1200:
        pytest.skip("so many files can't be open here")
    null = os.open(os.devnull, os.O_RDONLY)
    opened = [null, *(os.dup(null) for _ in range(1100))]
    try:
        assert call(lambda: b"here", Limits(timeout_s=1e12, memory_mb=256, processor_s=10)) == b"here"
    finally:
        for descriptor in opened:
            os.close(descriptor)
