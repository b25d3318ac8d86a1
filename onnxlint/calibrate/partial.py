"""Results so far, in a file beside the output: an interrupted calibration goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from onnxlint.calibrate.clock import Paired


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What must be the same for results to be put together."""

    machine: str
    runtime: str
    provider: str
    threads: int
    benchmarks: int


class PartialResults:
    """One line of JSON per benchmark behind a line that says where they were measured; a torn last line is left out."""

    def __init__(self, output: Path, circumstances: Circumstances) -> None:
        self.path = output.with_name(f".{output.name}.partial")
        self.found: dict[str, Paired] = {}
        header = json.dumps(asdict(circumstances), sort_keys=True)
        lines = self._lines()
        if lines and lines[0] == header:
            for line in lines[1:]:
                try:
                    record = json.loads(line)
                    name = record.pop("name")
                    self.found[name] = Paired(**record)
                except (ValueError, TypeError, KeyError, AttributeError):
                    continue
        kept = [header, *(self._line(name, paired) for name, paired in self.found.items())]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(kept) + "\n", encoding="utf-8")

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    @staticmethod
    def _line(name: str, paired: Paired) -> str:
        return json.dumps({"name": name, **asdict(paired)})

    def add(self, name: str, paired: Paired) -> None:
        """Keep one result, on disk at once."""
        self.found[name] = paired
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._line(name, paired) + "\n")

    def discard(self) -> None:
        """The profile is written: nothing is left to go on with."""
        self.path.unlink(missing_ok=True)
