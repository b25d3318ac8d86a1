"""Hostile and edge inputs by name: each makes its files in a folder and says what words to lint them with.

`ERROR`: exit 2, one line; `LINTED`: the model is read and reported on (exit 0 or 1); `INCOMPLETE`: read, never clean,
and it says why (exit 1); `ANY`: one of these. `python tests/hostile/run.py` runs them all.
"""

# ruff: noqa: E501
from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from modelfiles import conv, model_of, parse, relu, weights
from oddities import CLEAN, ODDITIES
from oddities import INCOMPLETE as ODD_INCOMPLETE
from onnx import TensorProto, helper, numpy_helper

ERROR, LINTED, INCOMPLETE, ANY = "error", "linted", "incomplete", "any"
node = helper.make_node
IMAGE = {"x": [1, 3, 8, 8]}
HUGE = 2**62


@dataclass(frozen=True)
class Case:
    """`make` fills an empty folder and returns the words that follow `onnxlint`.

    `raw`: the words are run as they are, once. `before` is called in the linting process, which must be a
    forked one unless it `spawns`; `after` names what is wrong in the folder behind it.
    """

    name: str
    expected: str
    make: Callable[[Path], list[str]]
    raw: bool = False
    before: Callable[[], None] | None = None
    spawns: bool = True
    after: Callable[[Path], list[str]] = lambda folder: []


CASES: dict[str, Case] = {}


def add(name: str, expected: str, make: Callable[[Path], list[str]], **more: Any) -> None:
    assert name not in CASES, name
    CASES[name] = Case(name, expected, make, **more)


def model(name: str, expected: str, build: Callable[[], onnx.ModelProto | bytes], *words: str) -> None:
    """A case of one file, model.onnx."""

    def make(folder: Path) -> list[str]:
        built = build()
        (folder / "model.onnx").write_bytes(built if isinstance(built, bytes) else built.SerializeToString())
        return ["model.onnx", *words]

    add(name, expected, make)


def varint(value: int, width: int = 0) -> bytes:
    encoded = bytearray()
    while value > 0x7F or len(encoded) + 1 < width:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def field(number: int, content: bytes, width: int = 0) -> bytes:
    return varint(number << 3 | 2) + varint(len(content), width) + content


def ints(*values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), "s")


def constant(op: str, *values: int, then: str = "", **attributes: object) -> onnx.ModelProto:
    """One node of an image and a constant."""
    return model_of([node(op, ["x", "s"], ["y"], **attributes)], IMAGE, {"y": None}, [ints(*values)])


def one(op: str, inputs: str = "x", outputs: str = "y", opset: int = 17, dims: object = None, **attributes: object):
    """One node that reads images, whose output's shape is declared."""
    shapes = {name: [1, 3, 8, 8] for name in inputs.split()}
    declared = {name: [1, 3, 8, 8] if dims is None else dims for name in outputs.split()}
    return model_of([node(op, inputs.split(), outputs.split(), **attributes)], shapes, declared, opset=opset)


# --- files -----------------------------------------------------------------------------------------------------------


def written(folder: Path, name: str = "model.onnx", data: bytes | None = None) -> str:
    (folder / name).write_bytes(relu().SerializeToString() if data is None else data)
    return name


def files() -> None:
    for size in (0, 1, 2, 3, 7):
        model(f"file: {size} bytes", ERROR, lambda size=size: b"\x08\x08\x12\x00\x3a\x00\x42"[:size])
    for name, data in {
        "text": b"hello world\n",
        "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "zip": b"PK\x03\x04" + bytes(100),
        "gzip": b"\x1f\x8b\x08" + bytes(100),
        "elf": b"\x7fELF" + bytes(100),
        "pickle": b"\x80\x04\x95cposix\nsystem\n(S'id'\ntR.",
        "html": b"<script>alert(1)</script>",
        "json": b'{"ir_version": 8}',
        "nul": bytes(1000),
        "ff": b"\xff" * 1000,
        "utf-16": "model".encode("utf-16"),
    }.items():
        model(f"file: {name}", ERROR, lambda data=data: data)
    for seed in range(20):
        model(f"file: noise {seed}", ERROR, lambda seed=seed: random.Random(seed).randbytes(50 << seed % 10))

    def sparse(folder: Path) -> list[str]:
        with open(folder / "model.onnx", "wb") as file:
            file.truncate(1 << 36)
        return ["model.onnx"]

    def sparse_small(folder: Path) -> list[str]:
        with open(folder / "model.onnx", "wb") as file:
            file.truncate(1 << 33)
        return ["model.onnx"]

    add("file: sparse 64 GB", ERROR, sparse)
    add("file: sparse 8 GB", ERROR, sparse_small)
    add("file: above the cap", ERROR, lambda f: [written(f, data=bytes(3 << 20)), "--max-file-mb", "1"])
    add("file: missing", ERROR, lambda f: ["nothing.onnx"])
    add("file: empty name", ERROR, lambda f: [""])
    add("file: name of 10,000", ERROR, lambda f: ["a" * 10_000])
    add("file: 10,000 levels", ERROR, lambda f: ["a/" * 10_000])
    add("file: folder", ERROR, lambda f: ((f / "x.onnx").mkdir(), ["x.onnx"])[1])
    add("file: empty folder", ERROR, lambda f: ["."])
    add("file: fifo", ERROR, lambda f: (os.mkfifo(f / "x.onnx"), ["x.onnx"])[1])
    add("file: fifo in a folder", ERROR, lambda f: (os.mkfifo(f / "x.onnx"), ["."])[1])
    for device in ("/dev/null", "/dev/zero", "/dev/random", "/dev/tty", "/dev/stdin", "/proc/self/mem"):
        add(f"file: {device}", ERROR, lambda f, device=device: [device])
        add(f"file: link to {device}", ERROR, lambda f, d=device: ((f / "x.onnx").symlink_to(d), ["x.onnx"])[1])
    add("file: dead link", ERROR, lambda f: ((f / "x.onnx").symlink_to("nowhere"), ["x.onnx"])[1])
    add("file: dead link in a folder", ERROR, lambda f: ((f / "x.onnx").symlink_to("nowhere"), ["."])[1])
    add("file: link to itself", ERROR, lambda f: ((f / "x.onnx").symlink_to("x.onnx"), ["x.onnx"])[1])
    add("file: folder link loop", LINTED, lambda f: ((f / "a").symlink_to("."), written(f), ["."])[2])
    add("file: link to a model", LINTED, lambda f: (written(f), (f / "l.onnx").symlink_to("model.onnx"), ["l.onnx"])[2])
    add("file: hard link", LINTED, lambda f: (written(f), os.link(f / "model.onnx", f / "l.onnx"), ["l.onnx"])[2])
    add("file: no suffix", LINTED, lambda f: [written(f, "model")])
    add("file: unreadable", ANY, lambda f: ((f / written(f)).chmod(0), ["model.onnx"])[1])
    for at, name in enumerate(
        (
            "new\nline.onnx", "\x1b[31mred.onnx", "::error::x.onnx", "##vso[task.x]y.onnx", "##teamcity[x].onnx",
            "\u202eonnx.onnx", "[red]x[_red].onnx", "=cmd().onnx", "-x.onnx", " .onnx", "*.onnx", "[a].onnx", "é.onnx",
            "\u2028.onnx", "<b>.onnx", "a" * 245 + ".onnx", "\r.onnx", "\x7f.onnx", "\x9b31m.onnx", "\ufeff.onnx", "%s.onnx",
        )
    ):  # fmt: skip
        add(f"path: spelling {at}", LINTED, lambda f, name=name: ["--", f"{written(f, name)}"])
        add(f"path: spelling {at}, no model", ERROR, lambda f, name=name: ["--", written(f, name, b"x")])
        add(f"path: spelling {at}, in a folder", LINTED if name.endswith("onnx") else ERROR,
            lambda f, name=name: (written(f, name), ["."])[1])  # fmt: skip
    add("path: no utf-8", LINTED, lambda f: [os.fsdecode(_raw(f, b"\xff\xfe.onnx"))])
    add("path: no utf-8, no model", ERROR, lambda f: [os.fsdecode(b"\xff\xfe.onnx")])


