"""`onnxlint profile`: one model's per-layer table, or its kernels on the roofline."""

from __future__ import annotations

from pathlib import Path

from onnxlint import streams
from onnxlint.analysis import Analysis
from onnxlint.engine import report_on
from onnxlint.formula import with_formulas
from onnxlint.output import profile_table, roofline_page
from onnxlint.output.profile_rows import ProfileView
from onnxlint.reading import reading
from onnxlint.roofline import roofline_of
from onnxlint.run.models import devices_of, read
from onnxlint.settings import Settings
from onnxlint.target import target_for


def write_profile(
    path: str,
    device_name: str,
    chosen: Settings,
    view: ProfileView,
    output_file: Path | None,
    *,
    on_roofline: bool = False,
) -> int:
    """Write one model's per-layer table, or its kernels on the roofline; returns the exit code.

    Raises LoadError with the path in front, DeviceError and OutputError.
    """
    (device,) = devices_of([device_name], chosen)
    streams.check_output(output_file, [path])
    with reading(path, chosen.limits.timeout_s):
        loaded, model = read(path, chosen)
        analysis = Analysis(model.graph, target_for(device, chosen.precision, model.bound.batch_factor))
        report = report_on(model, analysis, [], chosen, bytes_alone=view.by == "node")
        report = with_formulas(report, loaded.proto, device, chosen)
    with streams.writing(output_file) as stream:
        if on_roofline:
            roofline_page.write(report, roofline_of(analysis), stream, view)
        else:
            profile_table.write(report, stream, view)
    return 1 if report.incomplete else 0
