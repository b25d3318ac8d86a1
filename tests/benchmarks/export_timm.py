"""Export networks of timm by name, at random weights and without storing them, for the fits that name them.

    python tests/benchmarks/export_timm.py FOLDER            # every timm network that a published row names
    python tests/benchmarks/fit_profiles.py --exports FOLDER hailo-8 x5

Needs `pip install torch timm onnxscript`; the package and its tests do not. A row names such a network `timm:NAME` or
`timm:NAME@HEIGHTxWIDTH`, with `:11` behind it where the toolchain wants another opset than 17. Networks that train with
parallel branches (RepVGG, MobileOne, FastViT, …) are fused first, as every table's author does.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PREFIX = "timm:"
SMALL = 1024  # values up to this many elements are kept: shapes, scales, indices


def wanted() -> list[str]:
    """The timm networks that the published rows of this folder name, each once."""
    names: dict[str, None] = {}
    for path in sorted(HERE.glob("published_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            names |= dict.fromkeys(r["network"] for r in csv.DictReader(file) if r["network"].startswith(PREFIX))
    return [name.removeprefix(PREFIX) for name in names]


def file_of(network: str) -> str:
    """The file in which `timm:NAME@SIZE` is kept."""
    return network.removeprefix(PREFIX).replace("/", "_").replace(":", "_opset") + ".onnx"


def export(network: str, folder: Path) -> None:
    """Write one network, reparameterized, with its larger weights left out."""
    import onnx
    import timm
    import torch
    from timm.utils.model import reparameterize_model

    sized, _, opset = network.partition(":")
    name, _, size = sized.partition("@")
    model = timm.create_model(name, pretrained=False, exportable=True).eval()
    model = reparameterize_model(model)
    channels, *plane = model.pretrained_cfg["input_size"]
    height, width = (int(side) for side in size.split("x")) if size else plane
    path = folder / file_of(network)
    torch.onnx.export(
        model, (torch.zeros(1, channels, height, width),), str(path), opset_version=int(opset or 17), dynamo=False
    )
    found = onnx.load(str(path))
    offset = 0
    for tensor in found.graph.initializer:
        count = 1
        for dim in tensor.dims:
            count *= dim
        if count > SMALL:
            offset = _leave_out(tensor, count, offset)
    onnx.save(found, str(path))


def _leave_out(tensor: Any, count: int, offset: int) -> int:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = 1
    for key, text in (("location", "weights.bin"), ("offset", str(offset)), ("length", str(4 * count))):
        tensor.external_data.add(key=key, value=text)
    return offset + 4 * count


def main() -> None:
    """Export what is not in the folder yet."""
    folder = Path(sys.argv[1])
    for network in sys.argv[2:] or wanted():
        if not (folder / file_of(network)).exists():
            export(network, folder)
            print(network, flush=True)


if __name__ == "__main__":
    main()