def _raw(folder: Path, name: bytes) -> bytes:
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(relu().SerializeToString())
    return name


# --- protobuf --------------------------------------------------------------------------------------------------------


def wire() -> None:
    graph = relu().graph.SerializeToString()
    head, opset = b"\x08\x08", b"\x42\x02\x10\x11"
    whole = head + field(7, graph) + opset
    for cut in range(1, len(whole), 2):
        model(f"wire: cut at {cut}", ANY, lambda cut=cut: whole[:cut])
    for width in (2, 5):
        model(f"wire: length in {width} bytes", LINTED, lambda w=width: head + field(7, graph, w) + opset)
    for width in (9, 10, 11, 20, 100):
        model(f"wire: length in {width} bytes", ERROR, lambda w=width: head + field(7, graph, w) + opset)
    for size in (2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**64 - 1):
        model(f"wire: length of {size}", ERROR, lambda s=size: head + b"\x3a" + varint(s) + graph)
    for kind in (0, 1, 3, 4, 5, 6, 7):
        model(f"wire: graph of wire type {kind}", ERROR, lambda k=kind: head + bytes((7 << 3 | k,)) + graph + opset)
    for number in (0, 19_000, 2**29 - 1, 2**29):
        expected = LINTED if number in (19_000, 2**29 - 1) else ERROR
        model(f"wire: field {number}", expected, lambda n=number: whole + varint(n << 3 | 2) + b"\x03abc")
    model("wire: 100k unknown fields", LINTED, lambda: whole + (varint(3000 << 3) + b"\x01") * 100_000)
    model("wire: the graph twice", ANY, lambda: whole + field(7, graph))
    model("wire: ir_version 1000 times", LINTED, lambda: head * 1000 + whole)
    model("wire: the graph in pieces", LINTED, lambda: head + b"".join(
        field(7, piece) for piece in (graph[:0], graph)) + opset)  # fmt: skip
    for depth in (20, 50, 99, 100, 101, 1000, 100_000):
        model(f"wire: {depth} deep in unknown groups", ANY, lambda d=depth: whole + b"\xf3\x01" * d + b"\xf4\x01" * d)

    def deep(depth: int) -> bytes:
        inner = graph
        for _ in range(depth):
            inner = field(1, b"\x12\x01r\x22\x02If" + field(5, b"\x0a\x01b\xa0\x01\x05" + field(6, inner)))
        return head + field(7, inner) + opset

    for depth in (10, 30, 33, 40, 100, 500, 3000):
        model(f"wire: graphs {depth} deep", ANY, lambda d=depth: deep(d))
    model("wire: 5 million empty nodes", ERROR, lambda: head + field(7, b"\x0a\x00" * 5_000_000) + opset)
    model("wire: 10 million empty attributes", ERROR,
          lambda: head + field(7, field(1, b"\x2a\x00" * 10_000_000)) + opset)  # fmt: skip
    model("wire: 15 million empty dims", ANY,
          lambda: head + field(7, graph + field(13, field(2, field(1, field(2, b"\x0a\x00" * 15_000_000))))) + opset)  # fmt: skip
    raw = weights("w", 64, 3, 3, 3).SerializeToString()

    def weight(encoded: bytes) -> bytes:
        bare = conv()
        del bare.graph.initializer[:]
        return head + field(7, bare.graph.SerializeToString() + field(5, encoded)) + opset

    model("wire: raw_data twice", LINTED, lambda: weight(raw + field(9, bytes(64 * 27 * 4))))
    model("wire: raw_data shorter the second time", ERROR, lambda: weight(raw + field(9, bytes(5000))))
    dims = b"".join(b"\x08" + varint(d) for d in (64, 3, 3, 3))
    model("wire: dims packed", LINTED, lambda: weight(field(1, b"\x40\x03\x03\x03") + b"\x10\x01\x42\x01w"))
    model("wire: floats unpacked", LINTED,
          lambda: weight(dims + b"\x10\x01\x42\x01w" + (b"\x25" + bytes(4)) * 1728))  # fmt: skip
    model("wire: floats packed", LINTED, lambda: weight(dims + b"\x10\x01\x42\x01w" + field(4, bytes(1728 * 4))))
    model("wire: dim of ten bytes", ERROR, lambda: weight(b"\x08" + b"\xff" * 9 + b"\x01\x10\x01\x42\x01w"))
    for number in range(1, 15):
        model(f"wire: tensor field {number} as a number", ANY, lambda n=number: weight(raw + varint(n << 3) + b"\x05"))


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = {
    "nul": "a\0b", "bell": "\x07", "escape": "\x1b[2J\x1b[31m", "osc": "\x1b]0;title\x07", "c1": "\x9b31m\x85",
    "newline": "a\nb", "return": "a\rb", "tab": "a\tb", "line separator": "a\u2028b\u2029c", "bidi": "\u202eabc\u2066\u2069",
    "zero width": "a\u200bb\ufeff", "markup": "[red]x[/red][link=http://x]y[/link]", "open markup": "[/]", "github": "::error file=a::b",
    "github in a line": "x\n::set-output name=a::b", "github stop": "::stop-commands::x", "azure": "##vso[task.setvariable]x",
    "azure group": "##[error]x", "teamcity": "##teamcity[message text='x']", "html": "<script>alert(1)</script>", "ampersand": "&lt;\"'",
    "formula": "=cmd|' /C calc'!A0", "formula plus": "+1+1", "formula at": "@SUM(1)", "formula minus": "-1", "comma": 'a,"b',
    "percent": "%s%n%x", "braces": "{0.__class__}", "dollar": "$(id)`id`", "emoji": "\U0001f600" * 20, "combining": "e" + "\u0301" * 500,
    "long": "n" * 5000, "very long": "n" * 1_000_000, "slashes": "/" * 3000, "dots": "../../etc/passwd", "empty": "",
    "private": "\ue000\U0010ffff", "tag characters": "\U000e0041\U000e0042", "arabic": "\u0627\u0644", "spaces": "   ",
    "json": '"}],"exit_code":0', "unit separator": "\x1f\x1e", "delete": "\x7f", "soft hyphen": "\xad", "number": "123",
}  # fmt: skip


