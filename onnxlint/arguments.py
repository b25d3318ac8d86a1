"""What the command line asks for: which command, with options allowed before it, and what was meant by a wrong word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from onnxlint import __version__

USAGE = "Usage: onnxlint [OPTIONS] MODEL..."
VERSION_LINE = f"onnxlint {__version__}\n"
MAIN_COMMAND = "check"
COMMANDS = (MAIN_COMMAND, "profile", "rule", "device", "calibrate", "measure")
HELP, VERSION = ("--help", "-h"), ("--version", "-V")
_ALIKE = 0.5
_RANGES = ((re.compile(r"(\S+)<=x<=(\S+)"), r"\1 to \2"), (re.compile(r"x>=(\S+)"), r"\1 or more"))
_NO_CHOICE = re.compile(r"^'(.*)' is not one of ", re.DOTALL)


def split_command(arguments: Sequence[str], commands: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The command and its own words: the first word that is no option and no option's value, if it names a command.

    Else the whole line belongs to the main command. The command is "version" for `--version`.
    """
    takes_value = _options(commands)
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word in VERSION:
            return "version", []
        if word == "--" or word == "-" or not word.startswith("-"):
            break
        index += _width(word, takes_value)
    if index < len(arguments) and arguments[index] in commands:
        return arguments[index], [*arguments[:index], *arguments[index + 1 :]]
    return MAIN_COMMAND, list(arguments)


def _options(commands: Mapping[str, Any]) -> dict[str, bool]:
    """Every option's spelling → whether a value follows it; the main command's meaning wins."""
    known = dict.fromkeys(HELP, False)
    for name in sorted(commands, key=lambda name: name == MAIN_COMMAND):
        for parameter in commands[name].params:
            known |= {spelling: not getattr(parameter, "is_flag", False) for spelling in parameter.opts}
    return known


def _width(word: str, takes_value: Mapping[str, bool]) -> int:
    """How many words the option takes: two where its value stands apart."""
    if word.startswith("--"):
        return 2 if takes_value.get(word, False) else 1
    for place, letter in enumerate(word[1:], 1):
        if takes_value.get(f"-{letter}", False):
            return 2 if place == len(word) - 1 else 1
    return 1


def usage_message(error: Any) -> str:
    """One line for a usage error of typer (of the click inside it, or of the click package)."""
    if getattr(error, "option_name", None) and hasattr(error, "possibilities"):
        known = {spelling.lstrip("-"): spelling for spelling in sorted(error.possibilities or ())}
        near = difflib.get_close_matches(error.option_name.lstrip("-"), known, n=1, cutoff=_ALIKE)
        near = [known[word] for word in near]
        return f"unknown option {error.option_name!r} ({f'did you mean {near[0]!r}?' if near else '--help lists them'})"
    parameter = getattr(error, "param", None)
    wrong = _NO_CHOICE.match(getattr(error, "message", None) or "")
    if wrong is None and parameter is not None and type(error).__name__ == "BadParameter":
        message = " ".join(error.message.split()).rstrip(".")
        for spelled, words in _RANGES:
            message = spelled.sub(words, message)
        return f"{parameter.opts[0]}: {message}"
    if parameter is None or wrong is None:
        return " ".join(str(error.format_message()).split()).rstrip(".").removeprefix("Invalid value: ")
    choices = [str(getattr(choice, "value", choice)) for choice in getattr(parameter.type, "choices", ())]
    near = difflib.get_close_matches(wrong[1].lower(), choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(choices)}"
    return f"{parameter.opts[0]}: unknown value {wrong[1]!r} ({hint})"
