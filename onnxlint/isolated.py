"""Runs a function where its death is caught: a forked child with limits on memory, processor time and wall time."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_MEMORY_MB = 4096
_PR_SET_PDEATHSIG = 1
_OVER_TIME = (signal.SIGPROF, signal.SIGXCPU)
_MAX_ANSWER_BYTES = 1 << 28
_LONGEST_WAIT_S = 86400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use: wall seconds, MiB of address space beyond what the parent already has, processor seconds.

    None for the last two: by the size of what is worked on (see `sized`). Infinite processor seconds set no timer of
    the processor's time: where one runs, Linux tells that time in steps of some milliseconds only.
    """

    timeout_s: float = 60.0
    memory_mb: int | None = None
    processor_s: float | None = None

    def sized(self, size_bytes: int, nodes: int) -> Limits:
        """The limits for a model of so many bytes, weights left out, and nodes."""
        # a graph that is padded to be large gets no gigabytes for what is small in it
        memory_mb = min(2048, 512 + 20 * (size_bytes >> 20)) if self.memory_mb is None else self.memory_mb
        seconds = 3.0 + nodes / 400 if self.processor_s is None else self.processor_s
        return Limits(self.timeout_s, memory_mb, min(seconds, self.timeout_s))


class ChildDied(Exception):
    """The child gave no result; `str()` says why: a signal, a limit or an exception."""

    is_quick = True
    """It did not use up its time."""


def call(function: Callable[[], bytes], limits: Limits) -> bytes:
    """Return what `function` returns, run in a forked child; raises ChildDied.

    The fork inherits the parent's imports and data, so it starts in milliseconds. Where the system can't fork, the
    function is not run at all.
    """
    if not hasattr(os, "fork"):
        raise ChildDied("this system can't isolate native code (no fork)")
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(function, writer, limits, parent)
    with contextlib.suppress(OSError):  # whichever of the two comes first
        os.setpgid(child, child)
    os.close(writer)
    try:
        answer = _read_all(reader, time.monotonic() + limits.timeout_s)
    except TimeoutError:
        raise _too_slow(f"took longer than {limits.timeout_s:g} s") from None
    finally:
        os.close(reader)
        _kill(child)
        status = _status_of(child)
    if not answer:
        code = os.waitstatus_to_exitcode(status)
        if -code in _OVER_TIME:
            raise _too_slow(f"took more than {limits.processor_s or limits.timeout_s:g} s of processor time")
        raise ChildDied(f"crashed ({signal.Signals(-code).name})" if code < 0 else "ended without a result")
    if answer[:1] == b"E":
        raise ChildDied(answer[1:].decode("utf-8", "replace"))
    return answer[1:]


def _status_of(child: int) -> int:
    """How the child ended; 0 where whoever started us has its children's ends thrown away."""
    try:
        return os.waitpid(child, 0)[1]
    except ChildProcessError:
        return 0


def _kill(child: int) -> None:
    """Kill the child and all that it started."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)


def _leave_group(parent: int) -> None:
    """A process group of our own, which ends with the parent where the system can see to it."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it had died before
            os._exit(1)


def _too_slow(why: str) -> ChildDied:
    died = ChildDied(why)
    died.is_quick = False
    return died


def _run_child(function: Callable[[], bytes], writer: int, limits: Limits, parent: int) -> None:
    """Never returns: writes `R` + result or `E` + reason, then leaves without running the parent's exit handlers."""
    memory_mb = DEFAULT_MEMORY_MB if limits.memory_mb is None else limits.memory_mb
    try:
        import resource

        # whoever started us may have it write tracebacks to a stream of its own
        faulthandler.disable()
        _leave_group(parent)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        if limits.processor_s != math.inf:
            seconds = max(1, int(limits.timeout_s) + 1)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limits.processor_s is not None and limits.processor_s != math.inf:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, limits.processor_s)
        space = _address_space_bytes() + memory_mb * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
        answer = b"R" + function()
    except MemoryError:
        answer = f"Eneeded more than {memory_mb} MiB".encode()
    except BaseException as error:
        answer = f"E{type(error).__name__}: {error}".encode("utf-8", "replace")[:500]
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
    finally:
        os._exit(0)


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 2**31


def _read_all(descriptor: int, deadline: float) -> bytes:
    pieces: list[bytes] = []
    room = _MAX_ANSWER_BYTES
    waiting = select.poll()  # select() takes no descriptor above 1023
    waiting.register(descriptor, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(math.ceil(1000 * min(left, _LONGEST_WAIT_S))):
            raise TimeoutError
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise ChildDied(f"gave more than {_MAX_ANSWER_BYTES >> 20} MiB")