def names() -> None:
    for what, name in NAMES.items():
        expected = LINTED if name else ANY

        def everywhere(name: str = name) -> onnx.ModelProto:
            made = model_of(
                [
                    node("Conv", [name + "x", "w" + name], [name + "c"], name=name, doc_string=name),
                    node("Relu", [name + "c"], [name + "y"], name=name),
                ],
                {name + "x": [name + "N", 3, 8, 8]}, {name + "y": None}, [weights("w" + name, 64, 3, 3, 3)],
                doc_string=name, producer_name=name,
            )  # fmt: skip
            made.graph.name = name
            entry = made.metadata_props.add()
            entry.key = entry.value = name
            return made

        model(f"name: {what}, everywhere", expected, everywhere)
        model(f"name: {what}, profile", expected, everywhere, "PROFILE")
        model(f"name: {what}, operator", INCOMPLETE, lambda n=name: one("X" + n))
        model(f"name: {what}, domain", INCOMPLETE, lambda n=name: one("Relu", domain="d" + n))
        model(f"name: {what}, dim and attribute", LINTED, lambda n=name: model_of(
            [node("Foo", ["x"], ["y"], domain="d", **{"a" + n: 1})], {"x": ["N" + n, 3]}, {"y": [1]},
            opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]))  # fmt: skip
    for what, bad in {
        "ff": b"\xff\xfe",
        "surrogate": b"\xed\xa0\x80",
        "overlong": b"\xc0\x80",
        "cut": b"\xe2\x82",
    }.items():
        for place in (b"x", b"y"):
            model(f"name: bytes {what} for {place.decode()}", LINTED, lambda b=bad, p=place: relu(
                "PLACEHOLDE" + "xy"[p == b"y"], "y" if p == b"x" else "OUTPLACE"
            ).SerializeToString().replace(b"PLACEHOLDEx", (b + b"aaaaaaaaaaa")[:11]).replace(b"OUTPLACE", (b + b"a" * 8)[:8]))  # fmt: skip


# --- graphs ----------------------------------------------------------------------------------------------------------


def body(*nodes: onnx.NodeProto, outputs: str = "r") -> onnx.GraphProto:
    infos = [helper.make_tensor_value_info(name, 1, None) for name in outputs.split()]
    return helper.make_graph(list(nodes), "g", [], infos)


def chain(op: str, count: int, doubled: bool = False) -> onnx.ModelProto:
    nodes = [node(op, [f"v{n}"] * (1 + doubled), [f"v{n + 1}"]) for n in range(count)]
    return model_of(nodes, {"v0": [1, 8]}, {f"v{count}": [1, 8]})


def function_model(functions: list[onnx.FunctionProto], call: str) -> onnx.ModelProto:
    made = model_of([node(call, ["x"], ["y"], domain="f")], IMAGE, {"y": [1, 3, 8, 8]}, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("f", 1)])  # fmt: skip
    made.functions.extend(functions)
    return made


def function(name: str, nodes: list[onnx.NodeProto]) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    return helper.make_function("f", name, ["a"], ["b"], nodes, imports)


def doubling(depth: int, times: int = 2) -> onnx.ModelProto:
    functions = [function("f0", [node("Relu", ["a"], ["b"])])]
    for n in range(1, depth):
        ends = ["a", *(f"t{k}" for k in range(times - 1)), "b"]
        calls = [node(f"f{n - 1}", [a], [b], domain="f") for a, b in pairwise(ends)]
        functions.append(function(f"f{n}", calls))
    return function_model(functions, f"f{depth - 1}")


