"""The devices as a list, and one device's figures with their sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxlint.device import KERNEL_CLASSES, Device, Figure


def write_list(devices: Sequence[Device], stream: TextIO) -> None:
    """One line a device: name, kind, native precision with its peak, trust, chip."""
    console = Console(file=stream)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("device", "kind", "native", "peak", "trust"):
        table.add_column(title, no_wrap=True)
    table.add_column("chip", ratio=1)
    for device in devices:
        peak = device.peak_ops_per_s(device.native_precision) / 1e12
        table.add_row(
            device.name, device.kind, device.native_precision, f"{peak:.3g} TOPS", device.trust, Text(device.chip)
        )
    console.print(table)


def write_page(device: Device, stream: TextIO) -> None:
    """Every figure with its trust and source."""
    console = Console(file=stream)
    console.print(Text.assemble((device.name, "bold"), f": {device.chip} ({device.kind}, {device.cores} core(s))"))
    for note in device.notes:
        console.print(Text(f"  {note}"))
    console.print()
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("figure", no_wrap=True)
    table.add_column("value", no_wrap=True)
    table.add_column("trust", no_wrap=True)
    table.add_column("source", ratio=1)
    for name, value, trust, source in _figures(device):
        table.add_row(name, value, trust, Text(" ".join(source.split())))
    console.print(table)
    console.print()
    console.print(Text(f"Attainable figures, {device.trust}; spread ±{(device.attainable.spread - 1) * 100:.0f} %"))
    console.print(_sets(device))
    for text in (device.attainable.source, device.attainable.note):
        if text:
            console.print(Text(" ".join(text.split()), style="dim"))
    for code, setting in device.rules.items():
        what = "is silent here" if setting.silent else f"is {setting.severity} here"
        console.print(Text(f"{code} {what}: {setting.reason} ({setting.source})"))


def _figures(device: Device) -> Iterator[tuple[str, str, str, str]]:
    for precision, figure in device.peak_gops.items():
        yield f"peak {precision}", _value(figure, "GOPS"), figure.trust, figure.source
    for name, single, unit in (
        ("bandwidth", device.bandwidth_gb_per_s, "GB/s"),
        ("on-chip memory", device.on_chip_kib, "KiB"),
        ("memory", device.memory_mib, "MiB"),
        ("elements that fill it", device.fill_elements, ""),
    ):
        if single is not None:
            yield name, _value(single, unit), single.trust, single.source
    alignment = device.alignment
    multiples = f"in {alignment.input_channels}, out {alignment.output_channels}"
    yield "channel multiples", multiples, alignment.trust, alignment.source
    if device.transfer is not None:
        transfer = device.transfer
        price = f"{transfer.bandwidth_gb_per_s:g} GB/s, {transfer.sync_us:g} µs"
        yield f"to the host ({device.host})", price, transfer.trust, transfer.source
    yield "fusion", "+".join(device.fusion.epilogue[:4]) or "none", "", device.fusion.source
    yield "toolchain", f"{device.toolchain.quantizes} quantizes", "", device.toolchain.source
    yield "operators", f"else {device.operators.default}", "", device.operators.source


def _value(figure: Figure, unit: str) -> str:
    return f"{figure.value:g} {unit}".strip() if figure.value is not None else "unknown"


def _sets(device: Device) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    classes = [name for name in KERNEL_CLASSES if name != "vector"]
    for name in (*classes, "vector GOPS", "GB/s", "µs/launch"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in device.attainable.sets:
        figures = (one.vector_gops, one.bandwidth_gb_per_s, one.overhead_us)
        table.add_row(*(f"{one.efficiency(name):.3g}" for name in classes), *(f"{figure:g}" for figure in figures))
    return table
