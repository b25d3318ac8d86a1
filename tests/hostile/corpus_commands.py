"""Every command on hostile paths, and `measure` on models that never end, swell, or say more than there is."""

# ruff: noqa: E501
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from hostile.corpus import ANY, ERROR, HUGE, add, body, node, written
from hostile.corpus_system import short_calibration
from modelfiles import conv, model_of, weights
from onnx import TensorProto, helper, numpy_helper

PATHS: dict[str, str] = {
    "a pipe": "fifo", "a folder": "folder", "an empty name": "", "a dead link": "dead", "a link to itself": "itself", "a link to /dev/zero": "zero",
    "a link to the pipe": "piped", "nothing": "nothing.toml", "below a file": "model.onnx/x", "text": "text", "bytes": "bytes", "an empty file": "empty",
    "/dev/zero": "/dev/zero", "/dev/stdin": "/dev/stdin", "/dev/full": "/dev/full", "/proc/self/mem": "/proc/self/mem", "/proc/self/environ": "/proc/self/environ",
    "the root": "/", "escapes": "\x1b[31m\x07", "a workflow command": "::error::x", "two lines": "a\n::error::b", "bidi": "\u202eabc", "no utf-8": os.fsdecode(b"\xff\xfe"),
    "5000 letters": "a" * 5000, "3000 levels": "a/" * 3000, "up and away": "../" * 100 + "nowhere", "markup": "[red]x[/]", "-": "-",
}  # fmt: skip
COMMANDS: dict[str, tuple[str, ...]] = {
    "device": ("device", "PATH"),
    "rule --test": ("rule", "--test", "PATH"),
    "rule --rules": ("rule", "--rules", "PATH"),
    "rule --new": ("rule", "--new", "PATH"),
    "rule": ("rule", "PATH"),
    "measure": ("measure", "PATH", "-d", "generic"),
    "measure for": ("measure", "model.onnx", "--seconds", "0.1", "-d", "PATH"),
    "measure into": ("measure", "model.onnx", "--seconds", "0.1", "-d", "generic", "-o", "PATH"),
    "profile": ("profile", "PATH"),
    "profile for": ("profile", "model.onnx", "-d", "PATH"),
    "profile into": ("profile", "model.onnx", "-o", "PATH"),
    "lint into": ("model.onnx", "--output-format", "json", "-o", "PATH"),
    "calibrate into": ("calibrate", "--budget", "0.1", "--quiet", "-o", "PATH"),
    "calibrate named": ("calibrate", "--budget", "0.1", "--quiet", "-o", "new.toml", "--name", "PATH"),
}


def prepared(folder: Path, words: tuple[str, ...], path: str) -> list[str]:
    written(folder, data=conv().SerializeToString())
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    for name, target in {"dead": "nowhere", "itself": "itself", "zero": "/dev/zero", "piped": "fifo"}.items():
        (folder / name).symlink_to(target)
    for name, data in {"text": b"hello\n", "bytes": bytes(range(256)), "empty": b""}.items():
        (folder / name).write_bytes(data)
    return [path if word == "PATH" else word for word in words]


def unchanged(folder: Path) -> list[str]:
    """No file is written through a link, and none outside of the folder."""
    found = [
        f"{name} is no link any more"
        for name in ("dead", "itself", "zero", "piped")
        if not (folder / name).is_symlink()
    ]
    return found + ["written through a link"] * (folder / "nowhere").exists()


def commands() -> None:
    for command, words in COMMANDS.items():
        is_calibration = words[0] == "calibrate"
        for what, path in PATHS.items():
            if command == "rule --new" and path.startswith("/dev/"):  # a folder and a slug
                continue
            add(f"command: {command} {what}", ANY if command.endswith(("into", "named")) else ERROR,
                lambda f, w=words, p=path: prepared(f, w, p), raw=True, after=unchanged,
                before=short_calibration if is_calibration else None, spawns=not is_calibration)  # fmt: skip


# --- what is measured ------------------------------------------------------------------------------------------------------