def graphs() -> None:
    def add_cycle(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
        return model_of(nodes, IMAGE, {"y": None})

    for name, nodes in {
        "itself": [node("Add", ["x", "y"], ["y"])],
        "two": [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])],
        "apart": [node("Relu", ["x"], ["y"]), node("Relu", ["q"], ["p"]), node("Relu", ["p"], ["q"])],
        "1000": [node("Relu", [f"v{(n + 1) % 1000}"], [f"v{n}"]) for n in range(1000)] + [node("Relu", ["v0"], ["y"])],
    }.items():
        model(f"graph: cycle {name}", ERROR, lambda nodes=nodes: add_cycle(nodes))
    model("graph: written twice", ERROR, lambda: add_cycle([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])]))
    model("graph: input written", ERROR, lambda: add_cycle([node("Relu", ["x"], ["x"])]))
    model("graph: twice in one node", ERROR, lambda: add_cycle([node("Split", ["x"], ["y", "y"], axis=0)]))
    model("graph: unordered", LINTED, lambda: add_cycle([node("Relu", ["a"], ["y"]), node("Abs", ["x"], ["a"])]))
    model("graph: dangling", INCOMPLETE, lambda: add_cycle([node("Add", ["x", "nowhere"], ["y"])]))
    model("graph: empty", ERROR, lambda: model_of([], {}, {}))
    model("graph: only outputs", INCOMPLETE, lambda: model_of([], {}, {"y": [1]}))
    model("graph: no outputs", INCOMPLETE, lambda: model_of([node("Relu", ["x"], ["y"])], IMAGE, {}))
    for paths in (60, 1000, 5000):
        model(f"graph: 2^{paths} paths", LINTED, lambda p=paths: chain("Add", p, True))
    for count in (1000, 20_000, 100_000):
        model(f"graph: chain of {count}", LINTED, lambda c=count: chain("Relu", c))
    for count in (1000, 100_000):
        model(f"graph: fan-out of {count}", LINTED, lambda c=count: model_of(
            [node("Relu", ["x"], [f"y{n}"]) for n in range(c)], {"x": [1, 8]}, {"y0": [1, 8]}))  # fmt: skip
        model(f"graph: fan-in of {count}", LINTED, lambda c=count: model_of(
            [node("Sum", ["x"] * c, ["y"])], {"x": [1, 8]}, {"y": [1, 8]}))  # fmt: skip
    model("graph: 20000 inputs", LINTED, lambda: model_of(
        [node("Relu", ["x0"], ["y"])], {f"x{n}": [1] for n in range(20_000)}, {"y": [1]}))  # fmt: skip
    model("graph: 20000 outputs", ANY, lambda: model_of(
        [node("Split", ["x"], [f"y{n}" for n in range(20_000)], axis=0)], {"x": [20_000]}, {"y0": [1]}, opset=11))  # fmt: skip
    model("graph: 50000 initializers", LINTED, lambda: model_of(
        [node("Relu", ["x"], ["y"])], {"x": [1]}, {"y": [1]}, [weights(f"w{n}", 1) for n in range(50_000)]))  # fmt: skip
    model("graph: a grid of Concat", ANY, lambda: model_of(
        [node("Concat", [f"v{n}"] * 8, [f"v{n + 1}"], axis=0) for n in range(60)], {"v0": [1, 8]}, {"v60": None}))  # fmt: skip
    model("graph: dense block of 300", LINTED, lambda: model_of(
        [node("Sum", [f"v{k}" for k in range(n + 1)], [f"v{n + 1}"]) for n in range(300)], {"v0": [1, 8]},
        {"v300": [1, 8]}))  # fmt: skip
    for times in (0, 1, 10**6, 2**31, HUGE, 2**63 - 1, -1, -(2**63)):
        text = """g (float[1,3] x) => (float[1,3] y) <int64 t = {%d}> {
            y = Loop (t, , x) <body = b (int64 i, bool c, float[1,3] v) => (bool d, float[1,3] w)
                { d = Identity(c) w = Relu(v) }> }"""
        model(f"graph: loop of {times}", ANY, lambda text=text % times: _parsed(text))
    for depth in (2, 16, 30, 100, 1000):
        expected = LINTED if depth <= 16 else ANY
        model(f"function: chain of {depth}", expected, lambda d=depth: doubling(d, 1))
    for depth in (4, 12, 20, 63):
        model(f"function: 2^{depth} nodes", ANY, lambda d=depth: doubling(d))
    model("function: 30^30 nodes", ERROR, lambda: doubling(30, 30))
    model(
        "function: recursive",
        ERROR,
        lambda: function_model([function("r", [node("r", ["a"], ["b"], domain="f")])], "r"),
    )
    model("function: mutually recursive", ERROR, lambda: function_model(
        [function("r", [node("q", ["a"], ["b"], domain="f")]), function("q", [node("r", ["a"], ["b"], domain="f")])], "r"))  # fmt: skip
    model("function: twice", INCOMPLETE, lambda: function_model([function("r", [node("Relu", ["a"], ["b"])])] * 2, "r"))
    model("function: never writes its output", INCOMPLETE, lambda: function_model(
        [function("r", [node("Relu", ["a"], ["c"])])], "r"))  # fmt: skip
    model("function: no nodes", INCOMPLETE, lambda: function_model([function("r", [])], "r"))
    model("function: shadows Relu", LINTED, lambda: _shadow())
    for depth in (5, 20, 29):
        model(
            f"graph: If {depth} deep", LINTED, lambda d=depth: ODDITIES["branches 29 deep"][1]() if d == 29 else _ifs(d)
        )
    model("graph: If without branches", INCOMPLETE, lambda: one("If", "x", "y"))
    model("graph: Loop without body", INCOMPLETE, lambda: one("Loop", "x x", "y"))
    model("graph: Scan without body", INCOMPLETE, lambda: one("Scan", "x", "y", num_scan_inputs=1))
    for count in (0, -1, 5, HUGE):
        model(f"graph: Scan of {count} inputs", ANY, lambda c=count: one("Scan", "x", "y", num_scan_inputs=c,
              body=body(node("Relu", ["x"], ["r"]))))  # fmt: skip
    model(
        "graph: Conv named If with a body", ANY, lambda: one("Conv", "x x", "y", body=body(node("Relu", ["x"], ["r"])))
    )


def _parsed(text: str) -> onnx.ModelProto:
    return parse(text)


def _ifs(depth: int) -> onnx.ModelProto:
    from oddities import nested

    return nested(depth)


