"""`onnxlint profile --structure`: the structures that are recognised in one model."""

from __future__ import annotations

from pathlib import Path

from onnxlint import streams
from onnxlint.analysis import Analysis
from onnxlint.output import structure_table
from onnxlint.reading import reading
from onnxlint.run.models import devices_of, read
from onnxlint.settings import Settings
from onnxlint.target import target_for


def write_structures(
    path: str, device_name: str, chosen: Settings, output_format: str, output_file: Path | None
) -> int:
    """Write the structures that are recognised in one model; returns the exit code.

    Raises LoadError with the path in front, DeviceError and OutputError.
    """
    (device,) = devices_of([device_name], chosen)
    if output_format == "csv":
        raise streams.OutputError("--structure is written as a table or as json")
    streams.check_output(output_file, [path])
    with streams.writing(output_file) as stream, reading(path, chosen.limits.timeout_s):
        _, model = read(path, chosen)
        analysis = Analysis(model.graph, target_for(device, chosen.precision, model.bound.batch_factor))
        structure_table.write(analysis, path, stream, output_format)
    return 1 if model.incomplete or analysis.unknown_nodes else 0
