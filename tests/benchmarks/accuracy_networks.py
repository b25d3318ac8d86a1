"""The networks on which a calibrated profile is tested: the whole zoo, and every export in the folders given."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx
from zoo import NETWORKS, build
from zoo.weights import fill

from onnxlint.measure.join import tagged
from onnxlint.measure.weights import fill_absent


def names(folders: Sequence[Path]) -> Iterator[str]:
    """All names: a zoo network's own, an export's as `folder/stem`."""
    yield from NETWORKS
    for folder in folders:
        yield from (f"{folder.name}/{path.stem}" for path in sorted(folder.glob("*.onnx")))


def bare(name: str, folders: Sequence[Path]) -> onnx.ModelProto:
    """The network without its weights' values, as it is linted."""
    if name in NETWORKS:
        return build(name)
    return onnx.load(str(_path(name, folders)), load_external_data=False)


def runnable(name: str, folders: Sequence[Path]) -> onnx.ModelProto:
    """The network with weights (seeded noise where they are absent), its nodes named for the join."""
    model = bare(name, folders)
    if name in NETWORKS:
        return tagged(fill(model))
    fill_absent(model, _path(name, folders).parent)
    return tagged(model)


def _path(name: str, folders: Sequence[Path]) -> Path:
    folder, _, stem = name.partition("/")
    return next(f for f in folders if f.name == folder) / f"{stem}.onnx"