def _shadow() -> onnx.ModelProto:
    made = relu()
    made.functions.append(
        helper.make_function("", "Relu", ["a"], ["b"], [node("Abs", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    )
    return made


# --- shapes and constants --------------------------------------------------------------------------------------------


def shapes() -> None:
    for name, dims in {
        "2^62": [1, 3, HUGE, HUGE], "2^31": [2**31] * 4, "2^31-1": [2**31 - 1] * 8, "-1": [-1] * 4, "least": [-(2**63)] * 4,
        "zero": [0] * 4, "one zero": [1, 0, 8, 8], "rank 100": [1] * 100, "rank 1000 of 2": [2] * 1000, "rank 64": [2] * 64,
        "rank 65": [2] * 65, "rank 20000": [1] * 20_000, "no dims": [], "unnamed": [None] * 4, "strange symbols": ["\x1b[31m", "::error::", "", "a\nb"],
        "numbers for symbols": ["1", "-1", "0x10", "1e9"], "question marks": ["?", "?", "?", "?"],
    }.items():  # fmt: skip
        model(f"shape: {name}", ANY if name == "rank 20000" else LINTED, lambda d=dims: relu(dims=d))
        model(f"shape: {name}, Conv", ANY, lambda d=dims: model_of(
            [node("Conv", ["x", "w"], ["y"])], {"x": d}, {"y": None}, [weights("w", 64, 3, 3, 3)]))  # fmt: skip
        model(f"shape: {name}, declared of an unknown operator", INCOMPLETE, lambda d=dims: model_of(
            [node("Foo", ["x"], ["a"]), node("Relu", ["a"], ["y"])], IMAGE, {"a": d, "y": None}))  # fmt: skip
    for values in (
        (HUGE,) * 4,
        (-1,) * 4,
        (2**31,) * 2,
        (-(2**63),),
        (0,) * 4,
        (),
        (1,) * 100,
        (2,) * 65,
        (2**16,) * 4,
        (-2,),
        (1,) * 1000,
    ):
        for op in (
            "Reshape",
            "Expand",
            "Tile",
            "ConstantOfShape",
            "Pad",
            "Slice",
            "Squeeze",
            "Unsqueeze",
            "ReduceSum",
            "Gather",
            "Resize",
            "TopK",
            "Trilu",
            "OneHot",
        ):
            inputs = {
                "ConstantOfShape": ["s"],
                "Slice": ["x", "s", "s"],
                "Resize": ["x", "", "", "s"],
                "OneHot": ["x", "s", "s"],
            }.get(op, ["x", "s"])
            if len(values) > 65 and op not in ("Reshape", "Tile", "Slice"):
                continue
            model(f"constant: {op} by {len(values)} of {values[0] if values else 0}", ANY, lambda op=op, i=inputs, v=values: model_of(
                [node(op, i, ["y"])], IMAGE, {"y": None}, [ints(*v)]))  # fmt: skip
    for op, count in {"Tile": 1 << 32, "ConstantOfShape": 1 << 33, "Expand": 1 << 34}.items():
        model(f"constant: Shape, Concat and {op} of {count}", ANY, lambda op=op, c=count: model_of(
            [node("Shape", ["x"], ["a"]), node("Concat", ["s"] * 64, ["b"], axis=0), node(*_wide(op)), node("Shape", ["c"], ["d"]),
             node("ConstantOfShape", ["d"], ["e"]), node("Size", ["e"], ["f"]), node("ConstantOfShape", ["s"], ["y"])],
            IMAGE, {"y": None}, [ints(c)]))  # fmt: skip
    for times in (10, 30, 64):
        model(f"constant: a value doubled {times} times", ANY, lambda t=times: model_of(
            [node("Concat", [f"v{n}"] * 2, [f"v{n + 1}"], axis=0) for n in range(t)] + [node("Reshape", ["x", f"v{t}"], ["y"])],
            IMAGE, {"y": None}, [numpy_helper.from_array(np.array([1], np.int64), "v0")]))  # fmt: skip
        model(f"constant: a shape doubled {times} times", ANY, lambda t=times: model_of(
            [node("Shape", ["x"], ["v0"])] + [node("Concat", [f"v{n}"] * 2, [f"v{n + 1}"], axis=0) for n in range(t)]
            + [node("ConstantOfShape", [f"v{t}"], ["y"])], IMAGE, {"y": None}))  # fmt: skip
    for limit in (10**6, 2**31, HUGE):
        model(f"constant: Range to {limit}", ANY, lambda n=limit: model_of(
            [node("Range", ["a", "b", "c"], ["r"]), node("ConstantOfShape", ["r"], ["y"])], IMAGE, {"y": None},
            [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in (("a", 0), ("b", n), ("c", 1))]))  # fmt: skip
    model("constant: Size of 2^60", ANY, lambda: model_of(
        [node("ConstantOfShape", ["s"], ["a"]), node("Size", ["a"], ["b"]), node("Range", ["b", "b", "b"], ["y"])],
        IMAGE, {"y": None}, [ints(2**30, 2**30)]))  # fmt: skip
    model("constant: an outer sum of 1024 each", ANY, lambda: model_of(
        [node("Sum", ["a", "b", "c"], ["y"])], IMAGE, {"y": None},
        [numpy_helper.from_array(np.zeros(shape, np.int64), k) for k, shape in
         (("a", (1024, 1, 1)), ("b", (1, 1024, 1)), ("c", (1, 1, 1024)))]))  # fmt: skip
    model("constant: 50000 copies of 8 KB", ANY, lambda: model_of(
        [node("Neg", ["w"], [f"y{n}"]) for n in range(50_000)], {}, {"y0": None},
        [numpy_helper.from_array(np.zeros(1000, np.int64), "w")]))  # fmt: skip


def _wide(op: str) -> tuple[str, list[str], list[str]]:
    return (op, ["b"] if op == "ConstantOfShape" else ["a", "b"], ["c"])


# --- attributes and native crashers ------------------------------------------------------------------------------------


def attributes() -> None:
    for value in (0, -1, 2**31, HUGE, -(2**63)):
        for op, name in (
            ("Concat", "axis"), ("Softmax", "axis"), ("Flatten", "axis"), ("Gather", "axis"), ("Split", "axis"),
            ("DepthToSpace", "blocksize"), ("SpaceToDepth", "blocksize"), ("Cast", "to"), ("Conv", "group"),
            ("LayerNormalization", "axis"), ("EyeLike", "k"), ("TopK", "axis"),
        ):  # fmt: skip
            inputs = "x x" if op in ("Concat", "Gather", "Conv", "LayerNormalization", "TopK") else "x"
            model(f"attribute: {op} {name}={value}", ANY, lambda op=op, n=name, v=value, i=inputs: one(op, i, **{n: v}))
        for name in ("kernel_shape", "strides", "dilations", "pads"):
            for op in ("MaxPool", "Conv", "AveragePool", "ConvTranspose"):
                words = {"kernel_shape": [2, 2], name: [value] * (4 if name == "pads" else 2)}
                inputs = "x x" if op.startswith("Conv") else "x"
                model(f"attribute: {op} {name}={value}", ANY, lambda op=op, w=words, i=inputs: one(op, i, **w))
    for name, value in {
        "float": 1.5, "nan": float("nan"), "inf": float("inf"), "string": "one", "bytes": b"\xff\xfe", "ints": [1, 2], "floats": [1.0],
        "strings": ["a"], "tensor": ints(1), "graph": body(node("Relu", ["x"], ["r"])),
    }.items():  # fmt: skip
        for op, attribute in (
            ("Conv", "group"),
            ("Transpose", "perm"),
            ("MaxPool", "kernel_shape"),
            ("Cast", "to"),
            ("Softmax", "axis"),
        ):
            if (op, name) in (("Transpose", "ints"), ("MaxPool", "ints")):
                continue
            inputs = "x x" if op == "Conv" else "x"
            model(
                f"attribute: {op} {attribute} is {name}",
                INCOMPLETE,
                lambda op=op, a=attribute, v=value, i=inputs: one(op, i, **{a: v}),
            )
    for name, made in {
        "Conv without inputs": lambda: model_of([node("Conv", [], ["y"])], {}, {"y": [1, 3, 8, 8]}),
        "Conv of one input": lambda: one("Conv"),
        "Conv of 100 inputs": lambda: one("Conv", " ".join(["x"] * 100)),
        "Conv in 2^40 groups": lambda: one("Conv", "x x", group=2**40),
        "Conv of wrong channels": lambda: one("Conv", "x x", group=2),
        "Transpose by 9, 9, -3": lambda: one("Transpose", perm=[9, 9, -3]),
        "Transpose twice the same": lambda: one("Transpose", perm=[0, 0, 1, 2]),
        "MaxPool by 0": lambda: one("MaxPool", kernel_shape=[2, 2], strides=[0, 0]),
        "MaxPool of nothing": lambda: one("MaxPool"),
        "Relu of two": lambda: one("Relu", "x x"),
        "Relu to nothing": lambda: model_of([node("Relu", ["x"], [])], IMAGE, {"x": [1]}),
        "Add of one": lambda: one("Add"),
        "Add of other shapes": lambda: model_of([node("Add", ["x", "z"], ["y"])], {**IMAGE, "z": [7]}, {"y": [1, 3, 8, 8]}),
        "MatMul of other shapes": lambda: model_of([node("MatMul", ["x", "z"], ["y"])], {"x": [2, 3], "z": [4, 5]}, {"y": [2, 5]}),
        "Concat on axis 99": lambda: one("Concat", "x x", axis=99),
        "Softmax on axis 7": lambda: one("Softmax", axis=7),
        "Cast to 99": lambda: one("Cast", to=99),
        "Cast to nothing": lambda: one("Cast"),
        "Constant of two values": lambda: model_of([node("Constant", [], ["y"], value_int=1, value_float=1.0)], {}, {"y": [1]}),
        "Constant of nothing": lambda: model_of([node("Constant", [], ["y"])], {}, {"y": [1]}),
        "a reference outside of functions": lambda: _reference(),
    }.items():  # fmt: skip
        model(f"invalid: {name}", INCOMPLETE if "reference" not in name else ANY, made)
    for equation in (
        "é...->",
        "ij,jk->",
        "...",
        "->",
        ",",
        "i" * 5000,
        "ii->i",
        "ij->kk",
        "\x00",
        "i j , j k -> i k",
        "€,€->€",
        "..,..->..",
        "....",
        "a,b,c",
        "\xff" * 100,
        "ij->ij->ij",
    ):
        model(f"native: Einsum {equation[:20]!a}", ANY, lambda e=equation: one("Einsum", equation=e))
        model(f"native: Einsum of two {equation[:20]!a}", ANY, lambda e=equation: model_of(
            [node("Einsum", ["x", "x"], ["y"], equation=e), node("Relu", ["y"], ["z"])], {"x": [4, 4]}, {"z": None}))  # fmt: skip
    for parts in (0, 1, 2, -1, HUGE):
        model(
            f"native: Split into {parts} of 3",
            INCOMPLETE,
            lambda p=parts: one("Split", "x", "a b c", 18, num_outputs=p),
        )
    for dims in ([2, -1], [2, 0], [2, 9], [], [HUGE], [1] * 70):
        model(f"native: GatherND by {dims[:4]} ({len(dims)})", ANY, lambda d=dims: model_of(
            [node("GatherND", ["x", "i"], ["y"])], {**IMAGE, "i": d}, {"y": None}))  # fmt: skip
        model(f"native: GatherND in a body by {dims[:4]} ({len(dims)})", ANY, lambda d=dims: _in_body(d))
    for op, inputs in (("BitShift", "x x"), ("Compress", "x x"), ("CenterCropPad", "x s"), ("Col2Im", "x s s"), ("StringSplit", "x"), ("NonZero", "x"),
                       ("SequenceAt", "x x"), ("SplitToSequence", "x s"), ("ScatterND", "x x x"), ("GridSample", "x x"), ("AffineGrid", "x s"),
                       ("RoiAlign", "x x x"), ("DFT", "x"), ("STFT", "x x"), ("MelWeightMatrix", "x x x x x"), ("HannWindow", "s"), ("MaxUnpool", "x x s"),
                       ("Upsample", "x x"), ("RNN", "x x x"), ("LSTM", "x x x"), ("GRU", "x x x"), ("Attention", "x x x"), ("TfIdfVectorizer", "x")):  # fmt: skip
        for value in (-1, HUGE):
            model(f"native: {op} with {value}", ANY, lambda op=op, i=inputs, v=value: model_of(
                [node(op, i.split(), ["y"])], IMAGE, {"y": None}, [ints(v, v)], opset=22))  # fmt: skip


def _reference() -> onnx.ModelProto:
    made = one("Softmax")
    made.graph.node[0].attribute.append(onnx.AttributeProto(name="axis", ref_attr_name="axis", type=2))
    return made


def _in_body(dims: list[int]) -> onnx.ModelProto:
    inner = body(node("GatherND", ["x", "i"], ["r"]))
    inner.value_info.append(helper.make_tensor_value_info("i", TensorProto.INT64, dims))
    made = model_of([node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)], IMAGE, {"y": None})
    made.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    made.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, dims))
    return made


