"""What was recognised in a model: the structures by kind, with their key numbers and their share of the time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TextIO

from onnxlint.analysis import Analysis
from onnxlint.output.json import harmless
from onnxlint.output.screen import screen
from onnxlint.patterns.structures import Structure, structures
from onnxlint.text import printable
from onnxlint.units import percent, seconds

if TYPE_CHECKING:
    from rich.console import Console

_MOST_LINES = 6


@dataclass(frozen=True, slots=True)
class StructureRow:
    """All places of one kind with the same numbers; seconds are those of the kernels that they are part of."""

    kind: str
    numbers: str
    count: int
    latency_s: float
    share: float
    places: tuple[str, ...]


def rows_of(analysis: Analysis) -> list[StructureRow]:
    """The structures of the graph, kind by kind, alike ones together, the dearest first within a kind."""
    groups: dict[tuple[str, str], list[Structure]] = {}
    for kind, found in structures(analysis.graph):
        groups.setdefault((kind, found.numbers), []).append(found)
    rows = [_row(analysis, kind, numbers, found) for (kind, numbers), found in groups.items()]
    order = {kind: index for index, kind in enumerate(dict.fromkeys(row.kind for row in rows))}
    return sorted(rows, key=lambda row: (order[row.kind], -row.latency_s))


def _row(analysis: Analysis, kind: str, numbers: str, found: Sequence[Structure]) -> StructureRow:
    spent = float(analysis.seconds_of(node for one in found for node in one.nodes).mean())
    total = float(analysis.total.mean())
    places = tuple(one.nodes[-1].outputs[0] for one in found if one.nodes)
    return StructureRow(kind, numbers, len(found), spent, spent / total if total else 0.0, places)


def write(analysis: Analysis, path: str, stream: TextIO, output_format: str) -> None:
    """Write the rows as a table or as JSON."""
    rows = rows_of(analysis)
    if output_format == "json":
        content = {"schema_version": 1, "model": path, "device": analysis.target.device.name}
        stream.write(harmless(json.dumps({**content, "structures": [asdict(row) for row in rows]}, indent=2) + "\n"))
        return
    with screen(stream) as console:
        _table(analysis, path, rows, console)


def _table(analysis: Analysis, path: str, rows: Sequence[StructureRow], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    device = analysis.target.device.name
    if not rows:
        console.print(f"{printable(path)}: no structure is recognised", markup=False, highlight=False)
        return
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("structure", no_wrap=True)
    for title in ("places", "time", "share"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("numbers", overflow="ellipsis", no_wrap=True)
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row for row in rows if row.kind == kind]
        shown = own[:_MOST_LINES] if len(own) > _MOST_LINES + 1 else own
        for index, row in enumerate(shown):
            name = Text(kind if index == 0 else "", style="bold")
            table.add_row(name, str(row.count), seconds(row.latency_s), percent(row.share), Text(row.numbers))
        rest = own[len(shown) :]
        if rest:
            count, spent = sum(row.count for row in rest), sum(row.latency_s for row in rest)
            share = percent(sum(row.share for row in rest))
            table.add_row("", str(count), seconds(spent), share, Text(f"({len(rest)} more sizes)", style="dim"))
    console.print(table)
    places = sum(row.count for row in rows)
    line = f"{printable(path)} on {device}: {places} places of {len({row.kind for row in rows})} kinds; "
    line += "structures lie within each other: their shares overlap"
    console.print(line, style="bold", markup=False, highlight=False)
