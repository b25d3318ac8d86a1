"""Stores the one model of the zoo that is kept as a file: ShuffleNetV2 1x, weights out of ConstantOfShape nodes.

Run from the folder `tests`:

    python -m zoo.store
"""

from __future__ import annotations

from pathlib import Path

import onnx

from zoo import build

STORED = Path(__file__).with_name("shufflenet_v2_x1_0.onnx")


def main() -> None:
    """Write the model beside this file."""
    onnx.save(build("shufflenet_v2_x1_0", weights="constant"), STORED)


if __name__ == "__main__":
    main()