# --- versions, external data, neighbours -------------------------------------------------------------------------------


def versions() -> None:
    for version in (0, 1, 2, 3, 999, 2**62, -1):
        model(f"version: ir {version}", ANY, lambda v=version: _ir(v))
    for version in (-1, 0, 1, 6, 7, 13, 25, 99, 9999, 2**31, 2**62):
        model(
            f"version: opset {version}", ANY if version < 1 or version > 9999 else LINTED, lambda v=version: relu_at(v)
        )
    model("version: no opset", ERROR, lambda: _changed(relu(), lambda m: m.ClearField("opset_import")))
    model("version: two opsets", LINTED, lambda: _changed(relu(), lambda m: m.opset_import.add(domain="", version=9)))
    model(
        "version: 10000 domains",
        LINTED,
        lambda: _changed(relu(), lambda m: [m.opset_import.add(domain=f"d{n}", version=1) for n in range(10_000)]),
    )
    for domain in (
        "com.microsoft",
        "com.microsoft.nchwc",
        "ai.onnx.ml",
        "unknown",
        "ai.onnx.preview.training",
        "x" * 10_000,
    ):
        for op in ("Attention", "FusedConv", "MatMulNBits", "QLinearAdd", "Foo"):
            model(f"version: {op} of {domain[:30]}", INCOMPLETE, lambda d=domain, o=op: one(o, domain=d))
            model(f"version: {op} of {domain[:30]}, imported", ANY, lambda d=domain, o=op: _changed(
                one(o, "x x x", domain=d, num_heads=0, K=-1, N=HUGE, bits="x"), lambda m: m.opset_import.add(domain=d, version=1)))  # fmt: skip


