"""What a graph is priced for."""

from __future__ import annotations

from dataclasses import dataclass

from onnxlint.device import Device, load_device
from onnxlint.device_types import Precision
from onnxlint.latency import Machine
from onnxlint.support import SupportTable


@dataclass(frozen=True, slots=True)
class Target:
    """A device at a precision, its host, and how often a fixed batch is repeated."""

    device: Device
    precision: Precision
    host: Device
    batch_factor: int
    table: SupportTable
    machine: Machine
    host_machine: Machine


def target_for(device: Device, precision: Precision | None = None, batch_factor: int = 1) -> Target:
    """The Target for a device; raises DeviceError for a precision that it lacks or a host that does not exist."""
    host = load_device(device.host) if device.host else device
    chosen = precision or device.native_precision
    machine = Machine(device, chosen)
    host_machine = Machine(host, host.native_precision) if device.host else machine
    return Target(device, chosen, host, batch_factor, SupportTable(device), machine, host_machine)
