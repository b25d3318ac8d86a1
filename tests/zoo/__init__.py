"""A zoo in code: the architectures of the papers at full size, each with the counts that its paper prints.

`NETWORKS`, and `DETECTORS` for the fits of profiles, map a name to its builder and its published counts;
`build(name, **options)` builds one.  Options of every builder: `weights` ("absent": large weights are external
tensors whose file does not exist; "constant": they come out of ConstantOfShape nodes), `fold_batchnorm`, `batch` (a
number or a name) and `opset`.
"""

from __future__ import annotations

from typing import Any

import onnx

from .network import Network
from .published_detectors import DETECTORS
from .published_large import LARGE
from .published_mobile import MOBILE
from .published_transformers import TRANSFORMERS

__all__ = ["DETECTORS", "NETWORKS", "Network", "build"]

NETWORKS: dict[str, Network] = {**LARGE, **MOBILE, **TRANSFORMERS}


def build(name: str, **options: Any) -> onnx.ModelProto:
    """Build the network of this name."""
    return (NETWORKS.get(name) or DETECTORS[name]).build(**options)
