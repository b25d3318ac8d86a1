"""The devices as a list, and one device's figures with their sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxlint.device import Device
from onnxlint.device_tables import Figure, QuantizedForms
from onnxlint.device_types import INTEGER_CLASSES, KERNEL_CLASSES
from onnxlint.output.device_operators import operators_page
from onnxlint.output.first_screen import hanging
from onnxlint.output.screen import listing, screen
from onnxlint.units import operations, rate

_QUANTIZES = {"toolchain": "quantized by the toolchain", "model": "stay float: int8 takes a quantized one"}


def write_list(devices: Sequence[Device], stream: TextIO) -> None:
    """Every device: name, kind, native precision with its peak, trust, chip."""
    rows = [
        (
            device.name,
            device.kind,
            device.native_precision,
            operations(device.peak_ops_per_s(device.native_precision)),
            device.trust,
            device.chip,
        )
        for device in devices
    ]
    with screen(stream) as console:
        console.print(listing(("device", "kind", "native", "peak", "trust", "chip"), rows, console.width))


def write_page(device: Device, stream: TextIO) -> None:
    """Every figure with its trust and source, then what the device attains in practice."""
    with screen(stream) as console:
        _page(device, console)


def _page(device: Device, console: Console) -> None:
    cores = "one core" if device.cores == 1 else f"{device.cores} cores"
    console.print(Text.assemble((device.name, "bold"), f": {device.chip} ({device.kind}, {cores})"))
    for note in device.notes:
        console.print(hanging("  ·", Text(note)))
    console.print()
    for name, value, trust, source in _figures(device):
        console.print(Text.assemble((name, "bold"), f": {value}", (f" ({trust})" if trust else "", "dim")))
        console.print(hanging("   ", Text(" ".join(source.split())), "dim"))
    console.print()
    basis = device.attainable
    console.print(Text(f"Attained in practice ({device.trust}, widened by {(basis.spread - 1) * 100:.0f} %)", "bold"))
    console.print(_attained(device))
    for text in (basis.source, basis.note):
        if text:
            console.print(hanging("   ", Text(" ".join(text.split())), "dim"))
    console.print()
    for part in operators_page(device):
        console.print(part)
    for code, setting in device.rules.items():
        what = "is silent here" if setting.silent else f"is {setting.severity} here"
        console.print(hanging(code, Text(f"{what}: {setting.reason} ({setting.source})")))


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
    yield "fusion", ", ".join(device.fusion.epilogue) or "none", "", device.fusion.source
    yield "float models", _QUANTIZES[device.toolchain.quantizes], "", device.toolchain.source
    if device.quantized is not None:
        yield "quantized models", _forms(device.quantized), "", device.quantized.source
    if device.skips_zeros is not None:
        yield "skips zeros", device.skips_zeros.form, "", device.skips_zeros.source
    yield "operators", f"what no list names is {device.operators.default}", "", device.operators.source


def _forms(forms: QuantizedForms) -> str:
    if not forms.weights:
        return "none: it takes float models alone"
    words = [
        f"{' or '.join(types)} {what}{' (symmetric)' if is_symmetric else ''}"
        for types, what, is_symmetric in (
            (forms.activations, "activations", forms.symmetric_activations),
            (forms.weights, "weights", forms.symmetric_weights),
        )
    ]
    return ", ".join(words) + (", per channel" if forms.per_channel_weights else ", per tensor")


def _value(figure: Figure, unit: str) -> str:
    return f"{figure.value:,.7g} {unit}".strip() if figure.value is not None else "unknown"


def _attained(device: Device) -> Table:
    """The range of each figure over the parameter sets."""
    sets = device.attainable.sets
    table = Table.grid(padding=(0, 2))
    for name in KERNEL_CLASSES:
        is_integer = name in INTEGER_CLASSES
        if name == "vector" or (is_integer and ("int8" not in device.precisions or device.native_precision == "int8")):
            continue
        peak = "of the int8 peak, in a quantized model" if is_integer else "of the peak"
        table.add_row(f"  {name}", _range([one.efficiency(name) for one in sets]), peak)
    table.add_row("  element-wise", _range([one.vector_gops for one in sets]), "GOPS")
    table.add_row("  memory", _range([one.bandwidth_gb_per_s for one in sets]), "GB/s")
    table.add_row("  launch", _range([one.overhead_us for one in sets]), "µs")
    return table


def _range(values: list[float]) -> str:
    low, high = (f"{value:.3g}" if value < 1e3 else rate(value) for value in (min(values), max(values)))
    return low if low == high else f"{low}–{high}"
