"""Which operators run on a device, as a page: in full, in part with the limits, not, and of which nobody says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxlint.device import Device
from onnxlint.device_operators import Condition, Operators

_SCALARS = ("op", "reason", "source")


def operators_page(device: Device) -> Iterator[RenderableType]:
    """The heading, a row a class of operators, then a row a condition with who says so."""
    operators = device.operators
    yield Text.assemble(("Operators", "bold"), f": {_general(operators)}")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    typed = [one for one in operators.conditional if _limits(one).keys() == {"dtypes"}]
    rows = (
        ("run", operators.supported),
        ("by type", [f"{one.op} ({', '.join(one.dtypes or ())})" for one in typed]),
        ("do not", operators.unsupported),
        ("not public", operators.unknown),
    )
    for name, found in rows:
        if found:
            grid.add_row(f"  {name}", ", ".join(sorted(found)))
    yield grid
    limited = [one for one in operators.conditional if one not in typed]
    if not limited:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for source, group in groupby(sorted(limited, key=lambda one: one.source), key=lambda one: one.source):
        for one in group:
            table.add_row(f"  {one.op}", Text.assemble(f"{one.reason} ", (f"[{_told(one)}]", "dim")))
        table.add_row("", Text(" ".join(source.split()), style="dim"))
    yield Text("In part:", style="bold")
    yield table


def _general(operators: Operators) -> str:
    """What holds for all of them."""
    words = [f"what no list names is {operators.default}"]
    if operators.max_rank is not None:
        words.append(f"up to {operators.max_rank} dims")
    if operators.max_wide_dims is not None:
        words.append(f"at most {operators.max_wide_dims} dims above 1")
    if operators.static_shapes:
        words.append("every size known when compiled")
    if operators.one_partition:
        words.append("one partition: what follows the first that does not run, does not either")
    if operators.runtime:
        words.append(f"kernels of {operators.runtime}")
    return "; ".join(words)


def _limits(condition: Condition) -> dict[str, object]:
    """The limits that the condition sets, by field."""
    defaults = Condition(op="-", reason="-", source="-")
    fields = [name for name in condition.__struct_fields__ if name not in _SCALARS]
    given = {name: getattr(condition, name) for name in fields}
    return {name: value for name, value in given.items() if value != getattr(defaults, name)}


def _told(condition: Condition) -> str:
    """`max_kernel 7, axes 1 or 3`, as they are checked."""
    parts = []
    for name, value in _limits(condition).items():
        if isinstance(value, bool):
            parts.append(name if value else f"no {name}")
        elif isinstance(value, list):
            parts.append(f"{name} {' or '.join(str(item).replace(' ', '') for item in value)}")
        else:
            parts.append(f"{name} {value}")
    return ", ".join(parts)
