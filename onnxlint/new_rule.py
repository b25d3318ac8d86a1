"""Writes a rule file to start from: a page, a check that works, examples that pass."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from onnxlint.registry import RuleError, installed_rules
from onnxlint.streams import write_new
from onnxlint.text import printable

_FAMILY = re.compile(r"[a-z][a-z0-9_]*")
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CODE = re.compile(r"([A-Z]+)([0-9]+)")

_TEMPLATE = '''"""Elu activations: say here in one line what the rule finds.

## What it does
Finds Elu activations at run time. Say what is found: by structure, never by names.

## Why it costs
Say why, with the source of every number (a paper's table, a vendor's page).

## How to fix
Say what to do instead, with numbers, and where the rule is silent.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix, Insert, Remove
from onnxlint.rule import Context, Invalid, Rule, Valid

RULE = Rule(code="{code}", name="{slug}", severity="warning")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all places: the engine prices its fixes, the rule states no saving."""
    found = [node for node in ctx.graph.compute_nodes if node.op_type == "Elu" and not node.domain]
    if not found:
        return
    edits = [edit for node in found for edit in (Remove(node.key), Insert("Relu", node.inputs, node.outputs))]
    yield Finding(
        message=f"{{len(found)}} Elu activations",
        suggestion="Train with Relu.",
        nodes=tuple(node.key for node in found),
        places=len(found),
        fixes=(Fix("Relu in place of Elu", "lossy", tuple(edits)),) if ctx.runs(edits) else (),
    )


VALID = [
    Valid(
        """
        other (float[1,8,4,4] x) => (float[1,8,4,4] y) {{
          y = Relu(x)
        }}
        """
    )
]
INVALID = [
    Invalid(
        """
        elu (float[1,8,4,4] x) => (float[1,8,4,4] y) {{
          a = Elu(x)
          y = Elu(a)
        }}
        """,
        places=2,
    )
]
'''


def write_rule(place: str) -> tuple[Path, str]:
    """Write `FOLDER/FAMILY/SLUG` as a new file; its path and the rule's code. Raises RuleError."""
    folder, slug = Path(place).parent, Path(place).name
    family = folder.name
    if not _FAMILY.fullmatch(family) or not _SLUG.fullmatch(slug):
        raise RuleError(f"--new: {printable(place)!r} is no FAMILY/SLUG (as in 'operators/slow-activation')")
    path = folder / f"{slug.replace('-', '_')}.py"
    if path.exists() or path.is_symlink():
        raise RuleError(f"--new: {printable(str(path))!r} is there already (it is not overwritten)")
    code = _next_code(family, _codes_in(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_new(_TEMPLATE.format(code=code, slug=slug), path)
    except OSError as error:
        raise RuleError(f"--new: {printable(str(path))!r}: {error.strerror}") from None
    return path, code


def _codes_in(folder: Path) -> set[str]:
    """The codes that the folder's files bear, read as text: nothing is executed."""
    files = folder.glob("*.py") if folder.is_dir() else ()
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    return {found for text in texts for found in re.findall(r'\bcode="([A-Z]+[0-9]+)"', text)}


def _next_code(family: str, beside: Iterable[str]) -> str:
    """The letters that the family's rules have (else its own first three) and the number behind the highest."""
    installed = installed_rules()
    own = [parts for rule in installed if rule.family == family and (parts := _CODE.fullmatch(rule.code))]
    own += [parts for code in beside if (parts := _CODE.fullmatch(code))]
    letters = re.sub(r"[^a-z]", "", family)[:3].upper()
    if own:
        letters = Counter(parts[1] for parts in own).most_common(1)[0][0]
    taken = {rule.code for rule in installed} | set(beside)
    used = [parts for code in taken if (parts := _CODE.fullmatch(code)) and parts[1] == letters]
    width = min((len(parts[2]) for parts in used), default=3)
    return f"{letters}{max((int(parts[2]) for parts in used), default=0) + 1:0{width}}"
