"""Makes a model runnable whose weights were not pulled: absent tensors are filled with seeded noise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxlint.calibrate.sessions import RuntimeProblem
from onnxlint.external import ExternalDataError, needed_bytes, open_weights, place_of
from onnxlint.tensors import all_tensors

_BATCHNORM_SLOTS = {1: "scale", 2: "bias", 3: "bias", 4: "scale"}
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose", "Gemm"})
_MOST_BYTES = 1 << 31
Noise = np.ndarray[Any, Any]


def fill_absent(
    model: onnx.ModelProto, folder: Path | None = None, seed: int = 0, most_bytes: int = _MOST_BYTES
) -> int:
    """Give every external tensor its values, from its file inside `folder` where it lies there, else noise.

    Returns the number of tensors that were made up. Noise is scaled by fan-in, so that activations neither die nor
    overflow; scales and variances are about 1. Those of attributes, bodies and functions have theirs too: what is left
    external, the runtime would open wherever it says it lies. Raises RuntimeProblem above `most_bytes` of noise.
    """
    uses = {name: (node, slot) for node in model.graph.node for slot, name in enumerate(node.input)}
    rng = np.random.default_rng(seed)
    made_up, room = 0, most_bytes
    for tensor in list(all_tensors(model)):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        if folder is not None and _pull(tensor, folder):
            continue
        node, slot = uses.get(tensor.name, (None, 0))
        room -= needed_bytes(tensor) or 0
        if room < 0:
            raise RuntimeProblem(
                f"more than {most_bytes >> 20} MiB of its weights are absent and would be made up (fetch them, or "
                "allow more by --max-memory-mb)"
            )
        values = _noise(rng, list(tensor.dims), helper.tensor_dtype_to_np_dtype(tensor.data_type), node, slot)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        made_up += 1
    return made_up


def _pull(tensor: onnx.TensorProto, folder: Path) -> bool:
    """Read the tensor's values from its file, which must lie inside the folder."""
    needed = needed_bytes(tensor)
    if needed is None or needed > _MOST_BYTES:
        return False
    try:
        place = place_of(tensor)
        with open_weights(folder, place.location, place.offset, needed) as weights:
            tensor.raw_data = weights.read()
    except (OSError, ExternalDataError):
        return False
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]
    return True


def _noise(
    rng: np.random.Generator, dims: list[int], dtype: np.dtype[Any], node: onnx.NodeProto | None, slot: int
) -> Noise:
    if not np.issubdtype(dtype, np.floating):
        return rng.integers(0, 2, dims).astype(dtype)
    op = node.op_type if node is not None else ""
    role = _BATCHNORM_SLOTS.get(slot, "bias") if op == "BatchNormalization" else ""
    if role == "scale" or (op in ("LayerNormalization", "InstanceNormalization", "PRelu") and slot == 1):
        return rng.uniform(0.5, 1.5, dims).astype(dtype)
    values = rng.standard_normal(dims, dtype=np.float32)
    if op in _CONVOLUTIONS and slot == 1:
        return (values * math.sqrt(2 / max(1, math.prod(dims[1:])))).astype(dtype)
    if op == "MatMul" and len(dims) > 1:
        return (values / math.sqrt(dims[-2])).astype(dtype)
    return (values * 0.1).astype(dtype)