def _ir(version: int) -> onnx.ModelProto:
    return _changed(relu(), lambda m: setattr(m, "ir_version", version))


def relu_at(version: int) -> onnx.ModelProto:
    return _changed(relu(), lambda m: setattr(m.opset_import[0], "version", version))


def _changed(made: onnx.ModelProto, change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    change(made)
    return made


def external() -> None:
    for at, location in enumerate(
        (
            "/etc/passwd", "../../../etc/passwd", "..", ".", "", "a\0b", "C:\\x", "\\\\host\\x", "file:///etc/passwd", "http://x/y",
            "weights.bin", "a" * 5000, "a/" * 3000, "link", "linked/passwd", "/dev/zero", "/proc/self/environ", "fifo", "\x1b[31m",
            "hard", "folder", "~/.ssh/id_rsa", "$HOME/x", "*", "..\\..\\x", "a/../../b", "::error::x",
        )
    ):  # fmt: skip

        def make(folder: Path, location: str = location) -> list[str]:
            (folder / "link").symlink_to("/etc/passwd")
            (folder / "linked").symlink_to("/etc")
            os.mkfifo(folder / "fifo")
            (folder / "folder").mkdir()
            (folder / "weights.bin").write_bytes(bytes(100))
            os.link(folder / "weights.bin", folder / "hard")
            made = conv(weights("w", 64, 3, 3, 3, external=location))
            return [written(folder, data=made.SerializeToString())]

        add(f"external: location {at}", LINTED, make)
    for key, value in {
        "offset": "-1", "offset ": "99999999999999999999", "length": str(HUGE), "length ": "x", "checksum": "\x1b[31m", "unknown": "::error::",
        "onnxlint.offset": "0", "onnxlint.length": str(10**18), "onnxlint.length ": "\u0661", "location": "/etc/shadow",
    }.items():  # fmt: skip

        def entry(key: str = key.strip(), value: str = value) -> onnx.ModelProto:
            tensor = weights("w", 64, 3, 3, 3, external="weights.bin")
            tensor.external_data.add(key=key, value=value)
            return conv(tensor)

        model(f"external: {key}={value!a}", ANY if key.startswith("onnxlint.length") else LINTED, entry)
    far = weights("w", 64, 3, 3, 3, external="/etc/passwd")
    model("external: in an attribute", LINTED, lambda: model_of(
        [node("Constant", [], ["w"], value=far), node("Conv", ["x", "w"], ["y"])], IMAGE, {"y": None}))  # fmt: skip
    model("external: in a function", ANY, lambda: function_model(
        [function("r", [node("Constant", [], ["w"], value=far), node("Conv", ["a", "w"], ["b"])])], "r"))  # fmt: skip
    sparse = onnx.SparseTensorProto(
        values=weights("w", 2, external="/etc/passwd"),
        indices=weights("i", 2, external="/etc/passwd"),
        dims=[64, 3, 3, 3],
    )
    model("external: sparse", ANY, lambda: _changed(relu(), lambda m: m.graph.sparse_initializer.append(sparse)))
    model(
        "external: training",
        LINTED,
        lambda: _changed(relu(), lambda m: m.training_info.add().algorithm.initializer.append(far)),
    )
    model("external: a shape that decides", INCOMPLETE, lambda: model_of(
        [node("Reshape", ["x", "s"], ["y"])], IMAGE, {"y": None},
        [TensorProto(name="s", data_type=7, dims=[2], data_location=1)]))  # fmt: skip
    for dims in ([HUGE, 2], [-1, 5], [2**40, 2**40], [0], [2**31]):
        model(f"tensor: dims {dims}", ANY, lambda d=dims: conv(TensorProto(name="w", data_type=1, dims=d)))
        model(f"tensor: dims {dims} in an attribute", ANY, lambda d=dims: model_of(
            [node("Constant", [], ["w"], value=TensorProto(name="w", data_type=1, dims=d)), node("Conv", ["x", "w"], ["y"])], IMAGE, {"y": None}))  # fmt: skip
    for dtype in (0, 8, 14, 17, 22, 23, 24, 99, -1):
        model(
            f"tensor: element type {dtype}",
            ANY,
            lambda t=dtype: conv(TensorProto(name="w", data_type=t, dims=[64, 3, 3, 3])),
        )


def configuration() -> None:
    for name, text in {
        "empty": "", "binary": "\x00\x01", "no toml": "[[[", "wrong types": 'name = 5\nchip = []\n', "duplicate keys": "name = 'a'\nname = 'b'\n",
        "deep": "a = " + "[" * 5000 + "]" * 5000, "deep tables": "[" + ".".join("a" * 3000) + "]\n", "huge": "a = '" + "x" * 5_000_000 + "'\n",
        "nan": "schema = 1\nname = 'x'\npeak = nan\n", "many keys": "\n".join(f"k{n} = {n}" for n in range(100_000)), "dates": "a = 1979-05-27T07:32:00Z\n",
        "escapes": 'name = "\\u001b[31m"\n', "unknown keys": '"::error::" = 1\n', "big integer": "a = " + "9" * 5000 + "\n",
    }.items():  # fmt: skip
        add(f"profile: {name}", ERROR, lambda f, text=text: [written(f), "-d", _toml(f, text)])
    for value in ("nan", "inf", "-1.0", "0", "1e400", "'x'", "[]", "9223372036854775808"):

        def altered(folder: Path, value: str = value) -> list[str]:
            from importlib.resources import files as resources

            text = (resources("onnxlint.device_profiles") / "t4.toml").read_text(encoding="utf-8")
            lines = [
                f"{line.split('=')[0]}= {value}" if "bandwidth" in line.split("=")[0] else line
                for line in text.splitlines()
            ]
            return [written(folder), "-d", _toml(folder, "\n".join(lines))]

        add(f"profile: bandwidth {value}", ANY, altered)
    for device in (
        "/dev/zero",
        "/etc/passwd",
        "..",
        "nothing.toml",
        "\x1b[31m",
        "::error::x",
        "fifo.toml",
        "a" * 5000,
        "",
    ):
        add(
            f"profile: {device[:20]!a}",
            ERROR,
            lambda f, d=device: (os.mkfifo(f / "fifo.toml"), [written(f), "-d", d])[1],
        )
    for name, code in {
        "raises": "raise ValueError('\\x1b[31m')", "exits": "raise SystemExit(0)", "no rule": "x = 1", "syntax": "def (", "binary": "\\x00",
    }.items():  # fmt: skip
        add(
            f"rules: {name}",
            ANY,
            lambda f, c=code: ((f / "r").mkdir(), (f / "r" / "x.py").write_text(c), [written(f), "--rules", "r"])[2],
        )
    add("rules: in the folder, not asked for", LINTED, lambda f: _neighbours(f))
    for words in (
        ("--shape", "x=" + "1x" * 5000 + "1"), ("--shape", "=1"), ("--dim", "\x1b=1"), ("--batch", "99999999999999999999"), ("--select", "\x1b[31m"),
        ("--output-format", "::error::x"), ("--timeout", "nan"), ("--timeout", "-1"), ("--max-memory-mb", "x"), ("--nonsense\x1b[31m",),
        ("--rules", "/dev/zero"), ("--output-file", "/"), ("--output-file", "/proc/x"), ("--output-file", "model.onnx"), ("--shape", "x=0x0x0x0"),
    ):  # fmt: skip
        add(f"words: {' '.join(words)[:30]!a}", ANY, lambda f, w=words: [written(f), *w])


def _toml(folder: Path, text: str) -> str:
    (folder / "p.toml").write_text(text, encoding="utf-8")
    return "p.toml"


def _neighbours(folder: Path) -> list[str]:
    """What Python would import from the working directory, if it looked there.

    But for onnxlint.py, contextlib.py and importlib.py, which Python itself takes for `-m` before any line of the
    package runs (for the `onnxlint` command it does not).
    """
    for name in (
        "json",
        "onnx",
        "typer",
        "numpy",
        "sitecustomize",
        "usercustomize",
        "rich",
        "msgspec",
        "rules",
        "conftest",
        *("__future__", "typing", "re", "enum", "dataclasses", "hashlib", "pathlib", "networkx", "click"),
        *("onnxruntime", "google", "ml_dtypes", "ctypes", "tempfile", "tomllib", "encodings", "shutil"),
    ):
        (folder / f"{name}.py").write_text("open('/tmp/onnxlint-hostile-ran', 'w')\nraise SystemExit(99)\n")
    for name in ("pyproject.toml", "onnxlint.toml", ".onnxlint.toml", "setup.cfg"):
        (folder / name).write_text("[tool.onnxlint]\nrules = ['.']\nselect = ['::error::']\n")
    return [written(folder)]


def oddities() -> None:
    for name, (code, build) in ODDITIES.items():
        model(f"odd: {name}", {CLEAN: LINTED, ODD_INCOMPLETE: INCOMPLETE}.get(code, ERROR), build)


def found() -> None:
    """What fuzzing has found, kept as files."""
    for path in sorted((Path(__file__).parent / "found").glob("*.onnx")):
        model(f"found: {path.stem}", ANY, path.read_bytes)


for _fill in (files, wire, names, graphs, shapes, attributes, versions, external, configuration, oddities, found):
    _fill()

from hostile import corpus_attacks, corpus_commands, corpus_contradictions, corpus_operators, corpus_system  # noqa: E402, F401 (add their own)
