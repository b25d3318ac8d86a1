"""`onnxlint device`: lists the devices, or prints one's figures."""

from __future__ import annotations

import sys

from onnxlint.device import load_device, profile_names
from onnxlint.output import devices


def show_devices(name: str | None) -> None:
    """List the devices or print one's figures; raises DeviceError."""
    if name is None:
        devices.write_list([load_device(known) for known in profile_names()], sys.stdout)
    else:
        devices.write_page(load_device(name), sys.stdout)