def looped(step: onnx.NodeProto, trips: int = HUGE) -> onnx.ModelProto:
    """A step on the image, again and again."""
    inner = body(step, node("Identity", ["go"], ["on"]), outputs="on r")
    for at, (name, dtype) in enumerate((("i", TensorProto.INT64), ("go", TensorProto.BOOL), ("s", 1))):
        inner.input.insert(at, helper.make_tensor_value_info(name, dtype, [] if dtype != 1 else None))
    inner.output[0].type.tensor_type.elem_type = TensorProto.BOOL
    count = numpy_helper.from_array(np.array(trips, np.int64), "n")
    return model_of([node("Loop", ["n", "", "x"], ["y"], body=inner)], {"x": [1, 3, 8, 8]}, {"y": None}, [count])


def sized(op: str, *dims: int) -> onnx.ModelProto:
    """A node whose result has these dims, then one that reads it."""
    size = numpy_helper.from_array(np.array(dims, np.int64), "s")
    return model_of([node(op, ["x", "s"], ["a"]), node("Relu", ["a"], ["y"])], {"x": [1]}, {"y": None}, [size])


def folded(*dims: int) -> onnx.ModelProto:
    """A constant that the runtime computes as it loads the model."""
    size, one = (
        numpy_helper.from_array(np.array(v, t), n) for v, t, n in ((dims, np.int64, "s"), ([1], np.float32, "c"))
    )
    return model_of(
        [node("Expand", ["c", "s"], ["a"]), node("Add", ["a", "x"], ["y"])], {"x": [1]}, {"y": None}, [size, one]
    )


def absent(*dims: int, location: str = "gone.bin") -> onnx.ModelProto:
    return model_of(
        [node("MatMul", ["x", "w"], ["y"])], {"x": [1, dims[0]]}, {"y": None}, [weights("w", *dims, external=location)]
    )


MEASURED: dict[str, tuple[str, Callable[[], onnx.ModelProto]]] = {
    "a loop without end": (ERROR, lambda: looped(node("Relu", ["s"], ["r"]))),
    "a loop that doubles": (ERROR, lambda: looped(node("Concat", ["s", "s"], ["r"], axis=0))),
    "an expansion to 8 GB": (ERROR, lambda: sized("Expand", 2**31)),
    "an expansion to 2 GB": (ERROR, lambda: sized("Expand", 2**29)),
    "an expansion beyond all": (ERROR, lambda: sized("Expand", 2**62)),
    "a tile of 8 GB": (ERROR, lambda: sized("Tile", 2**31)),
    "a constant of 8 GB": (ERROR, lambda: folded(2**31)),
    "a constant of 2 GB": (ERROR, lambda: folded(2**29)),
    "3 GB of absent weights": (ERROR, lambda: absent(30_000, 25_000)),
    "absent weights beyond all": (ERROR, lambda: absent(2**23, 2**23)),
    "weights from outside": (ANY, lambda: absent(64, 64, location="../../../etc/passwd")),
    "weights of the runtime's own memory": (ANY, lambda: absent(64, 64, location="*/_ORT_MEM_ADDR_/*")),
    "an input of 120 GB": (ERROR, lambda: model_of([node("Relu", ["x"], ["y"])], {"x": [1, 3, 100_000, 100_000]}, {"y": None})),
    "a product of 16 T": (ERROR, lambda: model_of([node("MatMul", ["x", "z"], ["y"])], {"x": [4000, 4000], "z": [4000, 1_000_000]}, {"y": None})),
    "20,000 nodes": (ANY, lambda: model_of([node("Relu", ["x" if n == 0 else f"v{n}"], [f"v{n + 1}"]) for n in range(20_000)], {"x": [1]}, {"v20000": None})),
}  # fmt: skip


def measured() -> None:
    for name, (expected, build) in MEASURED.items():
        add(f"measure: {name}", expected, lambda f, b=build: [
            "measure", written(f, data=b().SerializeToString()), "-d", "generic", "--seconds", "0.1", "--timeout", "8"], raw=True)  # fmt: skip


for _fill in (commands, measured):
    _fill()
