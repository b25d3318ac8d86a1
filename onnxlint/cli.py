"""The command line: words become a command, errors become one line, what is found becomes an exit code.

typer and all that the commands need is imported where it is used, so that `--help` and `--version` stay instant.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence

from onnxlint import arguments, streams

_OF_WRITING = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; leaves with its exit code."""
    sys.exit(run_main(list(sys.argv[1:] if words is None else words)))


def run_main(words: list[str]) -> int:
    """Carry out the command line and return its exit code; errors are one line on stderr, never a traceback."""
    streams.prepare()
    gc.disable()  # graphs hold no cycles, and searching them for some is a quarter of a large model's time
    # weights are small matrices: threads waiting for each other took ten times as long on a busy machine
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = _dispatch(words)
        streams.flush()
    except (BrokenPipeError, SystemExit):
        # whoever read us has gone (rich says it with a SystemExit)
        streams.discard()
        return 141
    except KeyboardInterrupt:
        streams.discard()
        return 130
    except Exception as error:
        if os.environ.get("ONNXLINT_DEBUG"):
            raise
        _complain(_message_of(error))
        streams.discard()
        return 2
    return code


def _dispatch(words: list[str]) -> int:
    if not words:
        print(f"{arguments.USAGE} (onnxlint --help explains)", file=sys.stderr)  # noqa: T201
        return 2
    if words[0] in arguments.VERSION:
        return _shown_version()
    import typer

    from onnxlint.commands.app import commands

    known = commands()
    name, rest = arguments.split_command(words, known)
    if name == "version":
        return _shown_version()
    program = "onnxlint" if name == arguments.MAIN_COMMAND else f"onnxlint {name}"
    try:
        result = known[name].main(rest, prog_name=program, standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else 0


def _shown_version() -> int:
    streams.write(arguments.VERSION_LINE, None)
    return 0


def _message_of(error: Exception) -> str:
    """One line for any exception: our own errors and typer's usage errors speak for themselves."""
    if hasattr(error, "format_message"):
        return arguments.usage_message(error)
    from onnxlint.binding import BindingError
    from onnxlint.budgets import BudgetError
    from onnxlint.device import DeviceError
    from onnxlint.load import LoadError
    from onnxlint.registry import RuleError

    # our own errors of heavier modules are known by their mark, so that those need not be imported for it
    if isinstance(
        error, BindingError | BudgetError | DeviceError | LoadError | RuleError | streams.OutputError | streams.Refusal
    ):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if error.errno in _OF_WRITING else "")
        return f"{where}: {error.strerror}" if where else error.strerror
    return f"internal error: {type(error).__name__}: {error} (set ONNXLINT_DEBUG=1 for the traceback)"


def _complain(message: str) -> None:
    from onnxlint.text import printable

    print(f"onnxlint: {printable(message, 2000)}", file=sys.stderr)  # noqa: T201
