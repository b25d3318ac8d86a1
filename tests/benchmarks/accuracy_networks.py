"""The networks on which a calibrated profile is tested: the whole zoo, and every export in the folders given."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx  # noqa: E402
from zoo import NETWORKS, build  # noqa: E402
from zoo.weights import fill  # noqa: E402

from onnxlint.measure.weights import fill_absent  # noqa: E402


def networks(folders: Sequence[Path], only: frozenset[str] = frozenset()) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Names and models with weights, nodes named uniquely; zoo networks first. `only`: these, if any is given."""
    for name in NETWORKS:
        if not only or name in only:
            yield name, named(fill(build(name)))
    for folder in folders:
        for path in sorted(folder.glob("*.onnx")):
            name = f"{folder.name}/{path.stem}"
            if not only or name in only:
                model = onnx.load(str(path), load_external_data=False)
                fill_absent(model, folder)
                yield name, named(model)


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every node of the main graph named by its first output, which the runtime's names then tell."""
    for node in model.graph.node:
        node.name = f"<{node.output[0]}>"
    return model
