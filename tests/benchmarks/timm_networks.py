"""Export the networks of a table of timm's benchmarks, without weights: only shapes are needed to price them.

    python tests/benchmarks/timm_networks.py FOLDER        (needs torch, timm and onnxscript; minutes)

Networks are those named in the published_timm_*.csv of this folder, exported by PyTorch's default of opset 17
(BatchNorm folded into convolutions) at batch 1 and the row's input size. A file that is there already is kept.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from io import BytesIO
from pathlib import Path

import onnx
import timm
import torch
from timm.layers import set_exportable

FOLDER = Path(__file__).resolve().parent
KEPT_BYTES = 256  # shapes, axes and scalars; anything larger is a weight


def wanted() -> dict[str, tuple[int, ...]]:
    """Network → its input's channels, height and width."""
    found = {}
    for path in sorted(FOLDER.glob("published_timm_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[row["network"]] = tuple(map(int, row["input_size"].split("x")[1:]))
    return found


def export(name: str, size: tuple[int, ...]) -> onnx.ModelProto:
    """The network's graph; its weights stand as external data that is nowhere."""
    model = timm.create_model(name, pretrained=False, exportable=True).eval()
    for parameter in model.parameters():
        parameter.data.zero_()
    buffer = BytesIO()
    torch.onnx.export(model, (torch.zeros(1, *size),), buffer, opset_version=17, dynamo=False)
    proto = onnx.load_from_string(buffer.getvalue())
    for tensor in proto.graph.initializer:
        if len(tensor.raw_data) > KEPT_BYTES:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "weights"
    return proto


def without_initialisation() -> None:
    """Leave new weights as they are: their values are not looked at."""
    for name in ("normal_", "uniform_", "erfinv_"):
        setattr(torch.Tensor, name, lambda self, *_, **__: self)


def main() -> None:
    """Export what is missing in the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    set_exportable(True)
    without_initialisation()
    for name, size in wanted().items():
        path = folder / f"{name}.onnx"
        if path.exists():
            continue
        try:
            data = export(name, size).SerializeToString()
        except Exception as error:  # a network that can't be exported is left out of the fit
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)
            continue
        part = path.with_suffix(".part")
        part.write_bytes(data)
        os.replace(part, path)
        print(name, len(data), flush=True)


if __name__ == "__main__":
    main()
