"""Finds rules: the packs behind the entry-point group `onnxlint.rules`, and folders named on the command line."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from onnxlint.rule import LoadedRule, Rule
from onnxlint.text import printable
from onnxlint.timelimit import TimeUp, within
from onnxlint.walk import walk

GROUP = "onnxlint.rules"
_CODE = re.compile(r"^([A-Z]+)(\d+)$")


class RuleError(Exception):
    """A rule that does not exist or a rule file that is none."""


@cache
def installed_rules() -> tuple[LoadedRule, ...]:
    """Every rule of every installed pack, by code; raises RuleError for two rules of one code."""
    found: list[LoadedRule] = []
    for point in entry_points(group=GROUP):
        try:
            found += (rule for module in _modules(point.load()) if (rule := _loaded(module)) is not None)
        except (Exception, SystemExit) as error:
            if isinstance(error, RuleError):
                raise
            raise RuleError(f"rule pack {printable(point.name)!r} can't be loaded: {_described(error)}") from None
    if not found:
        raise RuleError("no rules are installed (install onnxlint again: a lint without rules would pass everything)")
    return _ordered(found)


def imported(
    found: Callable[[], Sequence[LoadedRule]], seconds: float, option: str, hint: str = ""
) -> Sequence[LoadedRule]:
    """The rules that `found` gives, which executes files; raises RuleError where that takes more than `seconds`.

    The error names the `option` that asked for it and ends in the `hint`.
    """
    try:
        with within(seconds):
            return found()
    except TimeUp as error:
        raise RuleError(f"{option}: to import them {error}{hint}") from None


def rules_with(folders: Iterable[Path]) -> tuple[LoadedRule, ...]:
    """The installed rules and those in the files of `folders`, which are executed; raises RuleError."""
    found = list(installed_rules())
    for folder in folders:
        if not folder.is_dir():
            raise RuleError(f"--rules: {printable(str(folder))!r} is no folder")
        found += rules_in(folder)
    return _ordered(found)


def rules_in(path: Path, option: str = "--rules") -> list[LoadedRule]:
    """The rules in a file, or in the files of a folder, which are executed; raises RuleError."""
    if path.is_dir():
        rules = [_from_file(file, option) for file in _rule_files(path, option)]
        if not rules:
            raise RuleError(f"{option}: {printable(str(path))!r} holds no rule files")
        return rules
    return [_from_file(path, option)]


def _rule_files(folder: Path, option: str) -> list[Path]:
    """The Python files below the folder but for those that begin with `_`; what can't be listed is no empty folder."""

    def failed(error: OSError) -> None:
        where = printable(str(error.filename or folder))
        raise RuleError(f"{option}: {where!r} can't be listed: {error.strerror}")

    places = walk(str(folder), failed)
    names = (Path(place, name) for place, _, files in places for name in files if name.endswith(".py"))
    return sorted(path for path in names if not path.name.startswith("_"))


def select(
    rules: Sequence[LoadedRule], selected: Sequence[str], extended: Sequence[str], ignored: Sequence[str]
) -> list[LoadedRule]:
    """The rules that `--select`, `--extend-select` and `--ignore` leave; raises RuleError for what matches none.

    A selector is a code, a slug, a family, `ALL`, or a prefix: the whole letter part (`G` is G1-G4, not GRF001) or
    letters and the first digits (`OPS00`).
    """
    chosen = _codes(rules, selected) if selected else {rule.code for rule in rules}
    chosen |= _codes(rules, extended)
    chosen -= _codes(rules, ignored)
    return [rule for rule in rules if rule.code in chosen]


def find_rule(rules: Sequence[LoadedRule], word: str) -> LoadedRule:
    """The rule of that code or slug, in any case; raises RuleError with a did-you-mean."""
    wanted = word.lower()
    for rule in rules:
        if wanted in (rule.code.lower(), rule.name.lower()):
            return rule
    raise RuleError(_unknown(rules, word))


def _codes(rules: Sequence[LoadedRule], selectors: Iterable[str]) -> set[str]:
    codes: set[str] = set()
    for selector in selectors:
        matched = {rule.code for rule in rules if _matches(rule, selector)}
        if not matched:
            raise RuleError(_unknown(rules, selector))
        codes |= matched
    return codes


def _matches(rule: LoadedRule, selector: str) -> bool:
    word = selector.lower()
    if word in ("all", rule.code.lower(), rule.name.lower(), rule.family.lower()):
        return True
    parts = _CODE.match(rule.code)
    if parts is None:
        return False
    letters, digits = parts[1].lower(), parts[2]
    return word.startswith(letters) and digits.startswith(word[len(letters) :])


def _unknown(rules: Sequence[LoadedRule], word: str) -> str:
    known = [name for rule in rules for name in (rule.code, rule.name)] + sorted({rule.family for rule in rules})
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]!r}?" if near else "`onnxlint rule` lists them"
    return f"unknown rule {printable(word)!r} ({hint})"


def _described(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {error}")


def _modules(pack: ModuleType) -> Iterator[ModuleType]:
    yield pack
    for info in pkgutil.walk_packages(getattr(pack, "__path__", []), pack.__name__ + "."):
        yield importlib.import_module(info.name)


def _loaded(module: ModuleType) -> LoadedRule | None:
    rule = getattr(module, "RULE", None)
    if not isinstance(rule, Rule):
        return None
    if not callable(getattr(module, "check", None)):
        raise RuleError(f"rule {rule.code} has no check function")
    return LoadedRule(rule, module.__name__.split(".")[-2], module)


def _from_file(path: Path, option: str) -> LoadedRule:
    if not path.is_file():  # to open a pipe would wait for ever
        raise RuleError(f"{option}: {printable(str(path))!r} {'is no file' if path.exists() else 'does not exist'}")
    name = f"onnxlint_rules_from_folder.{path.resolve().parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RuleError(f"{option}: {printable(str(path))!r} can't be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (KeyboardInterrupt, TimeUp):
        raise
    except BaseException as error:
        raise RuleError(f"{option}: {printable(str(path))!r}: {_described(error)}") from None
    loaded = _loaded(module)
    if loaded is None:
        raise RuleError(f"{option}: {printable(str(path))!r} has no RULE")
    return loaded


def _ordered(found: Iterable[LoadedRule]) -> tuple[LoadedRule, ...]:
    by_code: dict[str, LoadedRule] = {}
    for rule in found:
        if rule.code in by_code:
            raise RuleError(f"two rules have the code {rule.code}")
        by_code[rule.code] = rule
    return tuple(by_code[code] for code in sorted(by_code, key=_by_letters_and_number))


def _by_letters_and_number(code: str) -> tuple[str, int, str]:
    parts = _CODE.match(code)
    return (parts[1], int(parts[2]), code) if parts else (code, 0, code)
